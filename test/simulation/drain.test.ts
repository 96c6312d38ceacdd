/** A TaskManager is to go: its tasks move after a checkpoint, whoever leads, and nothing is lost or doubled. */
import test from 'ava'
import { between } from '#core/random.js'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const CONFIG = {
  'execution.checkpointing.interval': '5 s', // The move does not wait for it.
  'parallelism.default': 2,
  'restart-strategy.type': 'none',
}
const JOB_ID = '0'.repeat(32)

async function running(seed: number, { taskManagers = 3, shape = 'keyedSum' as keyof typeof SHAPES, config = {}, records = 240 } = {}) {
  const workload: Workload = { name: 'counting', records, ratePerSecond: 30, parallelism: 2 }
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers, slotsEach: 2 })
  const output = new CommittedOutput(JOB_ID, SHAPES[shape].expected(workload), cluster.invariants)
  await cluster.start()
  const jobGraph = await cluster.jobOf(JOB_ID, SHAPES[shape].program(workload, output, { ...CONFIG, ...config }, cluster.trouble))
  cluster.ask(
    (leading) => leading.dispatcher.submitJob({ jobGraph }),
    () => {},
  )
  const describe = async () => (await cluster.describe(JOB_ID))!
  await cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.deployment !== undefined, { withinMs: 10_000 })
  await cluster.clock.advance(between(cluster.random, 500, 2_500))
  const used = async () => [
    ...new Set((await describe()).vertices.flatMap(({ subtasks }) => subtasks.map(({ taskManagerId }) => taskManagerId!))),
  ]
  const gone = (name: string, withinMs = 20_000) => cluster.clock.runUntil(() => cluster.process(name) === undefined, { withinMs })
  const finished = () => cluster.invariants.facts.get(JOB_ID)?.terminal?.status === 'FINISHED'
  const end = async () => {
    await cluster.clock.runUntil(finished, { withinMs: 90_000 })
    return { missing: output.missing, problems: cluster.invariants.problems }
  }
  const said = (text: string) => cluster.log.some((line) => line.includes(text))
  return { cluster, describe, used, gone, end, said }
}
const RIGHT = { missing: [], problems: [] }

test('SIGTERM: the tasks move after a checkpoint, which is no failure; then the process ends', async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const { cluster, describe, used, gone, end, said } = await running(seed, { shape: seed % 2 === 0 ? 'twoRegions' : 'keyedSum' })
    const [name] = await used()
    const before = await describe()
    cluster.stop(name!)
    await gone(name!)
    t.true(said('the TaskManager goes {"drained":true'), `seed ${seed}`)
    await cluster.clock.advance(1_000)
    const after = await describe()
    t.false((await used()).includes(name!))
    t.true(after.checkpoints.counts.completed > before.checkpoints.counts.completed)
    t.deepEqual([after.status, after.exceptions], ['RUNNING', []])
    const overview = await cluster.leading!.dispatcher.clusterOverview({})
    t.deepEqual([overview.slotsTotal, overview.slotsAvailable], [4, 2], `seed ${seed}: no slot is lost`)
    t.deepEqual(await end(), RIGHT, `seed ${seed}`)
  }
})

test('the leader dies in the middle: the next one learns of the wish, and the tasks move', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const { cluster, used, gone, end, said } = await running(seed)
    const [name] = await used()
    cluster.stop(name!)
    await cluster.clock.advance(between(cluster.random, 0, 400))
    const leader = cluster.leader!
    cluster.crash(leader)
    await gone(name!)
    cluster.startProcess(leader)
    t.true(said('the TaskManager goes {"drained":true'), `seed ${seed}`)
    t.deepEqual(await end(), RIGHT, `seed ${seed}`)
  }
})

