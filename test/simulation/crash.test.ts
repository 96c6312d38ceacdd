import test from 'ava'
import { between } from '#core/random.js'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Shape, type Workload } from './workloads.js'

const WORKLOAD: Workload = { name: 'counting', records: 400, ratePerSecond: 100, parallelism: 2 }
const CONFIG = { 'execution.checkpointing.interval': '500 ms', 'parallelism.default': 2 }
const JOB_ID = '0'.repeat(32)

async function running(seed: number, shape: Shape = SHAPES.keyedSum) {
  const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 2, slotsEach: 2 })
  const { expected, program } = shape
  const output = new CommittedOutput(JOB_ID, expected(WORKLOAD), cluster.invariants)
  await cluster.start()
  const jobGraph = await cluster.jobOf(JOB_ID, program(WORKLOAD, output, CONFIG))
  let accepted = false
  cluster.ask(
    (leading) => leading.dispatcher.submitJob({ jobGraph }),
    () => {
      accepted = true
    },
  )
  await cluster.clock.runUntil(() => accepted, { withinMs: 10_000 })
  const finished = () => cluster.invariants.facts.get(JOB_ID)?.terminal?.status === 'FINISHED'
  return { cluster, output, end: () => cluster.clock.runUntil(finished, { withinMs: 60_000 }) }
}

test.serial('a job without faults: every record counted and committed, no restart', async (t) => {
  const { cluster, output, end } = await running(1)
  await end()
  t.deepEqual([...output.lines].sort(), [...SHAPES.keyedSum.expected(WORKLOAD)].sort())
  t.is((await cluster.describe(JOB_ID))?.restarts, 0)
  t.deepEqual(cluster.invariants.problems, [])
})

test.serial('a crash of the leader restarts no job: its tasks are adopted', async (t) => {
  for (let seed = 1; seed <= 10; seed++) {
    const { cluster, output, end } = await running(seed)
    await cluster.clock.advance(between(cluster.random, 500, 3_000)) // The standby has joined by then.
    const leader = cluster.leader!
    cluster.crash(leader, seed % 2 === 0)
    await cluster.clock.advance(between(cluster.random, 0, 3_000))
    cluster.startProcess(leader)
    await end()
    t.is((await cluster.describe(JOB_ID))?.restarts, 0, `seed ${seed}: the job was adopted`)
    t.deepEqual(output.missing, [], `seed ${seed}`)
    t.deepEqual(cluster.invariants.problems, [], `seed ${seed}`)
  }
})

test.serial('every process is killed when a part of the job has finished: that part ends again, and the job with it', async (t) => {
  const { cluster, output, end } = await running(1, SHAPES.twoRegions)
  await cluster.clock.advance(3_000) // The short pipeline takes 1.3 s; two checkpoints later nothing of it is left.
  for (const name of cluster.names) cluster.crash(name, false)
  for (const name of cluster.names) cluster.startProcess(name)
  await end()
  t.deepEqual(output.missing, [])
  t.deepEqual(cluster.invariants.problems, [])
})
