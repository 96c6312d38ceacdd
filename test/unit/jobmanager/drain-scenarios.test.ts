/** An operator asks a TaskManager to go, and leaders die: the next one goes on with it, and knows what became of it. */
import test from 'ava'
import { FlottError } from '#core/errors.js'
import type { DrainFact } from '#protocol/ha/facts.js'
import { ControlPlane } from '../../support/control-plane.js'
import type { FakeTaskManager } from '../../support/fake-task-manager.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

/** Four tasks, in two slots. */
const job = graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')])

async function world({ slots = 2, jobs = 0 } = {}) {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', slots)
  for (let i = 0; i < jobs; i++) await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.clock.advance(100)
  const { processId } = tm
  const taken = async <T>(call: Promise<T>) => {
    call.catch(() => {}) // Its caller awaits it.
    await plane.clock.advance(10)
    return call
  }
  const ask = () => taken(plane.dispatcher.drainTaskManager({ taskManagerId: 'tm' }))
  const status = (of: { processId?: string } = {}) => plane.dispatcher.drainStatus({ taskManagerId: 'tm', ...of })
  const state = async (of: { processId?: string } = {}) => (await status(of)).state
  const fact = () => plane.facts.drains.get(processId)
  const nextLeader = async () => {
    await plane.crashLeader()
    await plane.lead()
  }
  const isListed = (...processes: FakeTaskManager[]) =>
    plane.reign.registrations.list(...processes.map((one) => ({ taskManagerId: one.id, processId: one.processId })))
  return { plane, tm, processId, taken, ask, status, state, fact, nextLeader, isListed }
}

test('a request outlives the leader, also where the TaskManager has not heard of it; what became of it is known for a while', async (t) => {
  const { plane, tm, taken, ask, status, state, fact, nextLeader } = await world()
  t.is((await ask()).state, 'DRAINING')
  t.deepEqual([tm.drainRequests, fact()?.outcome], [1, undefined])
  await nextLeader()
  t.is(await state(), 'DRAINING') // It has not come yet.
  await plane.connect(tm)
  await plane.clock.advance(10)
  t.is(tm.drainRequests, 2)
  const { taskManagersBlocked, slotsAvailable } = await plane.dispatcher.clusterOverview({})
  t.deepEqual([taskManagersBlocked, slotsAvailable], [1, 0])
  await taken(tm.goodbye(true))
  tm.disconnect()
  for (let i = 0; i < 2; i++) {
    const { state: told, slots, missing } = await status()
    t.deepEqual({ told, slots, missing }, { told: 'DRAINED', slots: 0, missing: [] })
    await nextLeader()
  }
  await plane.clock.advance(290_000)
  t.is(await state(), 'DRAINED')
  await plane.clock.advance(20_000)
  await t.throwsAsync(state(), { code: 'NOT_FOUND' })
  t.is(plane.facts.drains.size, 0)
})

test('it is cordoned from the first moment of the next reign: no slot of it is given to a job', async (t) => {
  const { plane, tm, ask, nextLeader } = await world()
  await ask()
  await nextLeader()
  await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.connect(tm)
  await plane.clock.advance(100)
  t.true(tm.slots.every((slot) => slot.state === 'FREE'))
  t.is((await plane.dispatcher.describeJob({ jobId: job.jobId })).waitingFor, 'needs 2 slots of group default, 0 are free')
})

test('a request is acknowledged when its fact is there, a goodbye when the outcome is', async (t) => {
  const { plane, tm, ask, fact } = await world()
  const { setDrain } = plane.facts
  const held: (() => void)[] = []
  plane.facts.setDrain = async (written: DrainFact) => {
    await new Promise<void>((resolve) => held.push(resolve))
    await setDrain.call(plane.facts, written)
  }
  const acknowledged: string[] = []
  void ask().then(() => acknowledged.push('request'))
  await plane.clock.advance(20)
  t.deepEqual([acknowledged, fact()], [[], undefined])
  held.shift()!()
  await plane.clock.advance(20)
  t.deepEqual([acknowledged, fact()?.outcome], [['request'], undefined])
  void tm.goodbye(true).then(() => acknowledged.push('goodbye'))
  await plane.clock.advance(20)
  t.deepEqual([acknowledged, fact()?.outcome], [['request'], undefined])
  held.shift()!()
  await plane.clock.advance(20)
  t.deepEqual(acknowledged, ['request', 'goodbye'])
  t.is(fact()?.outcome?.state, 'DRAINED')
})

