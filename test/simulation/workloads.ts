/** The jobs that a simulation runs: small, of different shapes, each with what it writes when nothing fails. */
import {
  type Collector,
  generatorSource,
  type KeyedContext,
  KeyedProcessFunction,
  outputTag,
  StreamExecutionEnvironment,
  valueState,
  windows,
} from '#client/index.js'
import type { CommittedOutput } from './committed-output.js'
import { pulledSource } from './pulled-source.js'

export interface Workload {
  readonly name: string
  /** Records that each of its sources makes. */
  readonly records: number
  readonly ratePerSecond: number
  readonly parallelism: number
}
/** User code that throws once when it is armed. */
export interface Trouble {
  armed: boolean
}
export interface Shape {
  /** In any order. */
  expected(workload: Workload): readonly string[]
  program(workload: Workload, output: CommittedOutput, config: Readonly<Record<string, string | number>>, trouble?: Trouble): () => unknown
}
const CALM: Trouble = { armed: false }

function strike(trouble: Trouble): void {
  if (!trouble.armed) return
  trouble.armed = false
  throw new Error('user code throws')
}

const KEYS = 7
const keyOf = (n: number) => `k${n % KEYS}`

/** Numbers the records of each key: 'key n' for n from 1 on, each exactly once. */
const keyedSum: Shape = {
  expected: ({ records }) => counted(Array.from({ length: records }, (_, i) => keyOf(i + 1))),
  program:
    (workload, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      countKeys(env, '', workload, output, trouble)
      await env.execute(workload.name)
    },
}

function countKeys(
  env: StreamExecutionEnvironment,
  prefix: string,
  { records, ratePerSecond }: Workload,
  output: CommittedOutput,
  trouble: Trouble,
): void {
  env
    .fromSource(
      generatorSource((index) => index + 1, { count: records, ratePerSecond }),
      { uid: `${prefix}numbers` },
    )
    .map((n) => ({ key: `${prefix}${keyOf(n)}`, n: 1 }))
    .keyBy('key')
    .sum('n', `${prefix}counts`)
    .map(({ key, n }) => {
      strike(trouble)
      return `${key} ${n}`
    })
    .sinkTo(output.sink(`${prefix}counts`), `${prefix}sink`)
}

/** One ends long before the other. */
function pipelinesOf(workload: Workload): readonly (readonly [string, Workload])[] {
  return [
    ['short-', { ...workload, records: Math.ceil(workload.records / 3) }],
    ['long-', workload],
  ]
}

/** Two pipelines that share nothing but the job: each is a region that fails and restarts alone. */
const twoRegions: Shape = {
  expected: (workload) => pipelinesOf(workload).flatMap(([prefix, part]) => keyedSum.expected(part).map((line) => `${prefix}${line}`)),
  program:
    (workload, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      for (const [prefix, part] of pipelinesOf(workload)) countKeys(env, prefix, part, output, trouble)
      await env.execute(workload.name)
    },
}

const WINDOW_MS = 1_000
const STEP_MS = 100
const multiples = outputTag<number>('multiples')

/** Two sources in one stream; what is a multiple of five leaves by the side, the rest is summed by key and window. */
const unionWindows: Shape = {
  expected: ({ records }) => {
    const all = [...Array(records).keys()].flatMap((index) => [index, index + records])
    const sums = new Map<string, number>()
    for (const n of all.filter((n) => n % 5 !== 0)) {
      const window = `${keyOf(n)} ${Math.floor(timeOf(n, records) / WINDOW_MS) * WINDOW_MS}`
      sums.set(window, (sums.get(window) ?? 0) + n)
    }
    return [...all.filter((n) => n % 5 === 0).map((n) => `side ${n}`), ...[...sums].map(([window, sum]) => `${window} ${sum}`)]
  },
  program:
    ({ records, ratePerSecond, name }, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      const numbers = (uid: string, from: number) =>
        env.fromSource(
          generatorSource((index) => index + from, { count: records, ratePerSecond }),
          { uid, watermarks: { timestamp: (n: number) => timeOf(n, records), maxOutOfOrderness: 0 } },
        )
      const split = numbers('low', 0)
        .union(numbers('high', records))
        .rebalance()
        .process<number>((n, ctx, out) => {
          strike(trouble)
          if (n % 5 === 0) ctx.output(multiples, n)
          else out.collect(n)
        }, 'split')
      split
        .getSideOutput(multiples)
        .map((n) => `side ${n}`)
        .sinkTo(output.sink('side'), 'side-sink')
      split
        .map((n) => ({ key: keyOf(n), n }))
        .keyBy('key')
        .window(windows.tumbling(WINDOW_MS))
        .reduce(
          (a, b) => ({ key: a.key, n: a.n + b.n }),
          ({ key, n }, ctx) => `${key} ${ctx.window.start} ${n}`,
          'windows',
        )
        .sinkTo(output.sink('windows'), 'sink')
      await env.execute(name)
    },
}
const timeOf = (n: number, records: number) => (n % records) * STEP_MS

