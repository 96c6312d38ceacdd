/** A program that ends before its job does: `leaving exit` calls process.exit, `leaving signal` handles SIGINT by cancelling the job. */
import { generatorSource, StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.getExecutionEnvironment()
env
  .fromSource(
    generatorSource((i) => i, { ratePerSecond: 100 }),
    'numbers',
  )
  .print('n')
const job = await env.executeAsync('endless')
if (process.argv[2] === 'exit') process.exit(7)
process.once('SIGINT', () => void job.cancel())
await job.getJobExecutionResult().catch((error: { code: string }) => console.log(error.code, process.exitCode))
