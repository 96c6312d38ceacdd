/** What fails while a task reads its snapshot may take a while to come back; it ends no job. */
import test from 'ava'
import { between } from '#core/random.js'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const WORKLOAD: Workload = { name: 'counting', records: 200, ratePerSecond: 50, parallelism: 2 }
const CONFIG = {
  'execution.checkpointing.interval': '300 ms',
  'parallelism.default': 2,
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.attempts': '1000',
  'restart-strategy.fixed-delay.delay': '100 ms',
}
const JOB_ID = '0'.repeat(32)

async function running(seed: number) {
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 2, slotsEach: 2 })
  const { expected, program } = SHAPES.keyedSum
  const output = new CommittedOutput(JOB_ID, expected(WORKLOAD), cluster.invariants)
  await cluster.start()
  const jobGraph = await cluster.jobOf(JOB_ID, program(WORKLOAD, output, CONFIG, cluster.trouble))
  cluster.ask(
    (leading) => leading.dispatcher.submitJob({ jobGraph }),
    () => {},
  )
  const hasCheckpoint = () => (cluster.invariants.facts.get(JOB_ID)?.checkpoints.length ?? 0) > 1
  await cluster.clock.runUntil(hasCheckpoint, { withinMs: 10_000 })
  const end = () => cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.terminal !== undefined, { withinMs: 120_000 })
  const status = () => cluster.invariants.facts.get(JOB_ID)?.terminal?.status
  return { cluster, output, end, status }
}

for (const [who, awayMs] of [
  ['the leader', [0, 4_000]],
  ['every JobManager', [0, 8_000]],
  ['every JobManager', [8_000, 40_000]], // Also longer than tasks stay without a leader.
] as const)
  test.serial(`${who} dies while a task is restored, for ${awayMs[0] / 1_000} to ${awayMs[1] / 1_000} s`, async (t) => {
    for (let seed = 1; seed <= 6; seed++) {
      const { cluster, output, end, status } = await running(seed)
      let crashed: readonly string[] = []
      cluster.whenRestoring(() => {
        crashed = who === 'the leader' ? [cluster.leader!] : cluster.names.filter((name) => name.startsWith('jm'))
        for (const name of crashed) cluster.crash(name, seed % 2 === 0)
      })
      cluster.trouble.armed = true // User code throws: its task is restored.
      await cluster.clock.runUntil(() => crashed.length > 0, { withinMs: 10_000 })
      await cluster.clock.advance(between(cluster.random, awayMs[0], awayMs[1]))
      for (const name of crashed) cluster.startProcess(name)
      await end()
      t.is(status(), 'FINISHED', `seed ${seed}`)
      // Whoever leads next adopts tasks that are still being restored.
      if (awayMs[1] <= 8_000) t.is((await cluster.describe(JOB_ID))?.restarts, 1, `seed ${seed}`)
      t.deepEqual(output.missing, [], `seed ${seed}`)
      t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
    }
  })

test.serial('the disks of all JobManagers fail again and again while one after the other takes over', async (t) => {
  for (let seed = 1; seed <= 8; seed++) {
    const { cluster, output, end, status } = await running(seed)
    for (const disk of cluster.disks.values()) disk.failureRate = 0.15
    for (let crash = 0; crash < 3; crash++) {
      const { leader } = cluster
      if (leader === undefined) break
      cluster.crash(leader)
      await cluster.clock.advance(between(cluster.random, 500, 3_000))
      cluster.startProcess(leader)
    }
    for (const disk of cluster.disks.values()) disk.mend()
    await end()
    t.is(status(), 'FINISHED', `seed ${seed}`)
    t.deepEqual(output.missing, [], `seed ${seed}`)
    t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
  }
})
