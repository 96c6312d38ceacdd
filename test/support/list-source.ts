import type { Source, SourceReader, SourceReaderContext, SourceSplit } from '#core/functions/source.js'

export interface ListSplit extends SourceSplit {
  from: number
  readonly to: number
}

export interface ListSourceOptions {
  /** The record at a position. */
  readonly record?: (position: number) => unknown
  readonly timestamp?: (position: number) => number
  /** Nothing is available beyond this, until it is raised. */
  readonly gate?: { limit: number; changed?: () => void }
  readonly recordsPerPoll?: number
}

/** Splits are ranges of numbers; a reader reads them one after the other. There is no enumerator: tests assign. */
export function listSource(options: ListSourceOptions = {}): Source<unknown, SourceSplit, unknown> {
  return {
    boundedness: 'bounded',
    createEnumerator: () => {
      throw new Error('tests assign splits')
    },
    createReader: (ctx: SourceReaderContext) => new ListReader(ctx, options) as unknown as SourceReader<unknown, SourceSplit>,
  }
}

class ListReader implements SourceReader<unknown, ListSplit> {
  #splits: ListSplit[] = []
  #noMore = false
  constructor(
    _ctx: SourceReaderContext,
    private readonly options: ListSourceOptions,
  ) {}
  pollNext(out: { collect: (record: unknown, timestamp?: number) => void }): 'more-available' | 'nothing-available' | 'end-of-input' {
    const { record = (n) => n, timestamp, gate, recordsPerPoll = 1 } = this.options
    for (let i = 0; i < recordsPerPoll; i++) {
      const split = this.#splits[0]
      if (!split) return this.#noMore ? 'end-of-input' : 'nothing-available'
      if (split.from >= split.to) {
        this.#splits.shift()
        continue
      }
      if (gate && split.from >= gate.limit) return 'nothing-available'
      const position = split.from++
      if (timestamp) out.collect(record(position), timestamp(position))
      else out.collect(record(position))
    }
    return 'more-available'
  }
  isAvailable(): Promise<void> {
    const { gate } = this.options
    return new Promise((resolve) => {
      if (gate) gate.changed = resolve
    })
  }
  addSplits(splits: readonly ListSplit[]): void {
    for (const split of splits) this.#splits.push({ ...split })
  }
  notifyNoMoreSplits(): void {
    this.#noMore = true
  }
  snapshotState(): readonly ListSplit[] {
    return this.#splits.map((split) => ({ ...split }))
  }
}
