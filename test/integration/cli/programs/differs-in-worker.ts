import { StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.getExecutionEnvironment()
env
  .fromSequence(1, 9, 'numbers')
  .map((n) => n + 1, `of-process-${process.pid}`)
  .print()
await env.execute('another graph in each process')
