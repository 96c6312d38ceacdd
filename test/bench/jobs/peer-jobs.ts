/**
 * The workloads that are compared with other engines, in the public API.
 * usage: peer-jobs chain|keyed|words RECORDS [KEYS] | probe RECORDS FILE [STATE_MB]
 * (parallelism by -p). Same records, same number and uniformity of keys as the Java program beside them; not the same bits.
 */
import { appendFileSync, closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import {
  type Collector,
  discardSink,
  generatorSource,
  type KeyedContext,
  KeyedProcessFunction,
  mapState,
  type RuntimeContext,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const [job = '', recordsText = '0', last = '', stateText = '0'] = process.argv.slice(2)
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

const PROBE_KEYS = 16
const ENTRY = 'x'.repeat(1000)
const entries = mapState<number, string>('entries')

/**
 * Appends a time stamp a record to a file, so that gaps in the output show. Each key holds its part of the state from its first record
 * on. Who finds FILE.lose takes its slot worker with it.
 */
class Stamp extends KeyedProcessFunction<number, number, number> {
  readonly #seen = this.getState(n)
  readonly #entries = this.getState(entries)
  #file = -1
  constructor(
    private readonly path: string,
    private readonly entriesPerKey: number,
  ) {
    super()
  }
  override open({ taskInfo }: RuntimeContext) {
    this.#file = openSync(`${this.path}.${taskInfo.indexOfThisSubtask}`, 'a')
  }
  processElement(i: number, _ctx: KeyedContext<number>, out: Collector<number>) {
    if (this.#isToBeLost()) process.exit(1)
    if (this.#seen.value++ === 0) for (let entry = 0; entry < this.entriesPerKey; entry++) this.#entries.set(entry, `${ENTRY}${entry}`)
    writeSync(this.#file, `${Date.now()} ${i}\n`)
    out.collect(i)
  }
  override close() {
    if (this.#file >= 0) closeSync(this.#file)
  }
  #isToBeLost(): boolean {
    try {
      unlinkSync(`${this.path}.lose`)
      return true
    } catch {
      return false
    }
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
      .keyBy((i) => i % PROBE_KEYS)
      .process(new Stamp(last, Math.round((Number(stateText) * 2 ** 20) / PROBE_KEYS / ENTRY.length)))
      .sinkTo(discardSink())
    break
  default:
    appendFileSync(2, `usage: peer-jobs chain|keyed|words RECORDS [KEYS] | probe RECORDS FILE [STATE_MB]\n`)
    process.exit(2)
}
await env.execute(`peer-${job}`)
