/**
 * From the grant of leadership until the new leader has adopted every task of the job that it finds: 1,000 tasks, in 500 slots of 250
 * simulated TaskManagers, which register anew. Run: node dist/test/bench/adoption.bench.js [taskManagers] [rounds]
 */
import { type Elapsed, hundredths, median, report, spread, timed } from './measure.js'
import { pipeline, SimulatedCluster } from './simulated-cluster.js'

const VERTICES = 2
const SLOTS = 2
const [taskManagers = 250, rounds = 9] = process.argv.slice(2).map(Number)
const parallelism = taskManagers * SLOTS

const cluster = new SimulatedCluster({ taskManagers, slots: SLOTS })
await cluster.lead()
const job = await cluster.submit(pipeline(VERTICES, parallelism))
await cluster.untilRunning(job)
const deployments = await cluster.deployments()
const times: Elapsed[] = []
for (let round = 0; round < rounds; round++) {
  cluster.crashLeader()
  times.push(
    await timed(async () => {
      await cluster.lead()
      await cluster.untilRunning(job)
    }),
  )
}
if ((await cluster.deployments()) !== deployments) throw new Error('tasks were sent again')
report('adoption', {
  tasks: VERTICES * parallelism,
  taskManagers,
  rounds,
  ...spread('adopted', times),
  cpuMs: hundredths(median(times.map(({ cpuMs }) => cpuMs))),
})
process.exit()
