/** A job whose recovery ends the leader: dispatcher/parked-jobs.ts. A leader dies of it where its sources would start. */
import test from 'ava'
import { FlottError } from '#core/errors.js'
import { ControlPlane } from '../../support/control-plane.js'
import type { FakeTaskManager } from '../../support/fake-task-manager.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

const { jobId, ...rest } = graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')])
const poison = { jobId, ...rest }
const other = { ...poison, jobId: 'b'.repeat(32), jobName: 'other' }

async function running(): Promise<{ plane: ControlPlane; tm: FakeTaskManager }> {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 4)
  await plane.dispatcher.submitJob({ jobGraph: poison })
  await plane.dispatcher.submitJob({ jobGraph: other })
  await plane.until(jobId, 'RUNNING')
  await plane.until(other.jobId, 'RUNNING')
  return { plane, tm }
}
/** The next leader, which finds all tasks running, and dies where the enumerators would start. */
async function leaderThatDies(plane: ControlPlane, tm: FakeTaskManager): Promise<void> {
  await leaderInRecovery(plane, tm)
  await plane.crashLeader()
}
async function leaderInRecovery(plane: ControlPlane, tm: FakeTaskManager): Promise<void> {
  const { coordinators } = plane
  coordinators.beforeSources = () => new Promise(() => {})
  await nextLeader(plane, tm)
  coordinators.beforeSources = async () => {}
}
async function nextLeader(plane: ControlPlane, tm: FakeTaskManager): Promise<void> {
  await plane.lead()
  await plane.connect(tm)
}
/** The third leader, after two that died in the recovery; `tasks` ran before. */
async function parked(): Promise<{ plane: ControlPlane; tm: FakeTaskManager; tasks: readonly string[] }> {
  const { plane, tm } = await running()
  const tasks = tm.running()
  await plane.crashLeader()
  await leaderThatDies(plane, tm)
  await leaderThatDies(plane, tm)
  await nextLeader(plane, tm)
  return { plane, tm, tasks }
}
const recoveries = (plane: ControlPlane, id = jobId) => plane.facts.jobs.get(id)!.value.unfinishedRecoveries

test('what two leaders in a row did not survive waits, with the reason, while its tasks run on', async (t) => {
  const { plane, tm, tasks } = await parked()
  const { status, waitingFor } = await plane.dispatcher.describeJob({ jobId })
  t.is(status, 'SUSPENDED')
  t.regex(waitingFor!, /^parked: 2 leaders in a row ended while they recovered this job; tried again in 15 s/)
  t.deepEqual(
    (await plane.dispatcher.listJobs({})).map((job) => job.status),
    ['SUSPENDED', 'SUSPENDED'],
  )
  t.is((await plane.dispatcher.clusterOverview({})).jobsRunning, 2)
  await plane.clock.advance(14_000)
  t.deepEqual(tm.running(), tasks)
})

test('parked jobs are tried one by one, and adopted with all their tasks once they are survived', async (t) => {
  const { plane, tm, tasks } = await parked()
  await plane.clock.advance(16_000)
  t.is(await plane.status(jobId), 'RUNNING')
  t.is(await plane.status(other.jobId), 'SUSPENDED')
  await plane.until(other.jobId, 'RUNNING')
  t.deepEqual(tm.running(), tasks)
  await plane.clock.advance(11_000)
  t.is(recoveries(plane), undefined)
  t.is(recoveries(plane, other.jobId), undefined)
})

test('only the job that leaders die of waits longer and longer; the others are served from then on', async (t) => {
  const { plane, tm } = await parked()
  plane.coordinators.beforeSources = () => new Promise(() => {})
  await plane.until(jobId, 'RECONCILING') // Tried again,
  await plane.crashLeader() // and it was the one.
  plane.coordinators.beforeSources = async () => {}
  await nextLeader(plane, tm)
  t.is(recoveries(plane), 3)
  t.regex((await plane.dispatcher.describeJob({ jobId })).waitingFor!, /tried again in 30 s/)
  await plane.until(other.jobId, 'RUNNING', 20_000)
  await plane.clock.advance(10_500)
  t.is(recoveries(plane, other.jobId), undefined)
})

