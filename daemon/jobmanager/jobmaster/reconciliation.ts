/**
 * What a new leader makes of the tasks that it finds: the recorded deployment against what TaskManagers report. Nothing that runs is
 * restarted for it.
 *
 * State: for each TaskManager, the recorded attempts whose fate is not known yet. It is left by
 * - a registration: of each recorded attempt
 *     reported, in whatever state       -> adopt: it goes on under this leader, or its end is handled like any other
 *     known to have FINISHED            -> finished: nobody needs to keep it any more
 *     same process, slot still the job's -> send-again: the earlier leader died before its submission arrived
 *     else                              -> lost: the process or the slot was replaced
 * - the loss of the TaskManager, and the deadline (heartbeat.timeout after the takeover) for who has not come: finished, or lost
 * - a list of registrations in ZooKeeper (protocol/ha/registrations.ts) that has none of the processes that were to have its attempts, when
 *   it is not connected: as the deadline. Nothing else is concluded from the list: a node that is there may be of a dead process, and one
 *   that appears is followed by a registration with the leader, which alone knows what runs there.
 * It is reconciled when nothing is left.
 *
 * Invariants: each recorded attempt gets exactly one verdict; an attempt that is reported is never sent again, nor lost; one is sent again
 * only to the very process that was to have it, in the slot that it was to have, so that it never ran (a process forgets an attempt only
 * with its slot) and the newest checkpoint is still the one that it was to restore.
 */
