/** Runs until it is stopped: prints 0, 1000, 2000, … */
import { generatorSource, StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.getExecutionEnvironment()
env
  .fromSource(
    generatorSource((i) => i, { ratePerSecond: 2_000 }),
    'numbers',
  )
  .filter((i) => i % 1_000 === 0)
  .print()
await env.execute('endless')
