/** Wherever it is started: a cluster of its own. */
import { StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.createLocalEnvironment({ 'parallelism.default': 2 })
const squares = await env
  .fromSequence(1, 5, 'numbers')
  .map((n) => n * n, 'squares')
  .executeAndCollect()
console.log(squares.sort((a, b) => a - b).join(' '))
