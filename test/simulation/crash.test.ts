import test from 'ava'
import { between, pick } from '#core/random.js'
import { CommittedOutput, countingProgram, expectedLines } from './counting-job.js'
import { SimulatedCluster } from './simulated-cluster.js'

const JOB = { records: 3_000, keys: 17, ratePerSecond: 500 }
const CONFIG = { 'execution.checkpointing.interval': '500 ms', 'parallelism.default': 2 }

function clusterFor(seed: number, dropRate = 0) {
  const output = new CommittedOutput()
  const program = countingProgram(JOB, output, CONFIG)
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 3, slotsEach: 2, dropRate, program })
  return { cluster, output }
}

test('a job without faults: every record counted and committed', async (t) => {
  const { cluster, output } = clusterFor(1)
  await cluster.start()
  const { jobId } = await cluster.submit()
  const details = await cluster.untilStatus(jobId, 'FINISHED', 60_000)
  t.deepEqual([...output.lines].sort(), expectedLines(JOB))
  t.is(details.restarts, 0)
})

test('a job survives any one crash', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { cluster, output } = clusterFor(seed)
    await cluster.start()
    const { jobId } = await cluster.submit()
    await cluster.clock.advance(between(cluster.random, 100, 5_000))
    const leader = cluster.leader
    const victim = pick(cluster.random, cluster.processes)
    cluster.crash(victim)
    await cluster.clock.advance(between(cluster.random, 0, 3_000))
    await cluster.restart(victim)
    const details = await cluster.untilStatus(jobId, 'FINISHED', 120_000)
    t.deepEqual([...output.lines].sort(), expectedLines(JOB), `seed ${seed}, ${victim} crashed`)
    if (victim === leader) t.is(details.restarts, 0, `seed ${seed}: the job was adopted`)
  }
})
