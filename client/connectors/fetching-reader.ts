import type { Timer } from '#core/clock.js'
import type { SourceReader, SourceReaderContext, SourceSplit } from '#core/functions/source.js'
import { SplitQueue } from './split-queue.js'

/** One request: the records behind the split's position, and the split at its new one; null ends it. */
export type Fetch<T, S> = (split: S, signal: AbortSignal) => Promise<{ readonly records: readonly T[]; readonly next: S | null }>

const PAUSE_MS = 100 // After an empty answer, so that an idle feed is not asked without pause.

interface Fetched<T, S> {
  readonly records: readonly T[]
  readonly next: S | null
}
/** One split, and what was fetched for it and not yet given out. */
interface Progress<T, S> {
  split: S
  fetched?: Fetched<T, S> | undefined
  error?: Error
  timer?: Timer
}

/** The reader that most sources want: one fetch in flight a split, a pause after an empty one, the position in the split. */
export function fetchingReader<T, S extends SourceSplit>(ctx: SourceReaderContext, fetch: Fetch<T, S>): SourceReader<T, S> {
  const waiting = new SplitQueue<S>(ctx)
  const splits = new Map<string, Progress<T, S>>()
  const abort = new AbortController()
  let noMore = false

  function request(progress: Progress<T, S>): void {
    fetch(progress.split, abort.signal).then(
      (fetched) => {
        progress.fetched = fetched
        waiting.wake()
      },
      (cause: unknown) => {
        progress.error = cause instanceof Error ? cause : new Error(String(cause))
        waiting.wake()
      },
    )
  }
  /** All records of an answer were given out: the position moves to behind them. */
  function advance(progress: Progress<T, S>, { records, next }: Fetched<T, S>): void {
    progress.fetched = undefined
    if (next === null) return void splits.delete(progress.split.splitId)
    progress.split = next
    if (records.length > 0) request(progress)
    else progress.timer = ctx.clock.setTimer(PAUSE_MS, () => request(progress))
  }
  return {
    pollNext(out) {
      for (const progress of splits.values()) {
        if (progress.error) throw progress.error
        const { fetched } = progress
        if (!fetched) continue
        for (const record of fetched.records) out.collect(record) // All at once: the split's position is behind all of them.
        advance(progress, fetched)
        return 'more-available'
      }
      if (splits.size === 0 && noMore) return 'end-of-input'
      return splits.size === 0 ? waiting.empty() : 'nothing-available'
    },
    isAvailable() {
      const ready = [...splits.values()].some(({ fetched, error }) => fetched ?? error)
      return ready || (splits.size === 0 && noMore) ? Promise.resolve() : waiting.untilWoken()
    },
    addSplits(added) {
      for (const split of added) {
        const progress: Progress<T, S> = { split }
        splits.set(split.splitId, progress)
        request(progress)
      }
      waiting.add([]) // Answered: it may ask again.
    },
    notifyNoMoreSplits() {
      noMore = true
      waiting.noMore()
    },
    snapshotState: () => [...splits.values()].map(({ split }) => split),
    close() {
      abort.abort()
      for (const { timer } of splits.values()) timer?.cancel()
    },
  }
}
