import test from 'ava'
import { accumulator } from '#core/functions/accumulator.js'
import { ProcessFunction } from '#core/functions/functions.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import { stableId } from '#core/ids.js'
import { listSource } from '../../../support/list-source.js'
import { SlotJob, sketchJob } from '../../../support/slot-job.js'

const CHECKPOINTS = { 'execution.checkpointing.interval': '1 s' }

function assign(job: SlotJob, source: string, vertex: string, to: number): void {
  job.send({
    kind: 'operator-events',
    attemptId: job.attempts.find((id) => id.includes(`_${stableId(vertex)}_0_`))!,
    operatorId: stableId(source),
    events: [
      { number: 1, event: { kind: 'splits-assigned', splits: [{ splitId: 's', from: 0, to }] } },
      { number: 2, event: { kind: 'no-more-splits' } },
    ],
  })
}

const counting = (settings: Record<string, string> = {}, gate?: { limit: number; changed?: () => void }) =>
  sketchJob(
    [
      {
        name: 'source',
        operators: [
          { uid: 'numbers', kind: 'source', source: listSource(gate ? { gate } : {}) },
          { uid: 'double', kind: 'map', f: (n: number) => n * 2 },
          { uid: 'some', kind: 'filter', f: (n: number) => n % 3 !== 0 },
        ],
      },
      {
        name: 'count',
        parallelism: 2,
        operators: [
          { uid: 'count', kind: 'reduce', key: { select: (n: number) => n % 10 }, f: (a: number, b: number) => a + b },
          { uid: 'out', kind: 'collect' },
        ],
      },
    ],
    [{ from: 'some', to: 'count', partitioner: 'hash', functions: { key: { select: (n: number) => n % 10 } } }],
    settings,
  )

/** What the job emits, by key in order. */
function expected(count: number): Map<number, number[]> {
  const sums = new Map<number, number[]>()
  for (let n = 0; n < count; n++) {
    const doubled = n * 2
    if (doubled % 3 === 0) continue
    const list = sums.get(doubled % 10) ?? []
    list.push((list.at(-1) ?? 0) + doubled)
    sums.set(doubled % 10, list)
  }
  return sums
}
const flat = (sums: Map<number, number[]>) => [...sums.values()].flat().sort((a, b) => a - b)
const collected = (job: SlotJob) =>
  job
    .heard('collected')
    .flatMap((m) => m.records as number[])
    .sort((a, b) => a - b)

test('a bounded job runs to its end', async (t) => {
  const job = new SlotJob(counting())
  await job.untilRunning()
  assign(job, 'numbers', 'source', 5_000)
  await job.untilFinished()
  t.deepEqual(collected(job), flat(expected(5_000)))
  for (const id of job.attempts) t.deepEqual(job.states()[id], ['INITIALIZING', 'RUNNING', 'FINISHED'])
})

test('with checkpoints it waits for the final one', async (t) => {
  const job = new SlotJob(counting(CHECKPOINTS))
  await job.untilRunning()
  assign(job, 'numbers', 'source', 100)
  await job.until(() => job.heard('awaiting-final-checkpoint').length === 3)
  await job.clock.advance(10_000)
  t.deepEqual(collected(job), [])
  t.true(job.attempts.every((id) => job.stateOf(id) === 'RUNNING'))
  const id = await job.checkpoint()
  job.complete(id)
  await job.untilFinished()
  t.deepEqual(collected(job), flat(expected(100)))
})

test('a restored job goes on where the checkpoint was', async (t) => {
  const gate: { limit: number; changed?: () => void } = { limit: 60 }
  const first = new SlotJob(counting(CHECKPOINTS, gate))
  await first.untilRunning()
  assign(first, 'numbers', 'source', 200)
  await first.clock.advance(1_000)
  const id = await first.checkpoint()
  gate.limit = 90
  gate.changed?.()
  await first.clock.advance(1_000)
  // Not told that it was complete: the successor sends what it holds.
  const restore = first.restoreOf(id)
  gate.limit = 1_000
  const second = new SlotJob(counting(CHECKPOINTS, gate), { restore, chunks: first.chunks, attempt: 1 })
  await second.until(() => second.heard('awaiting-final-checkpoint').length === 3)
  const registered = second.heard('reader-event').find((m) => m.event.kind === 'reader-registered')
  t.deepEqual(registered?.event, { kind: 'reader-registered', received: 2 })
  // Ids go on above those of the first.
  second.trigger()
  const last = second.trigger()
  await second.until(() => second.acknowledged(last).length === 3)
  second.complete(last)
  await second.untilFinished()
  t.deepEqual(collected(second), flat(expected(200)))
})

test('a function that throws is named, with its line and cause', async (t) => {
  const sketch = counting()
  const f = (n: number) => {
    if (n === 7) throw new RangeError('seven')
    return n
  }
  const operators = new Map([...sketch.program.operators, ['double', { kind: 'map' as const, f }] as const])
  const job = new SlotJob({ ...sketch, program: { ...sketch.program, operators } })
  await job.untilRunning()
  assign(job, 'numbers', 'source', 10)
  await job.until(() => job.failure() !== undefined)
  const { error } = job.failure()!
  t.is(error?.code, 'USER_FUNCTION_FAILED')
  t.is(error?.operator, 'double')
  t.is(error?.message, "USER_FUNCTION_FAILED: operator 'double' (uid 'double', declared at job.ts:2:1): seven")
  t.is(error?.cause?.name, 'RangeError')
  t.true(error?.cause?.stack?.includes('slot-worker.test'))
})

