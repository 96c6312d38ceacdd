/**
 * The workload of the fault tests: RECORDS numbers at a limited rate, counted by key, each count written exactly once to OUTPUT. The
 * right output is known without running it: key k has the lines 'k 1' … 'k n', each once.
 * With STAMPS, the time of each record is appended to the files STAMPS.<subtask>, at once and whatever becomes of the record.
 * usage: numbered-counts RECORDS KEYS RATE OUTPUT [STAMPS]
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import {
  type Collector,
  fileSink,
  formats,
  generatorSource,
  type KeyedContext,
  KeyedProcessFunction,
  type RuntimeContext,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const [records, keys, rate, output = '', stamps] = process.argv.slice(2)
const keyCount = Number(keys)

const count = valueState('count', { initial: 0 })
class Count extends KeyedProcessFunction<number, { key: number }, string> {
  readonly #count = this.getState(count)
  #stamps = -1
  override open({ taskInfo }: RuntimeContext) {
    if (stamps !== undefined) this.#stamps = openSync(`${stamps}.${taskInfo.indexOfThisSubtask}`, 'a')
  }
  override close() {
    if (this.#stamps >= 0) closeSync(this.#stamps)
  }
  processElement(record: { key: number }, _ctx: KeyedContext<number>, out: Collector<string>) {
    if (this.#stamps >= 0) writeSync(this.#stamps, `${Date.now()}\n`)
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
