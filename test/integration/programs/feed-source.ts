/** A source of the program's own: shards of an HTTP feed, found as they appear, each read from its offset. `feed-source URL COUNT` */
import { fetchingReader, type Source, type SourceReaderContext, type SplitEnumeratorContext, StreamExecutionEnvironment } from 'flott'

export interface Tick {
  symbol: string
  price: number
}
interface Shard {
  splitId: string
  offset: number
}
const get = async <R>(url: string, signal: AbortSignal) => (await (await fetch(url, { signal })).json()) as R

export class FeedSource implements Source<Tick, Shard, readonly string[]> {
  readonly boundedness = 'continuous-unbounded'
  constructor(private readonly url: string) {}
  createEnumerator(ctx: SplitEnumeratorContext<Shard>, restored: readonly string[] = []) {
    const known = new Set(restored)
    return {
      start: () =>
        ctx.callAsync(
          (signal) => get<string[]>(`${this.url}/shards`, signal),
          (ids) => {
            for (const splitId of ids)
              if (!known.has(splitId)) {
                known.add(splitId)
                ctx.assignSplit({ splitId, offset: 0 })
              }
          },
          { every: '100 ms' },
        ),
      addSplitsBack: (shards: readonly Shard[]) => {
        for (const shard of shards) ctx.assignSplit(shard)
      },
      snapshotState: () => [...known],
    }
  }
  createReader(ctx: SourceReaderContext) {
    return fetchingReader(ctx, async (shard: Shard, signal) => {
      const records = await get<Tick[]>(`${this.url}/shards/${shard.splitId}?after=${shard.offset}`, signal)
      return { records, next: { ...shard, offset: shard.offset + records.length } }
    })
  }
}

const [url = '', count] = process.argv.slice(2)
const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'parallelism.default': 2 })
const ticks = await env.fromSource(new FeedSource(url), 'feed').executeAndCollect(Number(count))
console.log(JSON.stringify(ticks))
