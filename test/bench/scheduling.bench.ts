/**
 * From the submission of a job until all its tasks run: ten vertices of parallelism 1,000, one exchange of all with all, on 1,000
 * simulated TaskManagers with a slot each. Run: node dist/test/bench/scheduling.bench.js [taskManagers] [rounds]
 */
import { type Elapsed, hundredths, median, report, spread, timed } from './measure.js'
import { pipeline, SimulatedCluster } from './simulated-cluster.js'

const VERTICES = 10
const [taskManagers = 1_000, rounds = 5] = process.argv.slice(2).map(Number)

const program = pipeline(VERTICES, taskManagers)
const times: Elapsed[] = []
for (let round = 0; round < rounds; round++) {
  const cluster = new SimulatedCluster({ taskManagers, slots: 1 })
  await cluster.lead()
  times.push(await timed(async () => cluster.untilRunning(await cluster.submit(program))))
  await cluster.stop()
}
report('scheduling', {
  tasks: VERTICES * taskManagers,
  taskManagers,
  rounds,
  ...spread('running', times),
  cpuMs: hundredths(median(times.map(({ cpuMs }) => cpuMs))),
})
process.exit()
