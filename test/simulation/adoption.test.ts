/** Leaders die under a job some of whose tasks have FINISHED: the others go on as they are, whoever leads. */
import test from 'ava'
import { between } from '#core/random.js'
import type { JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const WORKLOAD: Workload = { name: 'uneven', records: 300, ratePerSecond: 60, parallelism: 2 }
const CONFIG = {
  'execution.checkpointing.interval': '400 ms',
  'parallelism.default': 2,
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.delay': '100 ms',
}
const JOB_ID = '0'.repeat(32)

async function submitted(seed: number, shape: keyof typeof SHAPES) {
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 3, slotsEach: 2 })
  const { expected, program } = SHAPES[shape]
  const output = new CommittedOutput(JOB_ID, expected(WORKLOAD), cluster.invariants)
  await cluster.start()
  const jobGraph = await cluster.jobOf(JOB_ID, program(WORKLOAD, output, CONFIG))
  cluster.ask(
    (leading) => leading.dispatcher.submitJob({ jobGraph }),
    () => {},
  )
  const details = async () => (await cluster.describe(JOB_ID))!
  const end = () =>
    cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.terminal?.status === 'FINISHED', { withinMs: 90_000 })
  return { cluster, output, details, end }
}
/** Until the short source has FINISHED, and the long one has not. */
async function partlyFinished(seed: number) {
  const job = await submitted(seed, 'shortAndLong')
  for (let ms = 0; ms < 10_000; ms += 50) {
    await job.cluster.clock.advance(50)
    const now = await job.cluster.describe(JOB_ID)
    if (now && now.tasks.FINISHED > 0 && now.tasks.RUNNING > 0) break
  }
  return job
}
/** The leader crashes; the next one has taken over, and the former is back, when it resolves. */
async function leaderCrashes(cluster: SimulatedCluster, supervised: boolean): Promise<void> {
  const leader = cluster.leader!
  cluster.crash(leader, supervised)
  await cluster.clock.runUntil(() => cluster.leader !== undefined && cluster.leader !== leader, { withinMs: 30_000 })
  cluster.startProcess(leader)
  await cluster.clock.advance(between(cluster.random, 700, 1_500))
}
const attempts = ({ vertices }: JobDetails) => vertices.flatMap(({ subtasks }) => subtasks.map(({ attemptId }) => attemptId))
const finished = ({ vertices }: JobDetails) =>
  vertices.flatMap(({ subtasks }) => subtasks.filter(({ state }) => state === 'FINISHED').map(({ attemptId }) => attemptId))

test('FINISHED tasks beside running ones are adopted through two leaders: no attempt is another one', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { cluster, output, details, end } = await partlyFinished(seed)
    const before = await details()
    t.true(finished(before).length > 0)
    for (let crash = 0; crash < 2; crash++) {
      await leaderCrashes(cluster, seed % 2 === 0)
      const now = await details()
      t.deepEqual(attempts(now), attempts(before), `seed ${seed}`)
      t.deepEqual(
        finished(before).filter((id) => !finished(now).includes(id)),
        [],
      )
    }
    await end()
    const after = await details()
    t.is(after.restarts, 0)
    t.true(after.checkpoints.counts.completed >= before.checkpoints.counts.completed)
    t.deepEqual(after.exceptions, [])
    t.deepEqual(output.missing, [], `seed ${seed}`)
    t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
  }
})

for (const [how, pausedMs] of [
  ['for less than its session lives', [2_550, 2_950]], // Its TaskManagers have given it up by then.
  ['past its session, and nobody else was there to lead', [3_050, 12_000]],
] as const)
  test(`the leader is stopped ${how}: it condemns nobody when it continues`, async (t) => {
    for (let seed = 1; seed <= 6; seed++) {
      const { cluster, output, details, end } = await submitted(seed, 'shortAndLong')
      await cluster.clock.advance(between(cluster.random, 800, 1_500))
      const before = await details()
      const leader = cluster.leader!
      const other = cluster.names.find((name) => name.startsWith('jm') && name !== leader)!
      cluster.crash(other)
      cluster.pause(leader)
      await cluster.clock.advance(between(cluster.random, pausedMs[0], pausedMs[1]))
      cluster.continue(leader)
      await cluster.clock.advance(2_000)
      t.deepEqual(attempts(await details()), attempts(before), `seed ${seed}`)
      cluster.startProcess(other)
      await end()
      t.is((await details()).restarts, 0, `seed ${seed}`)
      t.deepEqual(output.missing, [], `seed ${seed}`)
      t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
    }
  })

test('splits that readers ask for one by one are given once, through one leader after the other', async (t) => {
  for (let seed = 1; seed <= 8; seed++) {
    const { cluster, output, details, end } = await submitted(seed, 'pulled')
    await cluster.clock.advance(between(cluster.random, 500, 1_500))
    const before = await details()
    for (let crash = 0; crash < 3; crash++) {
      await leaderCrashes(cluster, true)
      t.deepEqual(attempts(await details()), attempts(before), `seed ${seed}`)
    }
    await end()
    t.is((await details()).restarts, 0, `seed ${seed}`)
    t.deepEqual(output.missing, [], `seed ${seed}`)
    t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
  }
})

for (const withLeader of [false, true])
  test(`a TaskManager crashes${withLeader ? ' together with the leader' : ''} when some tasks have FINISHED`, async (t) => {
    for (let seed = 1; seed <= 6; seed++) {
      const { cluster, output, details, end } = await partlyFinished(seed)
      // Sometimes long enough that the newest checkpoint says so, too.
      await cluster.clock.advance(between(cluster.random, 0, 1_500))
      const leader = cluster.leader!
      const busy = (await details()).vertices[0]!.subtasks[0]!.taskManagerId!
      const victims = [busy, ...(withLeader ? [leader] : [])]
      for (const victim of victims) cluster.crash(victim, true)
      await cluster.clock.advance(between(cluster.random, 0, 2_000))
      for (const victim of victims) cluster.startProcess(victim)
      await end()
      t.deepEqual(output.missing, [], `seed ${seed}`)
      t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
    }
  })
