import test from 'ava'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import type { DrainProgress } from '#protocol/gateways/resource-manager-gateway.js'
import { beginDeparture, Departure, type DepartureOptions, stepDeparture } from '#taskmanager/departure.js'
import { FakeClock } from '../../support/fake-clock.js'
import { deploymentOf, TaskExecutorWorld } from '../../support/task-executor-world.js'

const MOVING: DrainProgress = { slots: 2, moving: true, missing: ['job b: needs 1 slot'] }
const STUCK: DrainProgress = { slots: 2, moving: false, missing: ['job a: needs 2 slots'] }

test('no slot in use: it goes, whatever else', (t) => {
  for (const progress of [undefined, MOVING, STUCK])
    for (const nowMs of [0, 99_999])
      t.true(stepDeparture(beginDeparture(0, 1_000, false), { nowMs, slots: 0, progress }).outcome?.drained, `${nowMs}`)
})

test('while a job moves it waits, until its time is over', (t) => {
  for (const patient of [true, false]) {
    const begun = beginDeparture(0, 1_000, patient)
    t.is(stepDeparture(begun, { nowMs: 999, slots: 2, progress: MOVING }).outcome, undefined)
    const { outcome } = stepDeparture(begun, { nowMs: 1_000, slots: 2, progress: MOVING })
    t.deepEqual(outcome, { drained: false, cause: '2 slots are in use, and the time is over; job b: needs 1 slot' })
  }
})

test('where nothing can be moved only a patient one waits', (t) => {
  const view = { nowMs: 10, slots: 1, progress: STUCK }
  const { outcome } = stepDeparture(beginDeparture(0, 1_000, false), view)
  t.deepEqual(outcome, { drained: false, cause: '1 slot is in use that can not be moved; job a: needs 2 slots' })
  const waiting = stepDeparture(beginDeparture(0, 1_000, true), view)
  t.is(waiting.outcome, undefined)
  t.deepEqual(waiting.departure.missing, STUCK.missing)
  t.regex(stepDeparture(waiting.departure, { nowMs: 1_000, slots: 1, progress: undefined }).outcome!.cause, /needs 2 slots/)
})

test('a slot that is being freed is waited for', (t) => {
  const view = { nowMs: 10, slots: 1, progress: { slots: 0, moving: false, missing: [] } }
  t.is(stepDeparture(beginDeparture(0, 1_000, false), view).outcome, undefined)
})

test('without a leader it waits for the next one, as long as a change of leader may take', (t) => {
  const gone = (nowMs: number) => ({ nowMs, slots: 1, progress: undefined })
  const first = stepDeparture(beginDeparture(0, 60_000, false), gone(1_000)).departure
  t.is(stepDeparture(first, gone(10_999)).outcome, undefined)
  t.deepEqual(stepDeparture(first, gone(11_000)).outcome, { drained: false, cause: '1 slot is in use, and there is no leader' })
  const back = stepDeparture(first, { nowMs: 9_000, slots: 1, progress: MOVING }).departure
  t.is(stepDeparture(back, gone(15_000)).outcome, undefined)
  t.is(stepDeparture({ ...first, patient: true }, gone(50_000)).outcome, undefined)
})

const departureOf = (clock: FakeClock, more: Partial<DepartureOptions>) =>
  new Departure({
    clock,
    logger: silentLogger,
    timeoutMs: 5_000,
    slots: () => 0,
    ask: () => undefined,
    sayGoodbye: async () => {},
    ...more,
  })

test('an operator waits for how it ends: the next leader is told, where there is one soon', async (t) => {
  for (const [patient, leaderAtMs, goneMs] of [
    [true, 3_000, 3_000],
    [true, Number.POSITIVE_INFINITY, 10_000],
    [false, 3_000, 0],
  ] as const) {
    const clock = new FakeClock()
    let goodbyes = 0
    const departure = departureOf(clock, {
      async sayGoodbye({ drained }) {
        if (clock.monotonicMs() < leaderAtMs) throw new FlottError('LEADER_UNKNOWN', 'nobody leads')
        t.true(drained)
        goodbyes++
      },
    })
    let gone = false
    void departure.begin(patient).then(() => (gone = true))
    await clock.advance(Math.max(0, goneMs - 100))
    t.is(gone, goneMs === 0)
    await clock.advance(200)
    t.true(gone)
    t.is(goodbyes, goneMs === 3_000 ? 1 : 0)
  }
})

test('a signal ends the wait for somebody to say goodbye to', async (t) => {
  const clock = new FakeClock()
  const departure = departureOf(clock, { sayGoodbye: () => Promise.reject(new FlottError('LEADER_UNKNOWN', 'nobody leads')) })
  let gone = false
  void departure.begin(true).then(() => (gone = true))
  await clock.advance(1_000)
  t.false(gone)
  void departure.begin(false)
  await clock.advance(200)
  t.true(gone)
})

test('a second wish takes patience away; the time goes on', async (t) => {
  const clock = new FakeClock()
  const departure = departureOf(clock, { slots: () => 1, ask: async () => STUCK })
  let gone = 0
  void departure.begin(true).then(() => gone++)
  await clock.advance(1_000)
  t.is(gone, 0)
  void departure.begin(true).then(() => gone++)
  await clock.advance(1_000)
  t.is(gone, 0)
  void departure.begin(false).then(() => gone++)
  await clock.advance(200)
  t.is(gone, 3)
})

test('it refuses new slots, tells each leader of its wish, and says goodbye with what became of it', async (t) => {
  const world = new TaskExecutorWorld()
  await world.taskExecutor.start()
  const first = await world.leader(1)
  await world.allocate(first, 0)
  await world.call(first.taskExecutor().submitTasks(deploymentOf({ elsewhere: [1] })))
  await world.call(first.taskExecutor().drain({}))
  t.is(world.drainRequests, 1)
  t.is(first.wishes, 0) // It is the process that ends, and begins with that.
  let mayGo = false
  void world.taskExecutor.depart(true).then(() => (mayGo = true))
  await world.clock.advance(250)
  t.true(first.wishes >= 2)
  await t.throwsAsync(world.allocate(first, 1), { code: 'SHUTTING_DOWN' })
  await t.notThrowsAsync(world.allocate(first, 0)) // It has that one.
  const second = await world.leader(2)
  t.true(second.registrations[0]!.draining)
  t.is(first.registrations[0]!.draining, undefined)
  await world.clock.advance(250)
  t.true(second.wishes >= 1)
  await world.call(second.taskExecutor().freeSlot({ allocationId: 'alloc-0', cause: 'moved' }))
  await world.clock.advance(250)
  t.true(mayGo)
  await world.call(world.taskExecutor.stop())
  t.deepEqual(second.goodbyes, ['drained: it is drained'])
})
