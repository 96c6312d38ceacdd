/**
 * What collect sinks send to the client. With checkpoints a record is shown only once a checkpoint that covers it is complete, and what a
 * restart replays was never shown before: each record exactly once. Without checkpoints records are shown at once.
 */
export interface CollectedPart {
  readonly attemptId: string
  readonly operatorId: string
  /** The checkpoint that will cover the records. */
  readonly checkpointId: number
  /** Numbered from 1 per attempt and operator; a repeated one is ignored. Absent: each part counts. */
  readonly number?: number
  readonly records: readonly unknown[]
}

/** Records shown and not fetched yet: beyond it, sinks wait. */
const UNFETCHED_MAX = 100_000
/** Records in one answer. */
const FETCH_MAX = 10_000

interface OperatorResults {
  shown: unknown[]
  /** Running number of shown[0]; the first record is 1. */
  first: number
  pending: { readonly attemptId: string; readonly checkpointId: number; readonly records: readonly unknown[] }[]
}

export class CollectedResults {
  readonly #operators = new Map<string, OperatorResults>()
  /** The highest part received, by attempt and operator. */
  readonly #received = new Map<string, number>()

  constructor(
    private readonly checkpointing: boolean,
    private readonly unfetchedMax = UNFETCHED_MAX,
  ) {}

  add(part: CollectedPart): void {
    const key = `${part.attemptId} ${part.operatorId}`
    if (part.number !== undefined) {
      if (part.number <= (this.#received.get(key) ?? 0)) return
      this.#received.set(key, part.number)
    }
    const results = this.#of(part.operatorId)
    if (this.checkpointing) results.pending.push(part)
    else results.shown.push(...part.records)
  }
  /** False: the client has to fetch first. */
  hasRoom(operatorId: string): boolean {
    return (this.#operators.get(operatorId)?.shown.length ?? 0) < this.unfetchedMax
  }
  checkpointCompleted(checkpointId: number): void {
    for (const results of this.#operators.values()) this.#show(results, (pending) => pending.checkpointId <= checkpointId)
  }
  /** The job has finished: everything counts. */
  finished(): void {
    for (const results of this.#operators.values()) this.#show(results, () => true)
  }
  /** The attempts restart from a checkpoint: what was not shown will come again. */
  attemptsGone(isGone: (attemptId: string) => boolean): void {
    for (const results of this.#operators.values()) results.pending = results.pending.filter((pending) => !isGone(pending.attemptId))
    for (const key of [...this.#received.keys()]) if (isGone(key.split(' ')[0]!)) this.#received.delete(key)
  }
  /** Records with a number above `after`, which says that all up to it have arrived; `more`: others are shown already. */
  fetch(operatorId: string, after: number): { records: readonly unknown[]; next: number; more: boolean } {
    const results = this.#operators.get(operatorId)
    if (!results) return { records: [], next: after, more: false }
    const fetched = Math.min(Math.max(after - results.first + 1, 0), results.shown.length)
    results.shown = results.shown.slice(fetched)
    results.first += fetched
    const records = results.shown.slice(0, FETCH_MAX)
    return { records, next: results.first + records.length - 1, more: records.length < results.shown.length }
  }

  #show(results: OperatorResults, covered: (pending: { checkpointId: number }) => boolean): void {
    for (const pending of results.pending) if (covered(pending)) results.shown.push(...pending.records)
    results.pending = results.pending.filter((pending) => !covered(pending))
  }
  #of(operatorId: string): OperatorResults {
    const found = this.#operators.get(operatorId)
    if (found) return found
    const made = { shown: [], first: 1, pending: [] }
    this.#operators.set(operatorId, made)
    return made
  }
}
