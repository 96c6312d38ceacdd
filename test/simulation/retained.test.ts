/** A job is cancelled, and another one starts from its last checkpoint, at any parallelism and while processes die: exactly once. */
import test from 'ava'
import { between, pick } from '#core/random.js'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const [FIRST, SECOND] = ['0'.repeat(32), '1'.repeat(32)]
const SEEDS = 6
const CONFIG = { 'execution.checkpointing.interval': '300 ms' }

for (const [name, shape] of Object.entries(SHAPES))
  test.serial(`${name}: output goes on with a new job where the cancelled one had a checkpoint`, async (t) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 2, slotsEach: 2 })
      const { clock, invariants, random } = cluster
      const workload: Workload = { name, records: 200, ratePerSecond: 60, parallelism: 2 }
      const output = new CommittedOutput(FIRST, shape.expected(workload), invariants)
      await cluster.start()
      const submit = async (jobId: string, parallelism: number, more: Readonly<Record<string, string>> = {}) => {
        const config = { ...CONFIG, 'parallelism.default': parallelism, ...more }
        const jobGraph = await cluster.jobOf(jobId, shape.program({ ...workload, parallelism }, output, config, cluster.trouble))
        cluster.ask(
          (leading) => leading.dispatcher.submitJob({ jobGraph }),
          () => {},
        )
      }
      const ended = (jobId: string) => invariants.facts.get(jobId)?.terminal?.status
      await submit(FIRST, 2)
      await clock.runUntil(() => (invariants.facts.get(FIRST)?.checkpoints.length ?? 0) > 1, { withinMs: 20_000 })
      await clock.advance(between(random, 0, 1_500))
      cluster.ask(
        (leading) => leading.dispatcher.cancelJob({ jobId: FIRST }),
        () => {},
      )
      await clock.runUntil(() => ended(FIRST) !== undefined, { withinMs: 20_000 })
      t.is(ended(FIRST), 'CANCELED', `seed ${seed}`)
      // Event time is kept by reader, not by split: with fewer readers than splits records would come late.
      const parallelism = name === 'unionWindows' ? 2 : pick(random, [1, 2, 3, 4])
      await submit(SECOND, parallelism, { 'execution.state-recovery.path': FIRST })
      cluster.trouble.armed = seed % 3 === 0 // User code of the new job throws, maybe before it has a checkpoint of its own.
      if (seed % 2 === 0) {
        await clock.advance(between(random, 0, 1_000))
        const crashed = pick(random, cluster.names)
        cluster.crash(crashed)
        await clock.advance(between(random, 0, 2_000))
        cluster.startProcess(crashed)
      }
      await clock.runUntil(() => invariants.facts.has(SECOND), { withinMs: 20_000 })
      if (seed % 4 > 1)
        cluster.ask(
          (leading) => leading.dispatcher.triggerDisposal({ path: FIRST }),
          () => {},
        )
      await clock.runUntil(() => ended(SECOND) !== undefined, { withinMs: 120_000 })
      t.is(ended(SECOND), 'FINISHED', `seed ${seed}`)
      t.deepEqual(output.missing, [], `seed ${seed}, parallelism ${parallelism}`)
      t.deepEqual(invariants.problems, [], `seed ${seed}, parallelism ${parallelism}`)
    }
  })
