/** Runs a source without a cluster: its enumerator and its readers, one poll at a time, stopped and restored wherever a test likes. */
import type { Clock } from '#core/clock.js'
import type { Source, SourceReader, SourceSplit, SplitEnumerator, SplitEnumeratorContext } from '#core/functions/source.js'
import { stubRuntime } from './runtime-context.js'

export interface SourceSnapshot {
  readonly enumerator: unknown
  readonly readers: readonly (readonly SourceSplit[])[]
}

export class SourceDriver<T> {
  readonly records: T[] = []
  readonly ended = new Set<number>()
  readonly #readers: SourceReader<T, SourceSplit>[]
  readonly #enumerator: SplitEnumerator<SourceSplit, unknown>
  /** The periodic listing, where the enumerator asked for one. */
  relist: (() => Promise<void>) | undefined
  #listing: Promise<void> = Promise.resolve()
  /** Split requests wait here, as they do on the wire. */
  readonly #requests: number[] = []

  constructor(source: Source<T, SourceSplit, unknown>, options: { parallelism: number; clock: Clock; restored?: SourceSnapshot }) {
    const { parallelism, clock, restored } = options
    const ctx: SplitEnumeratorContext<SourceSplit> = {
      parallelism,
      registeredReaders: () => this.#readers.map((_, i) => i),
      assignSplit: (split, reader = 0) => this.#readers[reader]!.addSplits([JSON.parse(JSON.stringify(split)) as SourceSplit]),
      signalNoMoreSplits: (reader = 0) => this.#readers[reader]!.notifyNoMoreSplits(),
      callAsync: (task, then, { every } = {}) => {
        const run = async () => then(await task(new AbortController().signal))
        if (every !== undefined) this.relist = run
        this.#listing = run()
      },
    }
    this.#enumerator = source.createEnumerator(ctx, restored?.enumerator)
    this.#readers = Array.from({ length: parallelism }, (_, i) =>
      source.createReader({ runtime: stubRuntime(i, parallelism), clock, sendSplitRequest: () => this.#requests.push(i) }),
    )
    // At another parallelism the splits are dealt anew.
    for (const [i, split] of (restored?.readers.flat() ?? []).entries()) this.#readers[i % parallelism]!.addSplits([split])
    this.#enumerator.start()
    for (let i = 0; i < parallelism; i++) this.#enumerator.addReader?.(i)
  }

  get parallelism(): number {
    return this.#readers.length
  }
  async listed(): Promise<void> {
    await this.#listing
  }
  /** One poll of one reader; what it asked for is answered before the next. */
  poll(reader: number): 'more-available' | 'nothing-available' | 'end-of-input' {
    const status = this.#readers[reader]!.pollNext({ collect: (record) => this.records.push(record) })
    if (status === 'end-of-input') this.ended.add(reader)
    for (const asking of this.#requests.splice(0)) this.#enumerator.handleSplitRequest!(asking)
    return status
  }
  available(reader: number): Promise<void> {
    return this.#readers[reader]!.isAvailable()
  }
  get done(): boolean {
    return this.ended.size === this.#readers.length
  }
  /** Polls the readers in the order given by `pick` until all have ended. */
  drain(pick: () => number = roundRobin(this.#readers.length)): readonly T[] {
    while (!this.done) this.poll(pick())
    return this.records
  }
  /** As a checkpoint holds it: through JSON, so that nothing is shared. */
  snapshot(): SourceSnapshot {
    const snapshot = { enumerator: this.#enumerator.snapshotState(1), readers: this.#readers.map((reader) => reader.snapshotState(1)) }
    return JSON.parse(JSON.stringify(snapshot)) as SourceSnapshot
  }
  /** The reader is lost, with what it has; it begins anew. */
  close(): void {
    for (const reader of this.#readers) void reader.close?.()
  }
}

function roundRobin(count: number): () => number {
  let next = 0
  return () => next++ % count
}
