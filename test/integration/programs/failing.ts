/** A job that fails at its second record: `failing catch` says what execute rejected with, `failing` lets it end the program. */
import { StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.getExecutionEnvironment()
env
  .fromData([1, 2, 3], 'numbers')
  .map((n) => {
    if (n === 2) throw new RangeError('two is too many')
    return n
  }, 'refuse')
  .print()
const running = env.execute('failing')
if (process.argv[2] === 'catch') {
  const error = (await running.catch((reason: unknown) => reason)) as Error & { code: string }
  const chain: string[] = []
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) chain.push(String(cause.stack))
  console.log(JSON.stringify({ code: error.code, message: error.message, chain }))
} else await running