test('memory above the share fails the task that last ran', async (t) => {
  let used = 0
  const job = new SlotJob(counting(), { memory: () => used })
  await job.untilRunning()
  used = 2 ** 31
  assign(job, 'numbers', 'source', 10)
  await job.until(() => job.failure() !== undefined)
  t.is(job.failure()?.error?.code, 'MEMORY_EXCEEDED')
  t.regex(job.failure()!.error!.message, /last entered: operator 'numbers'/)
})

test('a cancelled task says so; a ping is answered', async (t) => {
  const job = new SlotJob(counting())
  await job.untilRunning()
  job.send({ kind: 'ping', sequence: 4 })
  t.deepEqual(job.heard('pong'), [{ kind: 'pong', sequence: 4 }])
  job.send({ kind: 'cancel', attemptIds: job.attempts })
  await job.until(() => job.attempts.every((id) => job.stateOf(id) === 'CANCELED'))
  t.pass()
})

test('a savepoint that stops the job without draining it', async (t) => {
  const gate = { limit: 50 }
  const job = new SlotJob(counting({}, gate))
  await job.untilRunning()
  assign(job, 'numbers', 'source', 100)
  await job.clock.advance(1_000)
  const id = job.trigger({}, { terminate: true, drain: false })
  await job.until(() => job.acknowledged(id).length === 3)
  gate.limit = 100
  await job.clock.advance(1_000)
  job.complete(id)
  await job.untilFinished()
  t.deepEqual(collected(job), flat(expected(50)))
})

test('a savepoint that drains is the final checkpoint', async (t) => {
  const gate = { limit: 50 }
  const job = new SlotJob(counting(CHECKPOINTS, gate))
  await job.untilRunning()
  assign(job, 'numbers', 'source', 100)
  await job.clock.advance(1_000)
  const id = job.trigger({}, { terminate: true, drain: true })
  await job.until(() => job.acknowledged(id).length === 3)
  job.complete(id)
  await job.untilFinished()
  t.deepEqual(collected(job), flat(expected(50)))
})

test('a sink that waits holds everything before it back, and nothing is lost', async (t) => {
  let mapped = 0
  const written: number[] = []
  let release: (() => void) | undefined
  const sink = {
    createWriter: () => ({
      write(n: number) {
        written.push(n)
        if (written.length > 1) return
        return new Promise<void>((resolve) => {
          release = resolve
        })
      },
      flush() {},
    }),
  }
  const f = (n: number) => {
    mapped++
    return n
  }
  const sketch = sketchJob(
    [
      {
        name: 'source',
        operators: [
          { uid: 'numbers', kind: 'source', source: listSource({ recordsPerPoll: 10 }) },
          { uid: 'counted', kind: 'map', f },
        ],
      },
      { name: 'sink', operators: [{ uid: 'slow', kind: 'sink', sink: sink as never }] },
    ],
    [{ from: 'counted', to: 'slow', partitioner: 'rebalance' }],
  )
  const job = new SlotJob(sketch)
  await job.untilRunning()
  assign(job, 'numbers', 'source', 30_000)
  await job.clock.advance(60_000)
  t.deepEqual(written, [0])
  t.true(mapped < 10_000, `${mapped} records were read`)
  job.send({ kind: 'report-metrics' })
  const metrics = job.heard('metrics').at(-1)!.tasks[job.attempts[0]!]!
  t.true(metrics.backPressuredTimeMs > 50_000)
  release!()
  await job.untilFinished()
  t.deepEqual(
    written,
    Array.from({ length: 30_000 }, (_, n) => n),
  )
})

test('an accumulator that is no plain value fails the task at its end, not the worker', async (t) => {
  class Sums {
    n = 0
  }
  const odd = accumulator('odd', {
    createAccumulator: () => new Sums(),
    add: (_: number, sums: Sums) => sums,
    getResult: (sums) => sums.n,
    merge: (a) => a,
  })
  class Adding extends ProcessFunction<number, number> {
    #add!: (n: number) => void
    override open(ctx: RuntimeContext): void {
      const live = ctx.accumulator(odd)
      this.#add = (n) => live.add(n)
    }
    processElement(n: number): void {
      this.#add(n)
    }
  }
  const sketch = sketchJob(
    [
      {
        name: 'source',
        operators: [
          { uid: 'numbers', kind: 'source', source: listSource() },
          { uid: 'adding', kind: 'process', f: new Adding() as never },
        ],
      },
    ],
    [],
  )
  const job = new SlotJob(sketch)
  await job.untilRunning()
  job.send({ kind: 'report-metrics' })
  assign(job, 'numbers', 'source', 10)
  await job.until(() => job.failure() !== undefined)
  t.is(job.failure()?.error?.code, 'RECORD_NOT_SERIALIZABLE')
  t.regex(job.failure()!.error!.message, /accumulator 'odd'/)
})
