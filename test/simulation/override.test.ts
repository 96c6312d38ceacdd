/** All disks of the in-sync set are lost, and an operator lets a stale one lead. */
import test from 'ava'
import { sleep } from '#core/clock.js'
import { CommittedOutput } from './committed-output.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'

const WORKLOAD: Workload = { name: 'counting', records: 60, ratePerSecond: 30, parallelism: 1 }
const SETTINGS = {
  'execution.checkpointing.interval': '300 ms',
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.attempts': '1000000',
  'restart-strategy.fixed-delay.delay': '200 ms',
}
const yes = async () => true

/** jm-1 leads, jm-2 is in the set. */
async function started(seed: number) {
  const cluster = new SimulatedCluster({ seed, jobManagers: 1, taskManagers: 2, slotsEach: 2, settings: SETTINGS })
  const { clock, invariants } = cluster
  await cluster.start()
  cluster.startProcess('jm-2')
  await clock.runUntil(() => invariants.isr.length === 2, { withinMs: 10_000 })
  const submit = async (jobId: string) => {
    const output = new CommittedOutput(jobId, SHAPES.keyedSum.expected(WORKLOAD), invariants)
    const program = SHAPES.keyedSum.program(WORKLOAD, output, { 'parallelism.default': 1 })
    const jobGraph = await cluster.jobOf(jobId, program)
    let accepted = false
    cluster.ask(
      (leading) => leading.dispatcher.submitJob({ jobGraph }),
      () => {
        accepted = true
      },
    )
    await clock.runUntil(() => accepted, { withinMs: 10_000 })
    return output
  }
  const status = (jobId: string) => invariants.facts.get(jobId)?.terminal?.status
  const until = (condition: () => boolean, withinMs = 60_000) => clock.runUntil(condition, { withinMs })
  const answerOf = (name: string) => cluster.diskAnswers.find(({ replica }) => replica.jobManagerId === name)!
  const reset = async (name: string, decide = yes) => {
    const outcome: { done?: boolean; error?: unknown } = {}
    cluster.resetInSync('operator', answerOf(name), decide).then(
      (done) => Object.assign(outcome, { done }),
      (error: unknown) => Object.assign(outcome, { error }),
    )
    await until(() => Object.keys(outcome).length > 0)
    return outcome
  }
  return { cluster, submit, status, until, reset }
}
const job = (n: number) => String(n).repeat(32)

test('what is wholly on the stale disk goes on, what is not fails and says why; a former member has no say, and gives back what it has', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const { cluster, submit, status, until, reset } = await started(seed)
    const { invariants } = cluster
    const whole = await submit(job(1))
    await until(() => (invariants.facts.get(job(1))?.checkpoints.length ?? 0) > 0)
    for (const name of ['tm-1', 'tm-2']) cluster.crash(name) // Nothing of the job changes any more.
    await cluster.clock.advance(3_000)
    cluster.stop('jm-2')
    await until(() => invariants.isr.length === 1)
    await submit(job(2))
    t.like(await reset('jm-1'), { error: { code: 'IN_SYNC_MEMBER_LIVES' } }, `seed ${seed}: its leader`)
    cluster.switchOff('jm-1')
    cluster.startProcess('jm-2')
    await cluster.clock.advance(6_000)
    t.is(cluster.leader, undefined, `seed ${seed}: nobody leads by himself with less`)
    t.deepEqual(await reset('jm-2'), { done: true }, `seed ${seed}`)
    await until(() => cluster.leader === 'jm-2')
    t.is(invariants.overrides, 1)
    for (const name of ['tm-1', 'tm-2']) cluster.startProcess(name)
    await until(() => status(job(2)) !== undefined)
    t.is(status(job(2)), 'FAILED', `seed ${seed}`)
    t.true(invariants.mayFail(invariants.facts.get(job(2))!))
    cluster.switchOn('jm-1')
    await until(() => invariants.isr.length === 2)
    t.is(cluster.leader, 'jm-2', `seed ${seed}`)
    t.true(invariants.holds('jm-2', invariants.facts.get(job(2))!.jobGraph), `seed ${seed}: it came back with jm-1`)
    const later = await submit(job(3))
    cluster.crash('jm-2')
    await until(() => cluster.leader === 'jm-1')
    for (const id of [job(1), job(3)]) await until(() => status(id) !== undefined, 90_000)
    await cluster.clock.advance(2_000)
    t.deepEqual([status(job(1)), whole.missing, status(job(3)), later.missing], ['FINISHED', [], 'FINISHED', []], `seed ${seed}`)
    t.deepEqual(invariants.problems, [], `seed ${seed}`)
  }
})

for (const sessionEnds of [true, false])
  test(`a member comes back while the operator decides${sessionEnds ? ', whose session ends' : ''}`, async (t) => {
    for (let seed = 1; seed <= 3; seed++) {
      const { cluster, until, reset } = await started(seed)
      const { invariants } = cluster
      cluster.stop('jm-2')
      await until(() => invariants.isr.length === 1)
      cluster.crash('jm-1')
      cluster.startProcess('jm-2')
      await cluster.clock.advance(2_000)
      const outcome = await reset('jm-2', async () => {
        cluster.startProcess('jm-1')
        await sleep(cluster.clock, 2_000)
        t.is(cluster.leader, undefined, `seed ${seed}: it waits behind the operator`)
        if (!sessionEnds) return true
        cluster.zookeeper.expire('operator')
        await sleep(cluster.clock, 2_000)
        t.is(cluster.leader, 'jm-1', `seed ${seed}`)
        return true
      })
      if (sessionEnds) t.like(outcome, { error: { code: 'ZOOKEEPER_SESSION_EXPIRED' } }, `seed ${seed}`)
      else t.deepEqual(outcome, { done: true }, `seed ${seed}`)
      const leader = sessionEnds ? 'jm-1' : 'jm-2'
      await until(() => cluster.leader === leader && invariants.isr.length === 2)
      t.is(invariants.overrides, sessionEnds ? 0 : 1, `seed ${seed}`)
      t.deepEqual(invariants.problems, [], `seed ${seed}`)
    }
  })