test('a store that does not answer is tried again; where the reign ends first, the goodbye is refused', async (t) => {
  const { plane, tm, taken, ask, fact } = await world()
  const { setDrain } = plane.facts
  let fails = 1
  plane.facts.setDrain = async (written: DrainFact) => {
    if (fails-- > 0) throw new FlottError('ZOOKEEPER_UNAVAILABLE', 'no answer')
    await setDrain.call(plane.facts, written)
  }
  const asking = ask()
  await plane.clock.advance(500)
  await asking
  t.truthy(fact())
  plane.reign.suspend()
  const goodbye = t.throwsAsync(taken(tm.goodbye(true)), { code: 'NOT_LEADER' })
  await plane.clock.advance(100)
  plane.reign.end()
  await plane.clock.advance(100)
  await goodbye
  t.is(fact()?.outcome, undefined)
})

test('nobody saw it go: it was lost where tasks of a deployment were there, else drained', async (t) => {
  for (const jobs of [0, 1]) {
    const { plane, tm, ask, status, state, fact, nextLeader, isListed } = await world({ jobs })
    await ask()
    await plane.crashLeader()
    tm.crash()
    await plane.lead()
    t.is(await state(), 'DRAINING')
    isListed(tm)
    t.is(await state(), 'DRAINING')
    isListed()
    const { state: told, slots } = await status()
    t.deepEqual([told, slots], jobs === 0 ? ['DRAINED', 0] : ['LOST', 2])
    await plane.clock.advance(10)
    t.is(fact()?.outcome?.state, told as 'LOST')
    await nextLeader()
    t.is(await state(), told)
  }
})

test('one that is cut off may come back: it is lost when its process is gone', async (t) => {
  const { plane, tm, taken, ask, status, state, isListed } = await world({ jobs: 1 })
  isListed(tm)
  await ask()
  tm.disconnect()
  await plane.clock.advance(100)
  const away = await status()
  t.deepEqual([away.state, away.slots, away.missing], ['DRAINING', 2, []])
  await plane.clock.advance(5_000)
  t.deepEqual((await status()).missing, ['it is not connected to the leader'])
  await plane.connect(tm)
  t.is(await state(), 'DRAINING')
  await taken(tm.goodbye(false))
  t.is(await state(), 'NOT_DRAINED')
})

test('a process that was taken for dead and comes back is to go still', async (t) => {
  const { plane, tm, ask, state, fact, isListed, nextLeader } = await world()
  await ask()
  tm.disconnect()
  await plane.clock.advance(10)
  isListed()
  t.is(await state(), 'DRAINED') // Nothing was there.
  await plane.connect(tm)
  await plane.clock.advance(10)
  t.is(await state(), 'DRAINING')
  t.is(fact()?.outcome, undefined)
  await nextLeader()
  t.is(await state(), 'DRAINING')
})

test('another process of the same id is another TaskManager', async (t) => {
  const { plane, tm, processId, ask, state, nextLeader } = await world({ jobs: 1 })
  await ask()
  await plane.crashLeader()
  tm.replace()
  await plane.lead()
  await plane.connect(tm)
  await plane.clock.advance(10)
  t.is(await state(), 'REGISTERED')
  t.is(await state({ processId }), 'LOST')
  t.is(tm.drainRequests, 1)
  await nextLeader()
  t.is(await state({ processId }), 'LOST')
})

test('a new leader waits for the TaskManager that it is asked to drain; one that it knows to be drained it need not', async (t) => {
  const { plane, tm, ask, nextLeader, fact, isListed } = await world()
  await nextLeader()
  let acknowledged = false
  void ask().then(() => (acknowledged = true))
  await plane.clock.advance(1_000)
  t.false(acknowledged)
  await plane.connect(tm)
  await plane.clock.advance(100)
  t.true(acknowledged)
  t.truthy(fact())
  await nextLeader()
  t.is((await ask()).state, 'DRAINING')
  const refused = () => t.throwsAsync(plane.dispatcher.drainTaskManager({ taskManagerId: 't' }), { code: 'NOT_FOUND' })
  let waited = true
  void refused().then(() => (waited = false))
  await plane.clock.advance(1_000)
  t.true(waited)
  await plane.clock.advance(5_000)
  t.false(waited)
  await nextLeader()
  isListed(tm)
  await refused() // At once: no process of that id is registered.
})

test('what goes without being asked is remembered by its leader, and no fact', async (t) => {
  const { plane, tm, taken, state, nextLeader } = await world()
  await taken(tm.wantsToGo())
  await taken(tm.goodbye(true))
  t.is(await state(), 'DRAINED')
  t.is(plane.facts.drains.size, 0)
  await nextLeader()
  await t.throwsAsync(state(), { code: 'NOT_FOUND' })
})

test('without ZooKeeper it is gone when it has not come back in time', async (t) => {
  const { plane, tm, ask, state } = await world({ jobs: 1 })
  Object.assign(plane.reign, { registrations: undefined })
  await ask()
  tm.crash()
  await plane.clock.advance(4_000)
  t.is(await state(), 'DRAINING')
  await plane.clock.advance(2_000)
  t.is(await state(), 'LOST')
})
