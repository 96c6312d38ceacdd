/** The best sellers of each minute: count per product and window, then rank per window end. */
import { aggregates, type DataStream, listState, windows } from 'flott'

interface Count {
  product: string
  n: number
  end: number
}
const counts = listState<Count>('counts')

export const topProducts = (sales: DataStream<{ product: string }>, size = 3) =>
  sales
    .keyBy('product')
    .window(windows.tumbling('1 min'))
    .aggregate(aggregates.count(), (n, ctx): Count => ({ product: ctx.currentKey, n, end: ctx.window.end }), 'count')
    .keyBy('end')
    .process<{ minute: number; products: string[] }>(
      {
        processElement(count, ctx) {
          ctx.getState(counts).add(count)
          ctx.timerService.registerEventTimeTimer(count.end)
        },
        onTimer(end, ctx, out) {
          const best = [...ctx.getState(counts)].sort((a, b) => b.n - a.n).slice(0, size)
          out.collect({ minute: end, products: best.map((c) => c.product) })
          ctx.getState(counts).clear()
        },
      },
      { uid: 'rank', state: [counts] },
    )
