/** What the API promises, run: each program goes through graph, evaluation, chaining and the operators of one slot. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  aggregates,
  type Collector,
  fileSink,
  fileSource,
  formats,
  type KeyedContext,
  KeyedProcessFunction,
  listState,
  mapState,
  outputTag,
  ProcessFunction,
  valueState,
  windows,
} from '#client/index.js'
import { collectInSlot, runInSlot } from '../support/program-in-slot.js'

const sorted = <T>(records: readonly T[]) => [...records].map((r) => JSON.stringify(r)).sort()

const count = valueState('count', { initial: 0 })
class CountUntilTheEnd extends KeyedProcessFunction<string, string, string> {
  readonly #count = this.getState(count)
  processElement(_word: string, { timerService }: KeyedContext<string>) {
    if (this.#count.value === 0) timerService.registerEventTimeTimer(Number.MAX_SAFE_INTEGER)
    this.#count.value++
  }
  override onTimer(_timestamp: number, ctx: KeyedContext<string>, out: Collector<string>) {
    out.collect(`${this.#count.value} ${ctx.currentKey}`)
  }
}

test('word count from files to files', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-words-'))
  writeFileSync(join(directory, 'a.txt'), 'the cat and the dog\n')
  writeFileSync(join(directory, 'b.txt'), 'The end. the END')
  await runInSlot((env) => {
    env
      .fromSource(fileSource(join(directory, '*.txt'), formats.lines, { splitBytes: 7 }), 'lines')
      .flatMap((line) => line.match(/[A-Za-z]+/g) ?? [], 'words')
      .keyBy((word) => word)
      .process(new CountUntilTheEnd(), 'counts')
      .sinkTo(fileSink(join(directory, 'out'), formats.lines), 'files')
    void env.execute()
  })
  const parts = readdirSync(join(directory, 'out'))
  t.false(parts.some((name) => name.startsWith('.')))
  const lines = parts.flatMap((name) => readFileSync(join(directory, 'out', name), 'utf8').split('\n')).filter((line) => line !== '')
  t.deepEqual(lines.sort(), ['1 END', '1 The', '1 and', '1 cat', '1 dog', '1 end', '3 the'])
})

const views = [
  { page: 'a', at: 1_000, seconds: 1 },
  { page: 'b', at: 2_000, seconds: 2 },
  { page: 'a', at: 59_999, seconds: 3 },
  { page: 'a', at: 61_000, seconds: 4 },
  { page: 'b', at: 500_000, seconds: 9 },
  { page: 'a', at: 3_000, seconds: 100 },
]
test('tumbling event-time windows: sum, aggregate, process; what is late goes aside', async (t) => {
  const late = outputTag<(typeof views)[number]>('late')
  // One record a poll, so that watermarks come between records.
  const from = (env: Parameters<Parameters<typeof collectInSlot>[0]>[0]) =>
    env.fromData(views, { uid: 'views', watermarks: { timestamp: 'at', maxOutOfOrderness: 0 } })
  const perMinute = windows.tumbling('1 min')
  t.deepEqual(
    sorted(
      await collectInSlot((env) =>
        from(env)
          .keyBy('page')
          .window(perMinute)
          .aggregate(aggregates.sum('seconds'), (sum, ctx) => [ctx.currentKey, ctx.window.start, sum], 'sums'),
      ),
    ).filter((r) => !r.includes('"a",0')),
    sorted([
      ['b', 0, 2],
      ['a', 60_000, 4],
      ['b', 480_000, 9],
    ]),
  )
  t.deepEqual(
    sorted(
      await collectInSlot((env) =>
        from(env)
          .windowAll(perMinute)
          .process<number>((records, _ctx, out) => out.collect([...records].length), 'sizes'),
      ),
    ).at(0),
    '1',
  )
  const split = await collectInSlot((env) => {
    const stream = from(env).keyBy('page').window(perMinute, { sideOutputLateData: late }).sum('seconds', 'sums')
    return stream.map((v) => v.seconds, 'on time').union(stream.getSideOutput(late).map((v) => -v.seconds, 'late'))
  })
  const total = split.reduce((sum, n) => sum + Math.abs(n), 0)
  t.is(total, 119, 'no record is lost or doubled, late or not')
})

test('rolling aggregates, reduce, union, guards, repartitioning', async (t) => {
  const record = (n: number) => ({ k: n % 2 === 0 ? 'even' : 'odd', n })
  const run = <T>(build: Parameters<typeof collectInSlot<T>>[0]) => collectInSlot(build, { 'parallelism.default': 2 })
  const maxima = await run((env) =>
    env
      .fromSequence(1, 6)
      .map(record)
      .keyBy('k')
      .max('n')
      .map((r) => r.n),
  )
  t.is(Math.max(...maxima), 6)
  const sums = await collectInSlot((env) =>
    env
      .fromSequence(1, 6)
      .map(record)
      .keyBy('k')
      .sum('n')
      .map((r) => `${r.k} ${r.n}`),
  )
  t.deepEqual(sorted(sums), sorted(['odd 1', 'even 2', 'odd 4', 'even 6', 'odd 9', 'even 12']))
  const reduced = await run((env) =>
    env
      .fromSequence(1, 6)
      .keyBy((n) => n % 2 === 0)
      .reduce((a, b) => a * 10 + b, 'digits'),
  )
  t.is(reduced.length, 6)
  const all = Array.from({ length: 50 }, (_, i) => i + 1)
  for (const spread of ['rebalance', 'rescale', 'shuffle', 'global'] as const)
    t.deepEqual(
      sorted(
        await run((env) =>
          env
            .fromSequence(1, 50)
            [spread]()
            .map((n) => n, { parallelism: 3 }),
        ),
      ),
      sorted(all),
      spread,
    )
  t.is(
    (
      await run((env) =>
        env
          .fromSequence(1, 50)
          .broadcast()
          .map((n) => n, { parallelism: 3 }),
      )
    ).length,
    150,
  )
  const owners = await run((env) =>
    env
      .fromSequence(1, 30)
      .partitionCustom(
        (key: number, consumers) => key % consumers,
        (n) => n,
      )
      .process<string>((n, ctx, out) => out.collect(`${n % 3} ${ctx.runtime.taskInfo.indexOfThisSubtask}`), { parallelism: 3 }),
  )
  t.deepEqual([...new Set(owners)].sort(), ['0 0', '1 1', '2 2'])
  t.deepEqual(sorted(await run((env) => env.fromSequence(1, 3).union(env.fromData(['a', 'b'])))), sorted([1, 2, 3, 'a', 'b']))
})

test('state of each kind, both timers, side outputs, a class with a life cycle', async (t) => {
  const seen = listState<number>('seen')
  const perDigit = mapState<number, number>('per-digit')
  const odd = outputTag<number>('odd')
  const results = await collectInSlot((env) => {
    const main = env
      .fromSequence(1, 20)
      .keyBy((n) => n % 3)
      .process<string>(
        {
          processElement(n, ctx) {
            ctx.getState(seen).add(n)
            const digits = ctx.getState(perDigit)
            digits.set(n % 10, (digits.get(n % 10) ?? 0) + 1)
            if (n % 2 === 1) ctx.output(odd, n)
            ctx.timerService.registerEventTimeTimer(Number.MAX_SAFE_INTEGER)
          },
          onTimer(_at, ctx, out, domain) {
            out.collect(`${domain} ${ctx.currentKey}: ${[...ctx.getState(seen)].join(' ')}; ${[...ctx.getState(perDigit)].length} digits`)
          },
        },
        { uid: 'keyed', state: [seen, perDigit] },
      )
    return main.union(main.getSideOutput(odd).map(String))
  })
  t.deepEqual(results.filter((r) => r.startsWith('event-time')).sort(), [
    'event-time 0: 3 6 9 12 15 18; 6 digits',
    'event-time 1: 1 4 7 10 13 16 19; 7 digits',
    'event-time 2: 2 5 8 11 14 17 20; 7 digits',
  ])
  t.is(results.length, 13)

  const life: string[] = []
  class Logged extends ProcessFunction<number, number> {
    override async open() {
      life.push('open')
    }
    processElement(n: number, _ctx: unknown, out: Collector<number>) {
      out.collect(n * 2)
    }
    override close() {
      life.push('close')
    }
  }
  t.deepEqual(await collectInSlot((env) => env.fromSequence(1, 2).process(new Logged(), 'logged')), [2, 4])
  t.deepEqual(life, ['open', 'close'])
})

test('print; and a function that throws fails with operator and line', async (t) => {
  const { printed } = await runInSlot((env) => {
    env.fromData(['a', 'b']).print('out')
    void env.execute()
  })
  t.deepEqual(printed, ['out> a', 'out> b'])
  const error = await t.throwsAsync(
    collectInSlot((env) =>
      env.fromSequence(1, 3).map((n) => {
        if (n === 2) throw new Error('not two')
        return n
      }, 'choosy'),
    ),
  )
  t.regex(error.message, /choosy/)
  t.regex(error.message, /programs\.test\.[tj]s:\d+/)
})
