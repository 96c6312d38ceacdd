/**
 * Which chunks of one job this TaskManager keeps a copy of: what its tasks put into the newest checkpoint of whose completion it was told,
 * and what they have put since. A restore begins from a completed checkpoint, so from one of these.
 *
 * State: the copies, by blob; what each snapshot that was acknowledged here refers to, by checkpoint; the newest completed checkpoint.
 * Events and what they lead to
 *   chunk-put                kept, when there is room for it
 *   snapshot-acknowledged    its base and deltas are what a restore from that checkpoint needs
 *   checkpoint-completed     kept is what its snapshots refer to and what is newer; all else goes (a repeated or an older one changes nothing)
 *   checkpoint-aborted       what was put for it, or for an earlier one that did not complete either, goes
 *
 * Invariants: after a completion nothing older is kept than what it refers to; a copy is never needed for correctness, so that one that
 * is missing costs a fetch and nothing else. Copies belong to the job, not to the attempt that put them: the next attempt restores them.
 */
import type { ChunkRef, SubtaskSnapshot } from '#protocol/checkpoint/manifest.js'

export interface LocalCopies {
  /** Their bytes. */
  readonly copies: ReadonlyMap<string, number>
  /** By checkpoint, above `completed` or equal to it: names of chunks. */
  readonly referred: ReadonlyMap<number, ReadonlySet<string>>
  readonly completed: number
}
export const NO_COPIES: LocalCopies = { copies: new Map(), referred: new Map(), completed: 0 }

export type CopiesEvent =
  | { readonly kind: 'chunk-put'; readonly blob: string; readonly bytes: number; readonly room: number }
  | { readonly kind: 'snapshot-acknowledged'; readonly checkpointId: number; readonly snapshot: SubtaskSnapshot }
  | { readonly kind: 'checkpoint-completed'; readonly checkpointId: number }
  | { readonly kind: 'checkpoint-aborted'; readonly checkpointId: number }
  /** It turned out to be missing or damaged. */
  | { readonly kind: 'copy-lost'; readonly blob: string }

/** Copies that `after` has no more are removed, those that it has beyond `before` are written. */
export function stepCopies(before: LocalCopies, event: CopiesEvent): LocalCopies {
  switch (event.kind) {
    case 'chunk-put': {
      const { blob, bytes } = event
      if (bytes > event.room || checkpointOf(blob) <= before.completed) return before
      return { ...before, copies: new Map(before.copies).set(blob, bytes) }
    }
    case 'snapshot-acknowledged': {
      const { checkpointId } = event
      if (checkpointId < before.completed) return before
      const names = new Set([...(before.referred.get(checkpointId) ?? []), ...chunksOf(event.snapshot).map(({ blob }) => blob)])
      return { ...before, referred: new Map(before.referred).set(checkpointId, names) }
    }
    case 'checkpoint-completed': {
      const { checkpointId } = event
      if (checkpointId <= before.completed) return before
      const names = before.referred.get(checkpointId)
      return {
        copies: filtered(before.copies, (blob) => names?.has(blob) || checkpointOf(blob) > checkpointId),
        referred: filtered(before.referred, (id) => id >= checkpointId),
        completed: checkpointId,
      }
    }
    case 'checkpoint-aborted': {
      const { checkpointId } = event
      if (checkpointId <= before.completed) return before
      const names = before.referred.get(before.completed)
      return {
        ...before,
        copies: filtered(before.copies, (blob) => names?.has(blob) || checkpointOf(blob) > checkpointId),
        referred: filtered(before.referred, (id) => id <= before.completed || id > checkpointId),
      }
    }
    case 'copy-lost':
      return { ...before, copies: filtered(before.copies, (blob) => blob !== event.blob) }
  }
}

export function bytesOf({ copies }: LocalCopies): number {
  let bytes = 0
  for (const size of copies.values()) bytes += size
  return bytes
}

/** chunk/<job>/<checkpoint>/<attempt>/<operator id>-<part> */
export function jobOf(blob: string): string {
  return blob.split('/')[1]!
}
function checkpointOf(blob: string): number {
  return Number(blob.split('/')[2])
}

function chunksOf({ operators }: SubtaskSnapshot): readonly ChunkRef[] {
  return Object.values(operators).flatMap(({ keyed, operatorChunk }) => (operatorChunk ? [...keyed, operatorChunk] : keyed))
}
function filtered<K, V>(map: ReadonlyMap<K, V>, keep: (key: K) => boolean | undefined): ReadonlyMap<K, V> {
  return new Map([...map].filter(([key]) => keep(key)))
}
