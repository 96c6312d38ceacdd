/**
 * Counts the words of text files, exactly once: `word-count --input 'books/*.txt' --output counts [--rate LINES_PER_SECOND]
 * [--parallelism N] [--checkpoint-interval '1 s']`. When all input has been read, each word's final count is one line 'count word'
 * in the files of the output directory.
 */
import { parseArgs } from 'node:util'
import {
  type Collector,
  type Configuration,
  type Duration,
  fileSink,
  fileSource,
  formats,
  type KeyedContext,
  KeyedProcessFunction,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const count = valueState('count', { initial: 0 })

/** The end of bounded input is a watermark behind every time stamp, so that a timer at the last instant fires then, and only then. */
export class CountUntilTheEnd extends KeyedProcessFunction<string, string, string> {
  readonly #count = this.getState(count)
  processElement(_word: string, { timerService }: KeyedContext<string>) {
    if (this.#count.value === 0) timerService.registerEventTimeTimer(Number.MAX_SAFE_INTEGER)
    this.#count.value++
  }
  override onTimer(_timestamp: number, ctx: KeyedContext<string>, out: Collector<string>) {
    out.collect(`${this.#count.value} ${ctx.currentKey}`)
  }
}

const { values } = parseArgs({
  options: {
    input: { type: 'string' },
    output: { type: 'string' },
    rate: { type: 'string' },
    parallelism: { type: 'string' },
    'checkpoint-interval': { type: 'string' },
  },
})
const { input, output, rate, parallelism, 'checkpoint-interval': interval } = values
if (input === undefined || output === undefined) throw new Error('usage: word-count --input GLOB --output DIRECTORY')

const settings: Configuration = {
  ...(parallelism === undefined ? {} : { 'parallelism.default': Number(parallelism) }),
  ...(interval === undefined ? {} : { 'execution.checkpointing.interval': interval as Duration }),
}
const env = StreamExecutionEnvironment.getExecutionEnvironment(settings)
env
  .fromSource(fileSource(input, formats.lines, rate === undefined ? {} : { ratePerSecond: Number(rate) }), 'lines')
  .flatMap((line) => line.match(/[A-Za-z]+/g) ?? [], 'words')
  .keyBy((word) => word)
  .process(new CountUntilTheEnd(), 'counts')
  .sinkTo(fileSink(output, formats.lines), 'files')
await env.execute('word count')
