/**
 * The workloads that are compared with other engines, in the public API. usage: peer-jobs chain|keyed|words|probe RECORDS [KEYS|FILE]
 * (parallelism by -p). Same records, same number and uniformity of keys as the Java program beside them; not the same bits.
 */
import { appendFileSync, closeSync, openSync, writeSync } from 'node:fs'
import {
  type Collector,
  type Context,
  discardSink,
  generatorSource,
  type KeyedContext,
  KeyedProcessFunction,
  ProcessFunction,
  type RuntimeContext,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const [job = '', recordsText = '0', last = ''] = process.argv.slice(2)
const records = Number(recordsText)
const env = StreamExecutionEnvironment.getExecutionEnvironment(job === 'probe' ? { 'execution.buffer-timeout.interval': 10 } : {})

interface Event {
  readonly key: string
  readonly time: number
  readonly value: number
  readonly kind: number
  readonly note: string
}

const n = valueState('n', { initial: 0 })
class Count extends KeyedProcessFunction<string, Event, number> {
  readonly #n = this.getState(n)
  processElement(_event: Event, _ctx: KeyedContext<string>, out: Collector<number>) {
    out.collect(++this.#n.value)
  }
}

const WORDS = (
  'the of and to in a is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your ' +
  'which their said if do will each about how up out them then she many some so these would other into has'
).split(' ')

/** Appends a time stamp a record to a file, so that gaps in the output show. */
class Stamp extends ProcessFunction<number, number> {
  #file = -1
  constructor(private readonly path: string) {
    super()
  }
  override open({ taskInfo }: RuntimeContext) {
    this.#file = openSync(`${this.path}.${taskInfo.indexOfThisSubtask}`, 'a')
  }
  processElement(i: number, _ctx: Context, out: Collector<number>) {
    writeSync(this.#file, `${Date.now()} ${i}\n`)
    out.collect(i)
  }
  override close() {
    if (this.#file >= 0) closeSync(this.#file)
  }
}

switch (job) {
  case 'chain':
    env
      .fromSequence(0, records - 1)
      .map((x) => x + 1)
      .filter((x) => (x & 7) !== 0)
      .map((x) => x * 3)
      .filter((x) => x % 5 !== 0)
      .map((x) => x ^ 0x55)
      .sinkTo(discardSink())
    break
  case 'keyed': {
    const keys = Number(last)
    env
      .fromSequence(0, records - 1)
      // A multiplicative hash spreads consecutive numbers evenly over the keys, as the Java program's does.
      .map(
        (i): Event => ({
          key: `user-${(((Math.imul(i, 0x9e3779b1) >>> 0) / 256) >>> 0) % keys}`,
          time: i,
          value: i * 0.5,
          kind: i & 7,
          note: `note-${i & 1023}`,
        }),
      )
      .keyBy('key')
      .process(new Count())
      .sinkTo(discardSink())
    break
  }
  case 'words':
    env
      .fromSequence(0, records - 1)
      .flatMap<{ word: string; count: number }>((i, out) => {
        let line = ''
        for (let k = 0; k < 10; k++) line += `${k === 0 ? '' : ' '}${WORDS[((i * 31 + k * 17) & 63) % WORDS.length]}`
        for (const word of line.split(' ')) out.collect({ word, count: 1 })
      })
      .keyBy('word')
      .sum('count')
      .sinkTo(discardSink())
    break
  case 'probe':
    env
      .fromSource(
        generatorSource((i) => i, { count: records, ratePerSecond: 200 }),
        'numbers',
      )
      .keyBy((i) => i & 15)
      .process(new Stamp(last))
      .sinkTo(discardSink())
    break
  default:
    appendFileSync(2, `usage: peer-jobs chain|keyed|words|probe RECORDS [KEYS|FILE]\n`)
    process.exit(2)
}
await env.execute(`peer-${job}`)
