/**
 * How a job leaves TaskManagers that are being drained. It goes on as it is until all is there that the move needs:
 *
 *   settled -> reserving (a replacement for each of its slots there) -> checkpointing -> settled (the tasks move: their regions restart
 *   from that checkpoint in the replacements)
 *
 * Events: `looked`, whenever something may have changed, with how things are; `checkpoint-completed`, of one that was asked for.
 * Whatever comes between sends it back: a failure (the restart uses replacements where slots were lost), another TaskManager that is to
 * go, a replacement that is lost. It never gives up: the TaskManager does, when its time is over.
 *
 * Invariants: tasks that run are stopped only when every slot that they need is reserved elsewhere and a checkpoint has completed after
 * that; a job without checkpoints is never moved; a slot is given back only when nothing runs in it any more (slot-pool.ts: retired).
 */
export type DrainPhase = 'settled' | 'reserving' | 'checkpointing'

export interface DrainView {
  /** Keys of the slots that the job holds on TaskManagers that are to go. */
  readonly leaving: readonly string[]
  /** Those that have a replacement. */
  readonly replaced: ReadonlySet<string>
  /** All tasks run, or have finished. */
  readonly runs: boolean
  readonly takesCheckpoints: boolean
}
export type DrainEvent = { readonly kind: 'looked' | 'checkpoint-completed'; readonly view: DrainView }
export type DrainEffect =
  /** For each of these that has none and none is asked for. */
  | { readonly kind: 'acquire-replacements'; readonly keys: readonly string[] }
  | { readonly kind: 'take-checkpoint' }
  | { readonly kind: 'move'; readonly keys: readonly string[] }

export function stepDrain(phase: DrainPhase, { kind, view }: DrainEvent): { phase: DrainPhase; effects: readonly DrainEffect[] } {
  const { leaving, replaced, runs, takesCheckpoints } = view
  if (leaving.length === 0 || !takesCheckpoints) return { phase: 'settled', effects: [] }
  const keys = leaving.filter((key) => !replaced.has(key))
  if (keys.length > 0) return { phase: 'reserving', effects: [{ kind: 'acquire-replacements', keys }] }
  if (!runs) return { phase: 'reserving', effects: [] }
  if (phase !== 'checkpointing') return { phase: 'checkpointing', effects: [{ kind: 'take-checkpoint' }] }
  return kind === 'checkpoint-completed' ? { phase: 'settled', effects: [{ kind: 'move', keys: leaving }] } : { phase, effects: [] }
}
