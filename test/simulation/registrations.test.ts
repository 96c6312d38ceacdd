/** What a new leader concludes from the registrations of TaskManagers: heartbeats and its own patience end long after the test. */
import test from 'ava'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'
import { TIMING } from './world.js'

const WORKLOAD: Workload = { name: 'counting', records: 300, ratePerSecond: 30, parallelism: 2 }
const SETTINGS = {
  'execution.checkpointing.interval': '400 ms',
  'parallelism.default': '2',
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.delay': '100 ms',
}
const JOB_ID = '0'.repeat(32)
const WITHIN_MS = 60_000

async function running(seed: number) {
  const cluster = new SimulatedCluster({
    seed,
    jobManagers: 2,
    taskManagers: 3,
    slotsEach: 1,
    settings: SETTINGS,
    timing: { ...TIMING, heartbeatTimeoutMs: 600_000 },
  })
  const output = new CommittedOutput(JOB_ID, SHAPES.keyedSum.expected(WORKLOAD), cluster.invariants)
  await cluster.start()
  const jobGraph = await cluster.jobOf(JOB_ID, SHAPES.keyedSum.program(WORKLOAD, output, SETTINGS, cluster.trouble))
  cluster.ask(
    (leading) => leading.dispatcher.submitJob({ jobGraph }),
    () => {},
  )
  const completed = () => cluster.invariants.facts.get(JOB_ID)?.checkpoints.at(-1)?.id ?? 0
  await cluster.clock.runUntil(() => completed() >= 2, { withinMs: 10_000 })
  await cluster.clock.advance(TIMING.sessionTimeoutMs) // The standby's session is as old by then.
  const victim = (await cluster.describe(JOB_ID))!.vertices[0]!.subtasks[0]!.taskManagerId!
  const leader = cluster.leader!
  const anotherLeads = () =>
    cluster.clock.runUntil(() => cluster.leader !== undefined && cluster.leader !== leader, { withinMs: WITHIN_MS })
  const end = async () => {
    await cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.terminal?.status === 'FINISHED', { withinMs: WITHIN_MS })
    return { missing: output.missing, problems: cluster.invariants.problems, restarts: (await cluster.describe(JOB_ID))?.restarts }
  }
  const said = (text: string) => cluster.log.some((line) => line.includes(text))
  return { cluster, victim, leader, anotherLeads, end, said }
}

for (const supervised of [true, false])
  test.serial(
    `a TaskManager that died with the leader is not waited for (${supervised ? 'supervised' : 'until its session ends'})`,
    async (t) => {
      for (let seed = 1; seed <= 3; seed++) {
        const { cluster, victim, leader, end, said } = await running(seed)
        cluster.crash(leader)
        cluster.crash(victim, supervised)
        t.deepEqual(await end(), { missing: [], problems: [], restarts: 1 }, `seed ${seed}`)
        t.true(said(`not registered in ZooKeeper any more: TaskManager ${victim}`))
      }
    },
  )

test.serial('a TaskManager whose session has ended, and that lives, is adopted: it registers again', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const { cluster, victim, leader, anotherLeads, end, said } = await running(seed)
    cluster.zookeeper.expire(cluster.process(victim)!.zookeeperName)
    await cluster.clock.advance(1_500)
    cluster.crash(leader)
    await anotherLeads()
    t.deepEqual(await end(), { missing: [], problems: [], restarts: 0 }, `seed ${seed}`)
    t.false(said('not registered in ZooKeeper'))
  }
})

test.serial('a TaskManager that is connected stays, however long it is without a session', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const { cluster, victim, leader, anotherLeads, end, said } = await running(seed)
    cluster.crash(leader)
    await anotherLeads()
    await cluster.clock.runUntil(() => said('tasks adopted'), { withinMs: WITHIN_MS })
    const client = cluster.process(victim)!.zookeeperName
    cluster.zookeeper.suspend(client)
    await cluster.clock.advance(3 * TIMING.sessionTimeoutMs)
    t.deepEqual(await end(), { missing: [], problems: [], restarts: 0 }, `seed ${seed}`)
  }
})
