import test from 'ava'
import { type Collector, type KeyedContext, KeyedProcessFunction } from '#core/functions/functions.js'
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import { outputTag } from '#core/functions/output-tag.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { listState, type ValueState, valueState } from '#core/state/state.js'
import { type Input, runKeyed, WAYS } from '../support/operator-runs.js'

interface Sale {
  readonly user: string
  readonly cents: number
  readonly n: number
}

function sales(random: Random, count: number): Input[] {
  let at = 0
  return Array.from({ length: count }, (_, n): Input => {
    const kind = random.next()
    if (kind < 0.1) {
      at += 50
      return { watermark: at }
    }
    if (kind < 0.15) return { passed: between(random, 1, 200) }
    return {
      record: { user: pick(random, ['ann', 'bob', 'eve', 'zoë']), cents: between(random, -50, 100), n },
      timestamp: at + between(random, 0, 60),
    }
  })
}
const records = (inputs: readonly Input[]) => inputs.flatMap((i) => ('record' in i ? [i.record as Sale] : []))
const key = { field: 'user' }

for (const way of WAYS) {
  test(`reduce, ${way}`, async (t) => {
    const inputs = sales(seededRandom(1), 120)
    const { main } = await runKeyed(
      () =>
        ({ kind: 'reduce', key, f: (a: Sale, b: Sale) => ({ ...b, cents: a.cents + b.cents }) }) as OperatorDefinition & {
          key: typeof key
        },
      inputs,
      way,
    )
    const sums = new Map<string, number>()
    const expected = records(inputs).map((r) => {
      const cents = (sums.get(r.user) ?? 0) + r.cents
      sums.set(r.user, cents)
      return { ...r, cents }
    })
    t.deepEqual(
      main.map((r) => r.value),
      expected,
    )
  })

  test(`rolling aggregates, ${way}`, async (t) => {
    const inputs = sales(seededRandom(2), 80)
    const run = (aggregate: 'sum' | 'min' | 'max' | 'minBy' | 'maxBy') =>
      runKeyed(() => ({ kind: 'rollingAggregate', key, aggregate, field: 'cents' }), inputs, way)
    const byUser = (fold: (a: Sale, b: Sale) => Sale) => {
      const so = new Map<string, Sale>()
      return records(inputs).map((r) => {
        const before = so.get(r.user)
        const after = before ? fold(before, r) : r
        so.set(r.user, after)
        return after
      })
    }
    const values = async (aggregate: Parameters<typeof run>[0]) => (await run(aggregate)).main.map((r) => r.value)
    t.deepEqual(
      await values('sum'),
      byUser((a, b) => ({ ...a, cents: a.cents + b.cents })),
    )
    t.deepEqual(
      await values('min'),
      byUser((a, b) => ({ ...a, cents: Math.min(a.cents, b.cents) })),
    )
    t.deepEqual(
      await values('maxBy'),
      byUser((a, b) => (b.cents > a.cents ? b : a)),
    )
  })

  test(`a rolling sum over records of many shapes, ${way}`, async (t) => {
    const random = seededRandom(4)
    const shaped = (n: number) => {
      const user = pick(random, ['ann', 'bob'])
      const shape = between(random, 0, 12)
      return shape === 0 ? { cents: n, user } : { user, cents: n, [`only in shape ${shape}`]: n }
    }
    const inputs = Array.from({ length: 40 }, (_, n): Input => ({ record: shaped(n), timestamp: n }))
    const { main } = await runKeyed(() => ({ kind: 'rollingAggregate', key, aggregate: 'sum', field: 'cents' }), inputs, way)
    const so = new Map<string, Sale>()
    const expected = records(inputs).map((r) => {
      const before = so.get(r.user)
      const after = before ? { ...before, cents: before.cents + r.cents } : r
      so.set(r.user, after)
      return after
    })
    t.deepEqual(
      main.map((r) => r.value),
      expected,
    )
  })

  test(`keyed process with state, timers and a side output, ${way}`, async (t) => {
    const inputs = sales(seededRandom(3), 150)
    const results = await runKeyed(() => ({ kind: 'keyedProcess', key, f: new Bursts() as never, states: [] }), inputs, way, 'gains')
    const reference = await runKeyed(
      () => ({ kind: 'keyedProcess', key, f: new Bursts() as never, states: [] }),
      inputs,
      'record by record',
      'gains',
    )
    t.deepEqual(results, reference)
    t.true(results.main.some((r) => (r.value as { domain: string }).domain === 'processing-time'))
    t.true(results.main.some((r) => (r.value as { domain: string }).domain === 'event-time'))
    t.deepEqual(
      results.side,
      records(inputs)
        .filter((r) => r.cents > 0)
        .map((r) => r.cents),
    )
  })
}

const gains = outputTag<number>('gains')
const total = valueState('total', { initial: 0 })

class Bursts extends KeyedProcessFunction<string, Sale, { user: string; total: number; at: number; domain: string }> {
  readonly #total: ValueState<number> = this.getState(total)
  readonly #seen = this.getState(listState<number>('seen'))
  processElement(sale: Sale, ctx: KeyedContext<string>): void {
    this.#total.value += sale.cents
    this.#seen.add(sale.n)
    ctx.timerService.registerEventTimeTimer(ctx.timestamp + 40)
    if (sale.n % 5 === 0) ctx.timerService.registerProcessingTimeTimer(ctx.timerService.currentProcessingTime + 100)
    if (sale.cents > 0) ctx.output(gains, sale.cents)
  }
  override onTimer(
    at: number,
    ctx: KeyedContext<string>,
    out: Collector<{ user: string; total: number; at: number; domain: string }>,
    domain: string,
  ): void {
    out.collect({ user: ctx.currentKey, total: this.#total.value + [...this.#seen].length, at, domain })
    if (domain === 'event-time') this.#seen.clear()
  }
}

test('state that the operator does not declare', async (t) => {
  const f = { processElement: (_: Sale, ctx: KeyedContext<string>) => void ctx.getState(total).value }
  const declared = { kind: 'keyedProcess' as const, key, f: f as never, states: [total] }
  await t.notThrowsAsync(runKeyed(() => declared, [{ record: { user: 'a' } }], 'in batches'))
  await t.throwsAsync(
    runKeyed(() => ({ ...declared, states: [] }), [{ record: { user: 'a' } }], 'in batches'),
    { code: 'STATE_NOT_DECLARED' },
  )
})

test('tuples and functions as keys', async (t) => {
  const run = async (selector: { fields: string[] } | { select: (r: Sale) => number }) =>
    (
      await runKeyed(
        () => ({ kind: 'reduce', key: selector as never, f: (a: Sale, b: Sale) => ({ ...b, cents: a.cents + b.cents }) }),
        [{ record: { user: 'a', cents: 1, n: 1 } }, { record: { user: 'a', cents: 2, n: 2 } }, { record: { user: 'a', cents: 4, n: 1 } }],
        'in batches',
      )
    ).main.map((r) => (r.value as Sale).cents)
  t.deepEqual(await run({ fields: ['user', 'n'] }), [1, 2, 5])
  t.deepEqual(await run({ select: (r) => r.cents % 2 }), [1, 2, 6])
})
