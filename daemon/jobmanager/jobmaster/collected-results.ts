/**
 * What collect sinks send to the client. A sink numbers its groups, and sends one again when it does not know that it arrived: after a
 * restore, or because an answer was lost. Each group is shown once.
 */
export interface CollectedGroup {
  readonly attemptId: string
  readonly operatorId: string
  readonly subtaskIndex: number
  /** With checkpoints: the one that covers the records, which is complete. Without: a number that each attempt counts from 1. */
  readonly checkpointId: number
  readonly records: readonly unknown[]
}

/** Records not fetched yet: beyond it, sinks wait. */
const UNFETCHED_MAX = 100_000
/** Records in one answer. */
const FETCH_MAX = 10_000

interface OperatorResults {
  records: unknown[]
  /** Running number of records[0]; undefined before the first fetch, which says where the numbers of an earlier reign have ended. */
  first: number | undefined
  readonly seen: Set<string>
}

export class CollectedResults {
  readonly #operators = new Map<string, OperatorResults>()

  constructor(
    private readonly checkpointing: boolean,
    private readonly unfetchedMax = UNFETCHED_MAX,
  ) {}

  add({ attemptId, operatorId, subtaskIndex, checkpointId, records }: CollectedGroup): void {
    const results = this.#of(operatorId)
    const group = this.checkpointing ? `${subtaskIndex}/${checkpointId}` : `${attemptId}/${checkpointId}`
    if (results.seen.has(group)) return
    results.seen.add(group)
    for (const record of records) results.records.push(record)
  }
  /** False: the client has to fetch first. */
  hasRoom(operatorId: string): boolean {
    return (this.#operators.get(operatorId)?.records.length ?? 0) < this.unfetchedMax
  }
  /** Records with a number above `after`, which says that all up to it have arrived; `more`: others are there already. */
  fetch(operatorId: string, after: number): { records: readonly unknown[]; next: number; more: boolean } {
    const results = this.#operators.get(operatorId)
    if (!results) return { records: [], next: after, more: false }
    const before = results.first ?? after + 1
    const fetched = Math.min(Math.max(after - before + 1, 0), results.records.length)
    const first = before + fetched
    results.first = first
    results.records = results.records.slice(fetched)
    const records = results.records.slice(0, FETCH_MAX)
    return { records, next: first + records.length - 1, more: records.length < results.records.length }
  }

  #of(operatorId: string): OperatorResults {
    const found = this.#operators.get(operatorId)
    if (found) return found
    const made = { records: [], first: undefined, seen: new Set<string>() }
    this.#operators.set(operatorId, made)
    return made
  }
}
