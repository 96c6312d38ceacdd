import type { Replica } from '#protocol/ha/facts.js'

/**
 * The decisions about the in-sync set. What makes them safe: a blob counts as stored only when everybody who is in the set, is about
 * to be, or may still be has it on disk (`mustHold`). So a change of the set under way counts on both sides until it is confirmed.
 */
export interface InSyncSet {
  readonly self: string
  /** As last confirmed in `isr`, with its version. */
  readonly members: readonly Replica[]
  readonly version: number
  readonly minInSync: number
  /** They receive each new blob, and are dropped without ceremony when they fail. By disk id. */
  readonly joining: readonly Replica[]
  /** Joiners that hold all; they become members with the next change. */
  readonly ready: readonly string[]
  /** Members that failed and are not in the change under way: they go with the next one. */
  readonly failed: readonly string[]
  /** The change under way. */
  readonly change?: readonly Replica[]
}

export type InSyncSetEvent =
  | { readonly kind: 'join-requested'; readonly replica: Replica }
  | { readonly kind: 'join-completed'; readonly diskId: string }
  /** It did not take a blob, was too slow, or left. */
  | { readonly kind: 'replica-failed'; readonly diskId: string }
  | { readonly kind: 'change-confirmed'; readonly version: number }

export type InSyncSetEffect =
  | { readonly kind: 'set-isr'; readonly replicas: readonly Replica[]; readonly version: number }
  /** Those who wait for a blob look again. */
  | { readonly kind: 'changed' }

export interface InSyncSetStep {
  readonly set: InSyncSet
  readonly effects: readonly InSyncSetEffect[]
}

export function inSyncSet(self: string, minInSync: number, members: readonly Replica[], version: number): InSyncSet {
  return { self, minInSync, members, version, joining: [], ready: [], failed: [] }
}

export function step(set: InSyncSet, event: InSyncSetEvent): InSyncSetStep {
  switch (event.kind) {
    case 'join-requested':
      return join(set, event.replica)
    case 'join-completed':
      if (!has(set.joining, event.diskId) || set.ready.includes(event.diskId)) return { set, effects: [] }
      return propose({ ...set, ready: [...set.ready, event.diskId] })
    case 'replica-failed':
      return fail(set, event.diskId)
    case 'change-confirmed':
      return confirm(set, event.version)
  }
}

/** Who must have a blob on disk before it counts as stored, ourselves included. Of a disk known at two addresses the newer one. */
export function mustHold(set: InSyncSet): readonly Replica[] {
  const all = [...set.joining, ...(set.change ?? []), ...set.members]
  return all.filter((replica, i) => all.findIndex((r) => r.diskId === replica.diskId) === i)
}

/** Whether enough members are left that have not failed. */
export function enough(set: InSyncSet): boolean {
  return set.members.filter((r) => isMember(set, r.diskId)).length >= set.minInSync
}

/** In the set, and to stay in it. */
export function isMember(set: InSyncSet, diskId: string): boolean {
  return has(set.members, diskId) && !set.failed.includes(diskId) && (set.change === undefined || has(set.change, diskId))
}

/** Whether it is being made a member at this moment. */
function isComing(set: InSyncSet, diskId: string): boolean {
  return set.change !== undefined && has(set.change, diskId) && !has(set.members, diskId)
}

function join(set: InSyncSet, replica: Replica): InSyncSetStep {
  const { diskId, address } = replica
  if (diskId === set.self) return { set, effects: [] }
  const known = set.members.find((r) => r.diskId === diskId)
  if (isComing(set, diskId) || (known?.address === address && isMember(set, diskId))) return { set, effects: [] }
  const joining = [...without(set.joining, diskId), replica]
  const next = { ...set, joining, ready: set.ready.filter((id) => id !== diskId) }
  if (!isMember(set, diskId)) return { set: next, effects: [{ kind: 'changed' }] }
  const { set: proposed, effects } = propose({ ...next, failed: [...set.failed, diskId] }) // It has moved: nothing arrives at its old address.
  return { set: proposed, effects: [{ kind: 'changed' }, ...effects.filter((e) => e.kind !== 'changed')] }
}

function fail(set: InSyncSet, diskId: string): InSyncSetStep {
  if (diskId === set.self) return { set, effects: [] } // Our own disk's failures are the caller's.
  const joining = without(set.joining, diskId)
  const ready = set.ready.filter((id) => id !== diskId)
  const dropped = joining.length < set.joining.length
  if (!isMember(set, diskId) && !isComing(set, diskId))
    return { set: { ...set, joining, ready }, effects: dropped ? [{ kind: 'changed' }] : [] }
  if (set.failed.includes(diskId)) return { set, effects: [] }
  return propose({ ...set, joining, ready, failed: [...set.failed, diskId] })
}

/** One change at a time; what comes up meanwhile goes with the next. */
function propose(set: InSyncSet): InSyncSetStep {
  if (set.change) return { set, effects: [] }
  const staying = set.members.filter((r) => !set.failed.includes(r.diskId))
  const coming = set.joining.filter((r) => set.ready.includes(r.diskId))
  if (coming.length === 0 && staying.length === set.members.length) return { set, effects: [] }
  if (staying.length + coming.length < set.minInSync) return { set, effects: [{ kind: 'changed' }] } // Below the floor: whoever waits for a blob fails.
  const change = [...staying, ...coming]
  return { set: { ...set, change, failed: [] }, effects: [{ kind: 'set-isr', replicas: change, version: set.version }] }
}

function confirm(set: InSyncSet, version: number): InSyncSetStep {
  const members = set.change
  if (!members) return { set, effects: [] }
  const { change: _, ...rest } = set
  const next = propose({
    ...rest,
    members,
    version,
    joining: set.joining.filter((r) => !has(members, r.diskId)),
    ready: set.ready.filter((id) => !has(members, id)),
    failed: set.failed.filter((id) => has(members, id)), // It failed while it was being made a member.
  })
  return { set: next.set, effects: [{ kind: 'changed' }, ...next.effects.filter((e) => e.kind !== 'changed')] }
}

function has(replicas: readonly Replica[], diskId: string): boolean {
  return replicas.some((r) => r.diskId === diskId)
}
function without(replicas: readonly Replica[], diskId: string): readonly Replica[] {
  return replicas.filter((r) => r.diskId !== diskId)
}
