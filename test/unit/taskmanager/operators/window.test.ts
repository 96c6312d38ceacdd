/** Windows against a plain model of Flink's rules: out of order, late, restored in the middle; and triggers of one's own. */
import test from 'ava'
import { triggers } from '#core/eventtime/triggers.js'
import { windowStart, windows } from '#core/eventtime/window-assigners.js'
import type { Window, WindowAssigner, WindowOptions } from '#core/eventtime/windows.js'
import { aggregates } from '#core/functions/aggregates.js'
import type { WindowDefinition } from '#core/functions/operator-definition.js'
import { outputTag } from '#core/functions/output-tag.js'
import { between, seededRandom } from '#core/random.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import type { Operator, OperatorContext } from '#taskmanager/operators/operator.js'
import { createWindowOperator } from '#taskmanager/operators/window.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { backendOptions, MAX_PARALLELISM, MemoryChunks, settle, subtaskState, TurnClock } from '../state/keyed-backend-under-test.js'

interface Item {
  k: string
  v: number
}
type Emitted = { value: unknown; timestamp: number }
const late = outputTag<Item>('late')

class Harness {
  emitted: Emitted[] = []
  late: unknown[] = []
  dropped = 0
  readonly clock = new TurnClock()
  constructor(
    readonly chunks = new MemoryChunks(),
    readonly keyGroups: readonly [number, number] = [0, MAX_PARALLELISM],
  ) {}
  operator!: Operator

  async open(definition: WindowDefinition, restored?: readonly ChunkRef[]): Promise<this> {
    const ctx = {
      definition,
      clock: this.clock,
      keyGroups: this.keyGroups,
      maxParallelism: MAX_PARALLELISM,
      runtime: { metrics: { counter: () => ({ inc: () => this.dropped++ }) } },
      output: {
        collect: (value: unknown, timestamp: number) => this.emitted.push({ value, timestamp }),
        side: (_tag: string, value: unknown) => this.late.push(value),
      },
      entering() {},
      createKeyedState: async () => {
        const backend = createKeyedStateBackend(backendOptions({ clock: this.clock, chunks: this.chunks, keyGroups: this.keyGroups }))
        if (restored) await backend.restore([subtaskState(restored)])
        return backend
      },
    }
    this.operator = createWindowOperator(ctx as unknown as OperatorContext)
    await this.operator.open()
    return this
  }
  async snapshot(id: number): Promise<readonly ChunkRef[]> {
    const result = this.operator.snapshot(id)
    await settle(this.clock)
    await this.operator.notifyCheckpointComplete(id)
    return (await result).keyed!
  }
}

function definition(
  f: WindowDefinition['f'],
  assigner: WindowAssigner<never, Window>,
  options: WindowOptions<never, Window> = {},
): WindowDefinition {
  return { kind: 'window', key: { field: 'k' }, assigner, options, f }
}
const sums: WindowDefinition['f'] = {
  kind: 'aggregate',
  aggregate: aggregates.sum<Item>('v') as never,
  each: ((sum: number, ctx: { currentKey: string; window: { maxTimestamp: number } }) =>
    `${ctx.currentKey} ${ctx.window.maxTimestamp} ${sum}`) as never,
}

