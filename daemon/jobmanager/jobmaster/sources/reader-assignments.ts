import type { SourceSplit } from '#core/functions/source.js'
import type { EnumeratorEvent, NumberedEvent } from '#protocol/gateways/task-executor-gateway.js'

/**
 * What one reader was given, numbered. Kept until a completed checkpoint covers it: until then it goes back when the reader is lost, and
 * what was not accepted yet is sent.
 */
export class ReaderAssignments {
  #number: number
  #noMoreSplits: boolean
  #since: readonly NumberedEvent[]
  #outbox: readonly NumberedEvent[] = []

  constructor(
    readonly attemptId: string,
    /** Tells one registration from all others. */
    readonly registration: number,
    restored: { readonly received: number; readonly noMoreSplits: boolean },
    since: readonly NumberedEvent[] = [],
  ) {
    this.#number = Math.max(restored.received, since.at(-1)?.number ?? 0)
    this.#since = since
    this.#noMoreSplits = restored.noMoreSplits || since.some(({ event }) => event.kind === 'no-more-splits')
  }
  /** It was told so, or will be by what is in the outbox. */
  get noMoreSplits(): boolean {
    return this.#noMoreSplits
  }
  /** Of the last event. */
  get number(): number {
    return this.#number
  }
  add(event: EnumeratorEvent): void {
    if (event.kind === 'no-more-splits') this.#noMoreSplits = true
    const numbered = { number: ++this.#number, event }
    this.#since = [...this.#since, numbered]
    this.#outbox = [...this.#outbox, numbered]
  }
  get outbox(): readonly NumberedEvent[] {
    return this.#outbox
  }
  accepted(upTo: number): void {
    this.#outbox = this.#outbox.filter(({ number }) => number > upTo)
  }
  covered(upTo: number): void {
    this.#since = this.#since.filter(({ number }) => number > upTo)
  }
  /** Splits that no completed checkpoint covers. */
  get uncovered(): readonly SourceSplit[] {
    return splitsOf(this.#since)
  }
}

export function splitsOf(events: readonly NumberedEvent[]): readonly SourceSplit[] {
  return events.flatMap(({ event }) => (event.kind === 'splits-assigned' ? (event.splits as readonly SourceSplit[]) : []))
}
