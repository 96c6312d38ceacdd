import { FlottError } from '#core/errors.js'
import type { Source, SourceOutput, SourceReader, SourceReaderContext, SplitEnumeratorContext } from '#core/functions/source.js'
import { PollSize } from './poll-size.js'
import { RateLimiter } from './rate-limiter.js'
import { fixedSplits } from './split-pool.js'
import { SplitQueue } from './split-queue.js'

/** The integers `next`, `next + step` … up to `last`. */
interface SequenceSplit {
  readonly splitId: string
  readonly next: number
  readonly step: number
  /** null: without end (JSON has no Infinity). */
  readonly last: number | null
}

interface GeneratorOptions {
  /** How many records in all; absent: without end. */
  readonly count?: number
  /** Records a second, over all subtasks; absent: as fast as they are taken. */
  readonly ratePerSecond?: number
}

abstract class NumberedSource<T> implements Source<T, SequenceSplit, readonly SequenceSplit[]> {
  abstract readonly boundedness: 'bounded' | 'continuous-unbounded'
  protected constructor(
    private readonly make: ((index: number) => T) | undefined,
    private readonly ratePerSecond: number | undefined,
  ) {}
  protected abstract splits(parallelism: number): readonly SequenceSplit[]

  createEnumerator(ctx: SplitEnumeratorContext<SequenceSplit>, restored: readonly SequenceSplit[] | undefined) {
    return fixedSplits(ctx, restored, (parallelism) => this.splits(parallelism))
  }
  createReader(ctx: SourceReaderContext): SourceReader<T, SequenceSplit> {
    const { make, ratePerSecond } = this
    const queue = new SplitQueue<SequenceSplit>(ctx)
    const limiter =
      ratePerSecond === undefined ? undefined : new RateLimiter(ctx.clock, ratePerSecond / ctx.runtime.taskInfo.numberOfParallelSubtasks)
    const pollSize = new PollSize(ctx.clock)
    let limited = false
    const collect = (split: SequenceSplit, count: number, out: SourceOutput<T>) => {
      const { step } = split
      const last = split.last ?? Number.MAX_SAFE_INTEGER
      const end = Math.min(last, split.next + (count - 1) * step)
      let next = split.next
      if (make) for (; next <= end; next += step) out.collect(make(next))
      else for (; next <= end; next += step) out.collect(next as T)
      if (next > last) queue.finishCurrent()
      else queue.current = { splitId: split.splitId, next, step, last: split.last }
    }
    return {
      pollNext(out) {
        const split = queue.current
        if (!split) return queue.empty()
        pollSize.poll((records) => {
          const permits = limiter ? limiter.take(records) : records
          limited = permits === 0
          if (!limited) collect(split, permits, out)
        })
        return limited ? 'nothing-available' : 'more-available'
      },
      isAvailable() {
        if (!limited) return queue.available()
        const woken = queue.untilWoken()
        limiter!.onPermit(() => queue.wake())
        return woken
      },
      addSplits: (splits) => queue.add(splits),
      notifyNoMoreSplits: () => queue.noMore(),
      snapshotState: () => [...queue.all],
      close: () => limiter?.close(),
    }
  }
}

/** All integers from the first to the last, cut into one range a subtask. */
export class SequenceSource extends NumberedSource<number> {
  readonly boundedness = 'bounded'
  constructor(
    private readonly from: number,
    private readonly to: number,
  ) {
    super(undefined, undefined)
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to))
      throw new FlottError('INVALID_ARGUMENT', `a sequence from ${from} to ${to}: whole numbers`)
  }
  protected splits(parallelism: number): readonly SequenceSplit[] {
    const count = Math.max(0, this.to - this.from + 1)
    const cut = (i: number) => this.from + Math.floor((count * i) / parallelism)
    return Array.from({ length: parallelism }, (_, i) => ({ splitId: `range-${i}`, next: cut(i), step: 1, last: cut(i + 1) - 1 })).filter(
      ({ next, last }) => next <= last,
    )
  }
}

class GeneratorSource<T> extends NumberedSource<T> {
  readonly boundedness: 'bounded' | 'continuous-unbounded'
  constructor(
    make: (index: number) => T,
    private readonly options: GeneratorOptions,
  ) {
    const { count, ratePerSecond } = options
    if (ratePerSecond !== undefined && !(ratePerSecond > 0))
      throw new FlottError('INVALID_ARGUMENT', `${ratePerSecond} records a second: above 0`)
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) throw new FlottError('INVALID_ARGUMENT', `a count of ${count}`)
    super(make, ratePerSecond)
    this.boundedness = count === undefined ? 'continuous-unbounded' : 'bounded'
  }
  /** Every so-many-th index, so that records are in order across subtasks too, more or less. */
  protected splits(parallelism: number): readonly SequenceSplit[] {
    const { count } = this.options
    return Array.from({ length: parallelism }, (_, i) => ({
      splitId: `stride-${i}`,
      next: i,
      step: parallelism,
      last: count === undefined ? null : count - 1,
    })).filter(({ next, last }) => last === null || next <= last)
  }
}

/** Records made from their index, 0, 1, 2 …; the same index makes the same record again after a restore. */
export function generatorSource<T>(
  make: (index: number) => T,
  options: GeneratorOptions = {},
): Source<T, { readonly splitId: string }, unknown> {
  return new GeneratorSource(make, options) as unknown as Source<T, { readonly splitId: string }, unknown>
}
