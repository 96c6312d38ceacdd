/** Jobs one after another, each with its results in the program: what they gave is one line of JSON. */
import { accumulator, aggregates, discardSink, StreamExecutionEnvironment } from 'flott'
import { dedup } from './dedup.js'
import { calls, sales, words } from './inputs.js'
import { latency } from './latency.js'
import { topProducts } from './top-products.js'

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'parallelism.default': 2 })
const byTime = { timestamp: 'at', maxOutOfOrderness: 0 } as const

console.log('begins') // Once, though slots evaluate the program, too.
const { slow, overall } = latency(env.fromData(calls, { uid: 'calls', watermarks: byTime }))
const slowly = slow.collectAsync()
const averages = await overall.executeAndCollect()
const slowRoutes = []
for await (const route of slowly) slowRoutes.push(route)

const sorted = [...sales].sort((a, b) => a.at - b.at)
const best = await topProducts(env.fromData(sorted, { uid: 'sales', watermarks: byTime })).executeAndCollect()

const repeated = words.map((word, i) => ({ word, at: i }))
const distinct = await dedup(env.fromData(repeated, { uid: 'words', watermarks: byTime }), (w) => w.word, '1 h').executeAndCollect()

const seen = accumulator('seen', aggregates.count())
env
  .fromData(words, 'again')
  .rebalance()
  .process<string>((word, ctx, out) => {
    ctx.runtime.accumulator(seen).add(word)
    out.collect(word)
  }, 'count')
  .sinkTo(discardSink(), 'nowhere')
const result = await env.execute('accumulators')

console.log(JSON.stringify({ averages, slowRoutes, best, distinct, seen: result.accumulator(seen) }))
