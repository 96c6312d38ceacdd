/**
 * A job that does one wrong thing, or none.
 * usage: misbehaves throws|runs-on|outgrows-its-memory|keeps-an-array|keeps-buffers|
 *   blocks|blocks-in-process|blocks-in-open|blocks-in-library|blocks-in-native
 */
import { execFileSync } from 'node:child_process'
import {
  type Collector,
  discardSink,
  generatorSource,
  type KeyedContext,
  KeyedProcessFunction,
  mapState,
  StreamExecutionEnvironment,
} from 'flott'

const [what = 'runs-on'] = process.argv.slice(2)

const seen = mapState<number, string>('seen')
class RemembersAll extends KeyedProcessFunction<number, number, number> {
  readonly #seen = this.getState(seen)
  processElement(n: number, _ctx: KeyedContext<number>, _out: Collector<number>) {
    this.#seen.set(n, `${n} `.repeat(200))
  }
}
/** Never returns from the place that it is told. */
class Spins extends KeyedProcessFunction<number, number, number> {
  constructor(private readonly place: 'open' | 'processElement') {
    super()
  }
  override open() {
    if (this.place === 'open') spin(10)
  }
  processElement(n: number, _ctx: KeyedContext<number>, _out: Collector<number>) {
    if (n >= 10) for (let turns = 0; ; turns++) if (turns < 0) break
  }
}
function parse(n: number): number {
  if (n === 100) throw new RangeError(`${n} is out of range`)
  return n
}
function spin(n: number): number {
  while (n >= 10) n++
  return n
}
const text = JSON.stringify({ numbers: Array.from({ length: 1_000 }, (_, i) => i) })
function parsesForEver(n: number): number {
  let last: unknown
  while (n >= 10) last = JSON.parse(text)
  return last === undefined ? n : 0
}
function sleeps(n: number): number {
  if (n === 10) execFileSync('sleep', ['12'])
  return n
}
const kept: unknown[] = []
function keepsAnArray(n: number): number {
  kept.push({ n, text: `${n} `.repeat(20) })
  return n
}
function keepsBuffers(n: number): number {
  kept.push(new Uint8Array(64 * 1024))
  return n
}

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'restart-strategy.type': 'none' })
const fast = what === 'outgrows-its-memory' || what === 'keeps-an-array'
const numbers = env.fromSource(
  generatorSource((i) => i, fast ? {} : { ratePerSecond: 1_000 }),
  'numbers',
)
if (what === 'throws') numbers.map(parse, 'parse').sinkTo(discardSink(), 'sink')
else if (what === 'blocks') numbers.map(spin, 'spin').sinkTo(discardSink(), 'sink')
else if (what === 'blocks-in-library') numbers.map(parsesForEver, 'parses for ever').sinkTo(discardSink(), 'sink')
else if (what === 'blocks-in-native') numbers.map(sleeps, 'sleeps').sinkTo(discardSink(), 'sink')
else if (what === 'keeps-an-array') numbers.map(keepsAnArray, 'keeps an array').sinkTo(discardSink(), 'sink')
else if (what === 'keeps-buffers') numbers.map(keepsBuffers, 'keeps buffers').sinkTo(discardSink(), 'sink')
else if (what === 'blocks-in-process' || what === 'blocks-in-open')
  numbers
    .keyBy((n) => n % 7)
    .process(new Spins(what === 'blocks-in-open' ? 'open' : 'processElement'), 'spins')
    .sinkTo(discardSink(), 'sink')
else if (what === 'outgrows-its-memory')
  numbers
    .keyBy((n) => n % 7)
    .process(new RemembersAll(), 'remembers all')
    .sinkTo(discardSink(), 'sink')
else numbers.sinkTo(discardSink(), 'sink')
await env.execute(`a job that ${what}`)