/** Flink's rules for tumbling event-time windows with the default trigger. */
class WindowModel {
  readonly #sums = new Map<string, number>()
  readonly #fired = new Set<number>()
  watermark = -Infinity
  out: string[] = []
  late = 0
  constructor(
    readonly size: number,
    readonly lateness: number,
  ) {}
  add({ k, v }: Item, timestamp: number): void {
    const max = windowStart(timestamp, 0, this.size) + this.size - 1
    if (max + this.lateness <= this.watermark) {
      this.late++
      return
    }
    const id = `${k} ${max}`
    this.#sums.set(id, (this.#sums.get(id) ?? 0) + v)
    if (max <= this.watermark || this.#fired.has(max)) this.out.push(`${id} ${this.#sums.get(id)}`)
  }
  advance(watermark: number): void {
    this.watermark = watermark
    for (const [id, sum] of this.#sums) {
      const max = Number(id.split(' ')[1])
      if (max <= watermark && !this.#fired.has(max)) this.out.push(`${id} ${sum}`)
    }
    for (const id of this.#sums.keys()) {
      const max = Number(id.split(' ')[1])
      if (max <= watermark) this.#fired.add(max)
      if (max + this.lateness <= watermark) this.#sums.delete(id)
    }
  }
}

for (const path of ['default trigger', 'trigger of its own'] as const)
  for (const lateness of [0, 70])
    test(`tumbling, ${path}, lateness ${lateness}: as the model says, also when restored in the middle`, async (t) => {
      for (let seed = 1; seed <= 8; seed++) {
        const random = seededRandom(seed)
        // The same trigger as another object takes the general path.
        const trigger = path === 'default trigger' ? {} : { trigger: { ...triggers.eventTime() } }
        const spec = definition(sums, windows.tumbling(50) as never, {
          ...trigger,
          allowedLateness: lateness,
          sideOutputLateData: late as never,
        })
        let harness = await new Harness().open(spec)
        const model = new WindowModel(50, lateness)
        let time = 0
        for (let step = 1; step <= 300; step++) {
          time += between(random, 0, 5)
          const item = { k: `key-${between(random, 0, 6)}`, v: step }
          const timestamp = Math.max(0, time - between(random, 0, 150))
          harness.operator.processElement(item, timestamp)
          model.add(item, timestamp)
          if (random.next() < 0.1) {
            harness.operator.processWatermark(time - 60)
            model.advance(time - 60)
          }
          if (random.next() < 0.03) {
            const refs = await harness.snapshot(step)
            const next = new Harness(harness.chunks)
            next.emitted = harness.emitted
            next.late = harness.late
            harness = await next.open(spec, refs)
            harness.operator.processWatermark(model.watermark)
          }
        }
        harness.operator.processWatermark(Infinity)
        model.advance(Infinity)
        t.deepEqual(harness.emitted.map(({ value }) => value).sort(), model.out.sort(), `seed ${seed}`)
        t.is(harness.late.length, model.late)
      }
    })

test('a window that had fired before a restore does not fire again, but its late records do', async (t) => {
  const spec = definition(sums, windows.tumbling(10) as never, { allowedLateness: 100 })
  const before = await new Harness().open(spec)
  before.operator.processElement({ k: 'a', v: 1 }, 5)
  before.operator.processElement({ k: 'b', v: 2 }, 5)
  before.operator.processWatermark(20)
  t.is(before.emitted.length, 2)
  const refs = await before.snapshot(1)
  const after = await new Harness(before.chunks).open(spec, refs)
  after.operator.processElement({ k: 'a', v: 10 }, 7)
  after.operator.processWatermark(20)
  after.operator.processWatermark(Infinity)
  t.deepEqual(after.emitted, [{ value: 'a 9 11', timestamp: 9 }])
})

test('reduce, rolling aggregates and process see all records; results carry the last instant of the window', async (t) => {
  const run = async (f: WindowDefinition['f']) => {
    const harness = await new Harness().open(definition(f, windows.tumbling(10) as never))
    for (const v of [3, 1, 2]) harness.operator.processElement({ k: 'a', v }, v)
    harness.operator.processWatermark(9)
    return harness.emitted
  }
  t.deepEqual(await run({ kind: 'reduce', reduce: ((a: Item, b: Item) => ({ k: a.k, v: a.v * b.v })) as never }), [
    { value: { k: 'a', v: 6 }, timestamp: 9 },
  ])
  t.deepEqual(await run({ kind: 'rollingAggregate', aggregate: 'sum', field: 'v' }), [{ value: { k: 'a', v: 6 }, timestamp: 9 }])
  t.deepEqual(await run({ kind: 'rollingAggregate', aggregate: 'minBy', field: 'v' }), [{ value: { k: 'a', v: 1 }, timestamp: 9 }])
  const process = ((records: Iterable<Item>, ctx: { window: unknown }, out: { collect(x: unknown): void }) =>
    out.collect([[...records].map((r) => r.v), ctx.window])) as never
  t.deepEqual(await run({ kind: 'process', process: { process } }), [
    { value: [[3, 1, 2], { start: 0, end: 10, maxTimestamp: 9 }], timestamp: 9 },
  ])
})

test('a processing-time window fires when its end has come, not within its last millisecond', async (t) => {
  for (const trigger of [{}, { trigger: { ...triggers.processingTime() } }]) {
    const harness = await new Harness().open(definition(sums, windows.tumbling(10, { timeDomain: 'processing-time' }) as never, trigger))
    harness.clock.time = 5
    harness.operator.processElement({ k: 'a', v: 1 }, Number.NaN)
    t.is(harness.operator.nextProcessingTime, 10)
    harness.operator.processProcessingTime(9)
    t.is(harness.emitted.length, 0)
    harness.operator.processProcessingTime(10)
    t.deepEqual(harness.emitted, [{ value: 'a 9 1', timestamp: 9 }])
    t.is(harness.operator.nextProcessingTime, undefined)
  }
})

test('windowAll has one key; sliding, count and continuous triggers go the general path', async (t) => {
  const all = {
    ...definition({ kind: 'aggregate', aggregate: aggregates.count() as never }, windows.tumbling(10) as never),
    key: undefined,
  }
  const one = await new Harness().open(all as unknown as WindowDefinition)
  for (const k of ['a', 'b']) one.operator.processElement({ k, v: 1 }, 1)
  one.operator.processWatermark(Infinity)
  t.deepEqual(one.emitted, [{ value: 2, timestamp: 9 }])

  const sliding = await new Harness().open(definition(sums, windows.sliding(10, 5) as never))
  sliding.operator.processElement({ k: 'a', v: 1 }, 7)
  sliding.operator.processWatermark(Infinity)
  t.deepEqual(
    sliding.emitted.map((e) => e.value),
    ['a 9 1', 'a 14 1'],
  )
  const counted = await new Harness().open(
    definition({ kind: 'aggregate', aggregate: aggregates.sum<Item>('v') as never }, windows.count(2) as never),
  )
  for (const v of [1, 2, 3, 4, 5]) counted.operator.processElement({ k: 'a', v }, v)
  t.deepEqual(
    counted.emitted.map((e) => e.value),
    [3, 7],
  )
  const continuous = await new Harness().open(definition(sums, windows.tumbling(10) as never, { trigger: triggers.continuous(4) }))
  continuous.operator.processElement({ k: 'a', v: 1 }, 1)
  continuous.operator.processWatermark(4)
  continuous.operator.processElement({ k: 'a', v: 1 }, 5)
  continuous.operator.processWatermark(8)
  continuous.operator.processWatermark(Infinity)
  t.deepEqual(
    continuous.emitted.map((e) => e.value),
    ['a 9 1', 'a 9 2', 'a 9 2'],
  )
})

test('what is not supported says so; a record without a time stamp too', async (t) => {
  const open = (assigner: object, options: object) => new Harness().open(definition(sums, assigner as never, options as never))
  await t.throwsAsync(open(windows.tumbling(10), { evictor: {} }), { code: 'INVALID_ARGUMENT' })
  await t.throwsAsync(open({ ...windows.tumbling(10), mergeWindows: () => [] }, {}), { code: 'INVALID_ARGUMENT' })
  const harness = await open(windows.tumbling(10), {})
  t.throws(() => harness.operator.processElement({ k: 'a', v: 1 }, Number.NaN), { code: 'NO_TIMESTAMP' })
})
