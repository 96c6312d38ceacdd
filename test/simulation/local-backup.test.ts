/** Tasks that come back to the TaskManager where they were restore from its own copies. */
import test from 'ava'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const CONFIG = {
  'execution.checkpointing.interval': '300 ms',
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.attempts': '100',
  'restart-strategy.fixed-delay.delay': '100 ms',
}
const JOB_ID = '0'.repeat(32)

async function running(seed: number, slotsEach = 2) {
  const parallelism = slotsEach === 1 ? 3 : 4 // In the second case one TaskManager is spare.
  const workload: Workload = { name: 'counting', records: 150, ratePerSecond: 60, parallelism }
  const config = { ...CONFIG, 'parallelism.default': parallelism }
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 3, slotsEach })
  const output = new CommittedOutput(JOB_ID, SHAPES.keyedSum.expected(workload), cluster.invariants)
  await cluster.start()
  const jobGraph = await cluster.jobOf(JOB_ID, SHAPES.keyedSum.program(workload, output, config, cluster.trouble))
  cluster.ask(
    (leading) => leading.dispatcher.submitJob({ jobGraph }),
    () => {},
  )
  const completed = () => cluster.invariants.facts.get(JOB_ID)?.checkpoints.at(-1)?.id ?? 0
  await cluster.clock.runUntil(() => completed() >= 2, { withinMs: 10_000 })
  const end = async () => {
    await cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.terminal?.status === 'FINISHED', { withinMs: 90_000 })
    return { missing: output.missing, problems: cluster.invariants.problems, restarts: (await cluster.describe(JOB_ID))?.restarts }
  }
  /** By TaskManager: chunks that it fetched since. */
  const before = cluster.log.length
  const fetches = () => cluster.log.slice(before).flatMap((line) => / (tm-\d) fetches .*chunk/.exec(line)?.[1] ?? [])
  return { cluster, end, fetches }
}

test('after a failure of user code nothing is fetched', async (t) => {
  for (let seed = 1; seed <= 2; seed++) {
    const { cluster, end, fetches } = await running(seed)
    cluster.trouble.armed = true
    t.deepEqual(await end(), { missing: [], problems: [], restarts: 1 }, `seed ${seed}`)
    t.deepEqual(fetches(), [], `seed ${seed}`)
  }
})

test('a copy that is torn, damaged or gone is not restored from: the chunk is fetched', async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const { cluster, end, fetches } = await running(seed)
    for (const name of cluster.names) if (name.startsWith('tm')) cluster.damageLocalCopies(name)
    cluster.trouble.armed = true
    t.deepEqual(await end(), { missing: [], problems: [], restarts: 1 }, `seed ${seed}`)
    t.true(fetches().length > 0, `seed ${seed}`)
    t.true(cluster.log.some((line) => /the local copy of a chunk (is damaged|can not be read)/.test(line)))
  }
})

test('after the loss of a TaskManager only the one that takes its tasks fetches', async (t) => {
  for (let seed = 1; seed <= 2; seed++) {
    const { cluster, end, fetches } = await running(seed)
    const details = (await cluster.describe(JOB_ID))!
    const used = [...new Set(details.vertices.flatMap(({ subtasks }) => subtasks.map(({ taskManagerId }) => taskManagerId!)))]
    const spare = cluster.names.find((name) => name.startsWith('tm') && !used.includes(name))!
    cluster.crash(used[seed % used.length]!)
    t.deepEqual(await end(), { missing: [], problems: [], restarts: 1 }, `seed ${seed}`)
    t.deepEqual([...new Set(fetches())], [spare], `seed ${seed}`)
  }
})

test('TaskManagers that were out of reach get back the tasks that they had', async (t) => {
  for (let seed = 1; seed <= 2; seed++) {
    const { cluster, end, fetches } = await running(seed, 1)
    const placed = async () =>
      (await cluster.describe(JOB_ID))!.vertices.map(({ subtasks }) => subtasks.map(({ taskManagerId }) => taskManagerId))
    const before = await placed()
    const away = ['tm-3', 'tm-1'].map((name) => cluster.process(name)!.address)
    const leader = cluster.process(cluster.leader!)!.address
    for (const address of away) cluster.network.cut(leader, address)
    await cluster.clock.advance(4_000) // heartbeat.timeout is 2.5 s.
    for (const address of away) {
      cluster.network.heal(leader, address)
      await cluster.clock.advance(300)
    }
    t.deepEqual(await end(), { missing: [], problems: [], restarts: 1 }, `seed ${seed}`)
    t.deepEqual(await placed(), before, `seed ${seed}`)
    t.deepEqual(fetches(), [], `seed ${seed}`)
  }
})
