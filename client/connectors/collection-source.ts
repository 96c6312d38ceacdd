import type { Source, SourceReader, SourceReaderContext, SplitEnumeratorContext } from '#core/functions/source.js'
import { PollSize } from './poll-size.js'
import { fixedSplits } from './split-pool.js'
import { SplitQueue } from './split-queue.js'

interface CollectionSplit {
  readonly splitId: string
  readonly next: number
}

/** Records that the program holds: each slot has them, since it evaluates the program; the split says how far they were read. */
export class CollectionSource<T> implements Source<T, CollectionSplit, readonly CollectionSplit[]> {
  readonly boundedness = 'bounded'
  constructor(private readonly records: readonly T[]) {}
  createEnumerator(ctx: SplitEnumeratorContext<CollectionSplit>, restored: readonly CollectionSplit[] | undefined) {
    return fixedSplits(ctx, restored, () => [{ splitId: 'collection', next: 0 }])
  }
  createReader(ctx: SourceReaderContext): SourceReader<T, CollectionSplit> {
    const { records } = this
    const queue = new SplitQueue<CollectionSplit>(ctx)
    const pollSize = new PollSize(ctx.clock)
    return {
      pollNext(out) {
        const split = queue.current
        if (!split) return queue.empty()
        pollSize.poll((count) => {
          const end = Math.min(records.length, split.next + count)
          for (let i = split.next; i < end; i++) out.collect(records[i]!)
          if (end === records.length) queue.finishCurrent()
          else queue.current = { ...split, next: end }
        })
        return 'more-available'
      },
      isAvailable: () => queue.available(),
      addSplits: (splits) => queue.add(splits),
      notifyNoMoreSplits: () => queue.noMore(),
      snapshotState: () => [...queue.all],
    }
  }
}
