/**
 * Squares of 1…COUNT, added up in an accumulator; it also tells which arguments and settings reached it.
 * usage: squares COUNT [anything …]
 */
import { accumulator, discardSink, type RuntimeContext, StreamExecutionEnvironment } from 'flott'

const [count = '10', ...rest] = process.argv.slice(2)
console.error(`squares was given ${JSON.stringify(rest)}`)

const total = accumulator<number, { sum: number }, number>('total', {
  createAccumulator: () => ({ sum: 0 }),
  add: (n, { sum }) => ({ sum: sum + n }),
  getResult: ({ sum }) => sum,
  merge: (a, b) => ({ sum: a.sum + b.sum }),
})
const sink = {
  ...discardSink<number>(),
  createWriter(ctx: RuntimeContext) {
    const adding = ctx.accumulator(total)
    return { write: (n: number) => adding.add(n), flush() {} }
  },
}
const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'parallelism.default': 1, 'pipeline.max-parallelism': 128 })
env
  .fromSequence(1, Number(count), 'numbers')
  .map((n) => n * n, 'squares')
  .sinkTo(sink, 'total')
await env.execute('squares')
