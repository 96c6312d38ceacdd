/**
 * A job that does one wrong thing, or none.
 * usage: misbehaves throws|outgrows-its-memory|blocks|runs-on
 */
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
function parse(n: number): number {
  if (n === 100) throw new RangeError(`${n} is out of range`)
  return n
}
function spin(n: number): number {
  while (n >= 10) n++
  return n
}

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'restart-strategy.type': 'none' })
const fast = what === 'outgrows-its-memory'
const numbers = env.fromSource(
  generatorSource((i) => i, fast ? {} : { ratePerSecond: 1_000 }),
  'numbers',
)
if (what === 'throws') numbers.map(parse, 'parse').sinkTo(discardSink(), 'sink')
else if (what === 'blocks') numbers.map(spin, 'spin').sinkTo(discardSink(), 'sink')
else if (fast)
  numbers
    .keyBy((n) => n % 7)
    .process(new RemembersAll(), 'remembers all')
    .sinkTo(discardSink(), 'sink')
else numbers.sinkTo(discardSink(), 'sink')
await env.execute(`a job that ${what}`)
