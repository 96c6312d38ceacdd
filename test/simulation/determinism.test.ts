import test from 'ava'
import { CommittedOutput, countingProgram } from './counting-job.js'
import { SimulatedCluster } from './simulated-cluster.js'

async function history(seed: number): Promise<string> {
  const output = new CommittedOutput()
  const config = { 'execution.checkpointing.interval': '300 ms', 'parallelism.default': 2 }
  const program = countingProgram({ records: 1_000, keys: 5, ratePerSecond: 500 }, output, config)
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 2, slotsEach: 2, dropRate: 0.001, program })
  await cluster.start()
  const { jobId } = await cluster.submit()
  await cluster.clock.advance(1_000)
  const victim = cluster.leader!
  cluster.crash(victim)
  await cluster.clock.advance(500)
  await cluster.restart(victim)
  cluster.faulty = false
  await cluster.untilStatus(jobId, 'FINISHED', 120_000)
  return [...cluster.log, ...output.lines].join('\n')
}

test('one seed is one history, byte for byte', async (t) => {
  const first = await history(11)
  t.is(await history(11), first)
  t.not(await history(12), first)
})
