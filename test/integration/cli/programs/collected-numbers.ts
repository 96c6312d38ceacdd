/** Collects the numbers below COUNT, RATE a second, and prints how many came, and how many different ones. usage: collected-numbers COUNT RATE */
import { generatorSource, StreamExecutionEnvironment } from 'flott'

const [count = '1000', rate = '1000'] = process.argv.slice(2)
const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'execution.checkpointing.interval': '200 ms' })
const numbers = env
  .fromSource(
    generatorSource((i) => i, { count: Number(count), ratePerSecond: Number(rate) }),
    'numbers',
  )
  .rebalance()
  .map((i) => i)
const got = await numbers.executeAndCollect()
console.log(JSON.stringify({ came: got.length, different: new Set(got).size }))
