/** A TaskManager that only the leader can not reach is given up: it learns so from ZooKeeper, and stops what runs elsewhere by then. */
import test from 'ava'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const WORKLOAD: Workload = { name: 'counting', records: 300, ratePerSecond: 30, parallelism: 2 }
const CONFIG = { 'execution.checkpointing.interval': '400 ms', 'parallelism.default': 2, 'restart-strategy.type': 'exponential-delay' }
const JOB_ID = '0'.repeat(32)

for (const leaderDies of [false, true])
  test(`its tasks end while it is cut off, and it is taken again ${leaderDies ? 'by the next leader' : 'when it comes back'}`, async (t) => {
    for (let seed = 1; seed <= 4; seed++) {
      const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 3, slotsEach: 2 })
      const output = new CommittedOutput(JOB_ID, SHAPES.keyedSum.expected(WORKLOAD), cluster.invariants)
      await cluster.start()
      const jobGraph = await cluster.jobOf(JOB_ID, SHAPES.keyedSum.program(WORKLOAD, output, CONFIG, cluster.trouble))
      cluster.ask(
        (leading) => leading.dispatcher.submitJob({ jobGraph }),
        () => {},
      )
      await cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.deployment !== undefined, { withinMs: 10_000 })
      await cluster.clock.advance(1_000)
      const victim = (await cluster.describe(JOB_ID))!.vertices[0]!.subtasks[0]!.taskManagerId!
      const leader = cluster.leader!
      const addressOf = (name: string) => cluster.process(name)!.address
      const said = (text: string, from = 0) => cluster.log.slice(from).some((line) => line.includes(text) && line.includes(victim))
      const [here, there] = [addressOf(victim), addressOf(leader)]
      cluster.network.cut(here, there)
      await cluster.clock.runUntil(() => said(`${victim} warn given up by the leader`), { withinMs: 20_000 })
      if (leaderDies) {
        cluster.crash(leader)
        await cluster.clock.runUntil(() => cluster.leader !== undefined && cluster.leader !== leader, { withinMs: 30_000 })
        cluster.startProcess(leader)
      }
      const from = cluster.log.length
      cluster.network.heal(here, there)
      await cluster.clock.runUntil(() => said('TaskManager registered', from), { withinMs: 30_000 })
      await cluster.clock.runUntil(() => cluster.invariants.facts.get(JOB_ID)?.terminal?.status === 'FINISHED', { withinMs: 90_000 })
      t.deepEqual([output.missing, cluster.invariants.problems], [[], []], `seed ${seed}`)
    }
  })
