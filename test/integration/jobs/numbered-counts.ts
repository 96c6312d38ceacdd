/**
 * The workload of the fault tests: RECORDS numbers at a limited rate, counted by key, each count written exactly once to OUTPUT. The
 * right output is known without running it: key k has the lines 'k 1' … 'k n', each once.
 * usage: numbered-counts RECORDS KEYS RATE OUTPUT
 */
import {
  type Collector,
  fileSink,
  formats,
  generatorSource,
  type KeyedContext,
  KeyedProcessFunction,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const [records, keys, rate, output = ''] = process.argv.slice(2)
const keyCount = Number(keys)

const count = valueState('count', { initial: 0 })
class Count extends KeyedProcessFunction<number, { key: number }, string> {
  readonly #count = this.getState(count)
  processElement(record: { key: number }, _ctx: KeyedContext<number>, out: Collector<string>) {
    out.collect(`${record.key} ${++this.#count.value}`)
  }
}

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'execution.checkpointing.interval': '500 ms', 'parallelism.default': 4 })
env
  .fromSource(
    generatorSource((i) => ({ key: i % keyCount }), { count: Number(records), ratePerSecond: Number(rate) }),
    'numbers',
  )
  .keyBy('key')
  .process(new Count(), 'counts')
  .sinkTo(fileSink(output, formats.lines), 'files')
await env.execute('numbered counts')
