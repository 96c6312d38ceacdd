/** A job whose function fails once: `recovering MARK` makes the file MARK then, and goes on from a checkpoint. */
import { existsSync, writeFileSync } from 'node:fs'
import { generatorSource, StreamExecutionEnvironment } from 'flott'

const [mark = ''] = process.argv.slice(2)
const env = StreamExecutionEnvironment.getExecutionEnvironment({
  'execution.checkpointing.interval': '100 ms',
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.delay': '10 ms',
})
const sums = await env
  .fromSource(
    generatorSource((i) => ({ key: i % 3, n: 1 }), { count: 600, ratePerSecond: 600 }),
    'numbers',
  )
  .keyBy('key')
  .sum('n', 'sums')
  .filter((sum) => {
    if (sum.n === 150 && !existsSync(mark)) {
      writeFileSync(mark, '')
      throw new Error('once')
    }
    return sum.n === 200
  }, 'fails-once')
  .executeAndCollect()
console.log(JSON.stringify(sums))
