import { StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'pipeline.max-parallelism': 128 })
env
  .fromSequence(1, 9, 'numbers')
  .map((n) => n + 1, { uid: 'wide', parallelism: 200 })
  .print()
await env.execute('too wide')
