/** Incremental aggregation, then a function that sees key and window; the results are windowed again. */
import { aggregates, type DataStream, windows } from 'flott'

export function latency(calls: DataStream<{ route: string; ms: number }>) {
  const perRoute = calls
    .keyBy('route')
    .window(windows.tumbling('1 s'))
    .aggregate(
      {
        createAccumulator: () => ({ n: 0, sum: 0 }),
        add: (call, acc) => {
          acc.n++
          acc.sum += call.ms
          return acc
        },
        getResult: (acc) => acc.sum / acc.n,
      },
      (mean, ctx) => ({ route: ctx.currentKey, end: ctx.window.end, mean }),
      'per-route',
    )
  return {
    slow: perRoute.filter((r) => r.mean > 800),
    overall: perRoute.windowAll(windows.tumbling('1 s')).aggregate(aggregates.average('mean'), 'overall'),
  }
}