import type { AttemptReport, SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { AttemptLocation, DeploymentRecord } from '#protocol/graph/deployment.js'
import { registrationName } from '#protocol/ha/registrations.js'

export interface Reconciliation {
  readonly outstanding: Readonly<Record<string, readonly AttemptLocation[]>>
  /** Attempts of which the record, or the newest checkpoint, says that they have FINISHED. */
  readonly finished: ReadonlySet<string>
}
export type ReconciliationEvent =
  | {
      readonly kind: 'task-manager-registered'
      readonly taskManagerId: string
      readonly processId: string
      readonly attempts: readonly AttemptReport[]
      readonly slots: readonly SlotReport[]
    }
  | { readonly kind: 'task-manager-lost'; readonly taskManagerId: string; readonly cause: string }
  /** `names` of processes that hold a registration; `connected`: ids of the TaskManagers that have come, maybe before this job's leader asked. */
  | { readonly kind: 'registrations-listed'; readonly names: ReadonlySet<string>; readonly connected: ReadonlySet<string> }
  /** Who has not come by now is lost. */
  | { readonly kind: 'deadline'; readonly waitedMs: number }
export type ReconciliationEffect =
  | { readonly kind: 'adopt'; readonly report: AttemptReport }
  | { readonly kind: 'finished'; readonly attemptId: string }
  | { readonly kind: 'send-again'; readonly attemptId: string }
  | { readonly kind: 'lost'; readonly attemptIds: readonly string[]; readonly cause: string }
export interface ReconciliationStep {
  readonly reconciliation: Reconciliation
  readonly effects: readonly ReconciliationEffect[]
}

export function beginReconciliation(record: DeploymentRecord, finishedInCheckpoint: ReadonlySet<string> = new Set()): Reconciliation {
  const outstanding: Record<string, AttemptLocation[]> = {}
  const finished = new Set<string>()
  for (const location of record.attempts) {
    const { taskManagerId, attemptId } = location
    outstanding[taskManagerId] = [...(outstanding[taskManagerId] ?? []), location]
    if (location.finished || finishedInCheckpoint.has(attemptId)) finished.add(attemptId)
  }
  return { outstanding, finished }
}

/** Decides; performs nothing. Of a TaskManager with nothing outstanding, or that comes again, there is nothing to decide. */
export function stepReconciliation(state: Reconciliation, event: ReconciliationEvent): ReconciliationStep {
  const { outstanding } = state
  switch (event.kind) {
    case 'task-manager-registered': {
      const rest = { ...state, outstanding: without(outstanding, event.taskManagerId) }
      return { reconciliation: rest, effects: found(state, outstanding[event.taskManagerId] ?? [], event) }
    }
    case 'task-manager-lost': {
      const rest = { ...state, outstanding: without(outstanding, event.taskManagerId) }
      return { reconciliation: rest, effects: gone(state, outstanding[event.taskManagerId] ?? [], event.cause) }
    }
    case 'registrations-listed': {
      const missing = Object.keys(outstanding).filter((id) => isMissing(id, outstanding[id]!, event))
      const cause = `not registered in ZooKeeper any more: TaskManager ${missing.join(', ')}`
      const locations = missing.flatMap((id) => outstanding[id]!)
      return { reconciliation: { ...state, outstanding: missing.reduce(without, outstanding) }, effects: gone(state, locations, cause) }
    }
    case 'deadline': {
      const missing = Object.keys(outstanding)
      const cause = `${missing.join(', ')} did not come back within ${event.waitedMs} ms of the change of leader (heartbeat.timeout)`
      return { reconciliation: { ...state, outstanding: {} }, effects: gone(state, Object.values(outstanding).flat(), cause) }
    }
  }
}

/** Of a process that the record does not name, nothing is known. */
function isMissing(
  taskManagerId: string,
  locations: readonly AttemptLocation[],
  { names, connected }: ReconciliationEvent & { kind: 'registrations-listed' },
): boolean {
  if (connected.has(taskManagerId)) return false
  return locations.every(({ processId }) => processId !== undefined && !names.has(registrationName({ taskManagerId, processId })))
}

export function isReconciled({ outstanding }: Reconciliation): boolean {
  return Object.keys(outstanding).length === 0
}
export function waitsFor({ outstanding }: Reconciliation): string {
  return `waits for ${Object.keys(outstanding).join(', ')} to say which tasks run there`
}

/** Where the job still holds the slot. */
export function holdsSlot(slots: readonly SlotReport[], allocationId: string): boolean {
  return slots.some((slot) => slot.allocationId === allocationId && (slot.state === 'ALLOCATED' || slot.state === 'ACTIVE'))
}

function found(
  { finished }: Reconciliation,
  locations: readonly AttemptLocation[],
  event: ReconciliationEvent & { kind: 'task-manager-registered' },
): readonly ReconciliationEffect[] {
  const { taskManagerId, processId, attempts, slots } = event
  const lost: string[] = []
  const effects: ReconciliationEffect[] = []
  for (const { attemptId, allocationId, processId: recorded } of locations) {
    const report = attempts.find((attempt) => attempt.attemptId === attemptId)
    if (report) effects.push({ kind: 'adopt', report })
    else if (finished.has(attemptId)) effects.push({ kind: 'finished', attemptId })
    else if (recorded === processId && holdsSlot(slots, allocationId)) effects.push({ kind: 'send-again', attemptId })
    else lost.push(attemptId)
  }
  if (lost.length === 0) return effects
  return [...effects, { kind: 'lost', attemptIds: lost, cause: `TaskManager ${taskManagerId} came back without them` }]
}

function gone({ finished }: Reconciliation, locations: readonly AttemptLocation[], cause: string): readonly ReconciliationEffect[] {
  const attempts = locations.map(({ attemptId }) => attemptId)
  const lost = attempts.filter((attemptId) => !finished.has(attemptId))
  return [
    ...attempts.filter((attemptId) => finished.has(attemptId)).map((attemptId) => ({ kind: 'finished', attemptId }) as const),
    ...(lost.length > 0 ? [{ kind: 'lost', attemptIds: lost, cause } as const] : []),
  ]
}

function without<V>(record: Readonly<Record<string, V>>, key: string): Record<string, V> {
  return Object.fromEntries(Object.entries(record).filter(([k]) => k !== key))
}