test('the operator asks, and the leader dies: the next one goes on, and knows how it ended; so does the one after that', async (t) => {
  for (let seed = 1; seed <= 8; seed++) {
    const { cluster, used, gone, end, said } = await running(seed)
    const acknowledged = () => cluster.drainsAcknowledged.length > 0
    const [name] = await used()
    cluster.drain(name!)
    await cluster.clock.runUntil(acknowledged, { withinMs: 5_000 })
    // At any time from the acknowledgement to the end, which is 150 ms to 500 ms later; or when the TaskManager is about to say goodbye.
    if (seed % 4 === 0) await cluster.clock.runUntil(() => said('the TaskManager goes {"drained":true'), { withinMs: 10_000 })
    else await cluster.clock.advance(between(cluster.random, 0, seed % 4 === 1 ? 5 : 500))
    for (let leaders = 0; leaders < 2; leaders++) {
      const leader = cluster.leader!
      cluster.crash(leader)
      await gone(name!)
      const known: unknown[] = []
      void cluster.drainsEnded().then((ended) => known.push(...ended.map(({ state, slots }) => ({ state, slots }))))
      await cluster.clock.runUntil(() => known.length > 0, { withinMs: 20_000 })
      t.deepEqual(known, [{ state: 'DRAINED', slots: 0 }], `seed ${seed}`)
      cluster.startProcess(leader)
      await cluster.clock.advance(3_000) // It joins the in-sync set, so that it may lead.
    }
    t.deepEqual(await end(), RIGHT, `seed ${seed}`)
  }
})

test('where nothing can be moved it goes at once', async (t) => {
  const { cluster, used, gone, said } = await running(1, { taskManagers: 1 })
  const [name] = await used()
  cluster.stop(name!)
  await gone(name!, 1_000)
  t.true(said('slots are in use that can not be moved'))
  t.true(said('needs 2 slots of group default, 0 are free'))
})

test('a job without checkpoints is not moved', async (t) => {
  const { cluster, used, gone, said } = await running(1, { config: { 'execution.checkpointing.interval': '0 s' } })
  const [name] = await used()
  cluster.stop(name!)
  await gone(name!, 1_000)
  t.true(said('it takes no checkpoints'))
})

test('the operator asks: it waits for slots, and another TaskManager that comes takes the tasks', async (t) => {
  const { cluster, describe, used, gone, end, said } = await running(2, { taskManagers: 2, config: { 'parallelism.default': 4 } })
  const [name] = await used()
  cluster.drain(name!)
  await cluster.clock.advance(2_000)
  t.true(said('draining waits'))
  const status = await cluster.leading!.dispatcher.drainStatus({ taskManagerId: name! })
  t.deepEqual([status.state, status.slots, status.moving], ['DRAINING', 2, false])
  t.regex(status.missing.join(), /needs 2 slots of group default, 0 are free/)
  t.is((await cluster.leading!.dispatcher.listTaskManagers({})).filter(({ blocked }) => blocked).length, 1)
  t.is((await describe()).restarts, 0)
  cluster.startProcess('tm-3')
  await gone(name!)
  t.is((await cluster.leading!.dispatcher.drainStatus({ taskManagerId: name! })).state, 'DRAINED')
  t.deepEqual(await end(), RIGHT)
})

test('the operator asks, and nobody comes: it goes when its time is over, and says so', async (t) => {
  const config = { 'parallelism.default': 4, 'restart-strategy.type': 'fixed-delay', 'restart-strategy.fixed-delay.attempts': '10' }
  const { cluster, used, gone, end } = await running(2, { taskManagers: 2, config, records: 600 })
  const [name] = await used()
  cluster.drain(name!)
  await gone(name!)
  const status = await cluster.leading!.dispatcher.drainStatus({ taskManagerId: name! })
  t.deepEqual([status.state, status.slots], ['NOT_DRAINED', 2])
  t.regex(status.missing.join(), /needs 2 slots/)
  cluster.startProcess(name!)
  t.deepEqual(await end(), RIGHT)
})

test('user code fails while the tasks are to move: they move after the restart', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const config = {
      'restart-strategy.type': 'fixed-delay',
      'restart-strategy.fixed-delay.attempts': '10',
      'restart-strategy.fixed-delay.delay': '100 ms',
    }
    const { cluster, used, gone, end, said } = await running(seed, { config })
    const [name] = await used()
    cluster.stop(name!)
    await cluster.clock.advance(between(cluster.random, 0, 100))
    cluster.trouble.armed = true
    await gone(name!)
    t.true(said('the TaskManager goes {"drained":true'), `seed ${seed}`)
    t.deepEqual(await end(), RIGHT, `seed ${seed}`)
  }
})