/** A short source beside a long one: tasks that have FINISHED beside running ones for most of the time. */
const shortAndLong: Shape = {
  expected: ({ records }) => counted([...numbers(Math.floor(records / 10)), ...numbers(records)].map(keyOf)),
  program:
    ({ records, ratePerSecond, name }, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      const source = (uid: string, count: number) =>
        env.fromSource(
          generatorSource((index) => index + 1, { count, ratePerSecond }),
          { uid },
        )
      source('short', Math.floor(records / 10))
        .union(source('long', records))
        .map((n) => ({ key: keyOf(n), n: 1 }), 'ones')
        .keyBy('key')
        .sum('n', 'counts')
        .map(({ key, n }) => {
          strike(trouble)
          return `${key} ${n}`
        }, 'lines')
        .sinkTo(output.sink('counts'), 'sink')
      await env.execute(name)
    },
}
/** Readers that ask for their splits one by one, so that whoever leads must know who has which. */
const pulled: Shape = {
  expected: ({ records }) => numbers(records).map(String),
  program:
    ({ records, ratePerSecond, name, parallelism }, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      env
        .fromSource(pulledSource(records, (1_000 * parallelism) / ratePerSecond), { uid: 'pulled' })
        .rebalance()
        .map((n) => {
          strike(trouble)
          return String(n)
        }, 'texts')
        .sinkTo(output.sink('texts'), 'sink')
      await env.execute(name)
    },
}
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** So many keys that a checkpoint holds a small part of them, as a delta. */
const MANY_KEYS = 60
const oneOfMany = (n: number) => `m${n % MANY_KEYS}`
const manyKeys: Shape = {
  expected: ({ records }) => counted(numbers(records).map(oneOfMany)),
  program:
    ({ records, ratePerSecond, name }, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      env
        .fromSource(
          generatorSource((index) => index + 1, { count: records, ratePerSecond }),
          { uid: 'numbers' },
        )
        .map((n) => {
          strike(trouble)
          return { key: oneOfMany(n), n: 1 }
        }, 'ones')
        .keyBy('key')
        .sum('n', 'counts')
        .map(({ key, n }) => `${key} ${n}`, 'lines')
        .sinkTo(output.sink('counts'), 'sink')
      await env.execute(name)
    },
}

const tally = valueState<{ n: number }>('tally', { initial: () => ({ n: 0 }) })

class Tally extends KeyedProcessFunction<string, number, string> {
  readonly #tally = this.getState(tally)
  processElement(_n: number, ctx: KeyedContext<string>, out: Collector<string>) {
    const { n } = this.#tally.value
    this.#tally.edit().n++
    out.collect(`${ctx.currentKey} ${n + 1}`)
  }
}
/** Counts by key in a value that is changed in place. */
const edited: Shape = {
  expected: ({ records }) => counted(numbers(records).map(keyOf)),
  program:
    ({ records, ratePerSecond, name }, output, config, trouble = CALM) =>
    async () => {
      const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
      env
        .fromSource(
          generatorSource((index) => index + 1, { count: records, ratePerSecond }),
          { uid: 'numbers' },
        )
        .map((n) => {
          strike(trouble)
          return n
        }, 'same')
        .keyBy(keyOf)
        .process(new Tally(), 'tallies')
        .sinkTo(output.sink('tallies'), 'sink')
      await env.execute(name)
    },
}

export const SHAPES = { keyedSum, twoRegions, unionWindows, shortAndLong, pulled, edited, manyKeys } as const

function counted(keys: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  return keys.map((key) => {
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return `${key} ${count}`
  })
}