test('leaders that die once all tasks are adopted cost nothing, however soon', async (t) => {
  const { plane, tm } = await running()
  for (let reign = 0; reign < 4; reign++) {
    await plane.crashLeader()
    await nextLeader(plane, tm)
    await plane.until(jobId, 'RUNNING')
    await plane.clock.advance(100)
    t.is(recoveries(plane), undefined)
  }
})

test('a recovery that can not end is survived after ten seconds', async (t) => {
  const { plane, tm } = await running()
  await plane.crashLeader()
  await leaderInRecovery(plane, tm)
  await plane.clock.advance(9_000)
  t.is(recoveries(plane), 1)
  await plane.clock.advance(1_500)
  t.is(recoveries(plane), undefined)
})

test('a leader that stops cleanly was not killed by what it recovered', async (t) => {
  const { plane, tm } = await running()
  await plane.crashLeader()
  for (let reign = 0; reign < 4; reign++) {
    await leaderInRecovery(plane, tm)
    t.is(recoveries(plane), 1)
    await plane.jobManager.stop()
    t.is(recoveries(plane), undefined)
  }
})

test('a leader that can not read a job now survives that', async (t) => {
  const { plane, tm } = await running()
  await plane.crashLeader()
  const info = plane.blobs.info.bind(plane.blobs)
  for (let reign = 0; reign < 3; reign++) {
    plane.blobs.info = () => Promise.reject(new FlottError('STORAGE_FAILED', 'the disk does not answer'))
    await t.throwsAsync(plane.lead(), { code: 'STORAGE_FAILED' })
    plane.blobs.info = info
    t.is(recoveries(plane), undefined)
  }
  await nextLeader(plane, tm)
  await plane.until(jobId, 'RUNNING')
})

test('slots that were given to a parked job, and that no deployment names, are free again once it is tried', async (t) => {
  const plane = new ControlPlane()
  plane.coordinators.beforeSources = () => new Promise(() => {}) // Nothing is deployed: the leader dies here.
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: poison })
  await plane.clock.advance(100)
  await plane.crashLeader()
  for (let reign = 0; reign < 2; reign++) {
    await nextLeader(plane, tm)
    await plane.clock.advance(100)
    t.deepEqual(new Set(tm.slots.map(({ state }) => state)), new Set(['ALLOCATED']))
    await plane.crashLeader()
  }
  plane.coordinators.beforeSources = async () => {}
  await nextLeader(plane, tm)
  t.is(await plane.status(jobId), 'SUSPENDED')
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(2_000)
  t.is(tm.running().length, 4)
})

test('a parked job is cancelled without anything of it running on the leader', async (t) => {
  const { plane, tm } = await parked()
  plane.coordinators.calls.length = 0
  await plane.dispatcher.cancelJob({ jobId })
  await plane.until(jobId, 'CANCELED')
  t.deepEqual(
    plane.coordinators.calls.filter((call) => call.startsWith('sources')),
    [],
  )
  t.is(tm.running().length, 4)
  t.deepEqual(
    tm.running().filter((attempt) => attempt.startsWith(jobId)),
    [],
  )
})

test('a parked job is known: its submission is idempotent, its records are not at an end', async (t) => {
  const { plane } = await parked()
  await plane.dispatcher.submitJob({ jobGraph: poison })
  t.is(await plane.status(jobId), 'SUSPENDED')
  t.false((await plane.dispatcher.fetchCollected({ jobId, operatorId: 'x', after: 0 })).ended)
})

test('a parked job that is tried while somebody asks for its details is described as it is then', async (t) => {
  const { plane } = await parked()
  const { get } = plane.blobs
  let answer = () => {}
  plane.blobs.get = async (name) => {
    plane.blobs.get = get
    await new Promise<void>((resolve) => (answer = resolve))
    return get.call(plane.blobs, name)
  }
  const details = plane.dispatcher.describeJob({ jobId })
  await plane.until(jobId, 'RUNNING')
  answer()
  t.is((await details).status, 'RUNNING')
})

test('a leader that stops while it is suspended stops all the same, and its JobMasters with it', async (t) => {
  const { plane, tm } = await running()
  await plane.crashLeader()
  await leaderInRecovery(plane, tm)
  plane.reign.suspend()
  const stopped = plane.jobManager.stop()
  await plane.clock.advance(1_000)
  await t.notThrowsAsync(stopped)
  t.is(recoveries(plane), 1)
})
