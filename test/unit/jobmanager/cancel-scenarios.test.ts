import test from 'ava'
import { FlottError } from '#core/errors.js'
import { ControlPlane } from '../../support/control-plane.js'
import type { FakeTaskManager } from '../../support/fake-task-manager.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

const job = (settings: Record<string, string> = {}) =>
  graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')], settings)
const { jobId } = job()
const RESTARTING = { 'restart-strategy.type': 'fixed-delay', 'restart-strategy.fixed-delay.delay': '30 s' }

async function running(settings: Record<string, string> = {}): Promise<{ plane: ControlPlane; tm: FakeTaskManager }> {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: job(settings) })
  await plane.clock.advance(100)
  return { plane, tm }
}

test('cancelled while it waits for slots', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 1)
  await plane.dispatcher.submitJob({ jobGraph: job() })
  await plane.dispatcher.cancelJob({ jobId })
  await plane.until(jobId, 'CANCELED')
  t.is(tm.deployments.length, 0)
  t.is((await plane.dispatcher.clusterOverview({})).slotsAvailable, 1)
})

test('cancelled while the deployment is being recorded: nothing is sent', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  let release = () => {}
  plane.blobs.beforePut = (name) =>
    name.startsWith('deployment/')
      ? new Promise<void>((resolve) => {
          release = resolve
        })
      : undefined
  await plane.dispatcher.submitJob({ jobGraph: job() })
  await plane.clock.advance(100)
  await plane.dispatcher.cancelJob({ jobId })
  release()
  await plane.until(jobId, 'CANCELED')
  await plane.clock.advance(1_000)
  t.is(tm.deployments.length, 0)
  t.deepEqual(plane.blobs.names('deployment/'), [])
  t.is(plane.facts.jobs.get(jobId)!.value.deployment, undefined)
})

test('cancelled while tasks are deploying: CANCELED only when all have ended', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  tm.onSubmit = () => 'stay'
  tm.onCancel = () => 'stay'
  await plane.dispatcher.submitJob({ jobGraph: job() })
  await plane.clock.advance(100)
  await plane.dispatcher.cancelJob({ jobId })
  await plane.clock.advance(10_000)
  t.is(await plane.status(jobId), 'CANCELLING')
  for (const attempt of tm.running()) void tm.report(attempt, 'CANCELED')
  await plane.until(jobId, 'CANCELED')
  t.pass()
})

test('cancelled while it runs; the intent is durable first', async (t) => {
  const { plane, tm } = await running()
  await plane.dispatcher.cancelJob({ jobId })
  t.is(plane.facts.jobs.get(jobId)!.value.target, 'CANCELED')
  await plane.until(jobId, 'CANCELED')
  t.deepEqual(tm.running(), [])
  await t.throwsAsync(plane.dispatcher.cancelJob({ jobId }), { code: 'JOB_ALREADY_TERMINATED' })
  await t.throwsAsync(plane.dispatcher.cancelJob({ jobId: 'f'.repeat(32) }), { code: 'JOB_NOT_FOUND' })
})

test('cancelled while it pauses before a restart: no restart follows', async (t) => {
  const { plane, tm } = await running(RESTARTING)
  void tm.report(tm.running()[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'boom'))
  await plane.until(jobId, 'RESTARTING')
  await plane.clock.advance(1_000)
  await plane.dispatcher.cancelJob({ jobId })
  await plane.until(jobId, 'CANCELED')
  await plane.clock.advance(60_000)
  t.is(tm.deployments.length, 1)
})

test('cancelled while it is failing', async (t) => {
  const { plane, tm } = await running()
  tm.onCancel = () => 'stay'
  const attempts = tm.running()
  void tm.report(attempts[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'boom'))
  await plane.until(jobId, 'FAILING')
  await plane.dispatcher.cancelJob({ jobId })
  for (const attempt of attempts.slice(1)) void tm.report(attempt, 'CANCELED')
  await plane.until(jobId, 'CANCELED')
  t.is((await plane.dispatcher.describeJob({ jobId })).failure, undefined)
})

test('a TaskManager lost during cancellation ends its tasks', async (t) => {
  const { plane, tm } = await running()
  tm.onCancel = () => 'stay'
  await plane.dispatcher.cancelJob({ jobId })
  await plane.clock.advance(1_000)
  t.is(await plane.status(jobId), 'CANCELLING')
  tm.crash()
  await plane.until(jobId, 'CANCELED')
  t.pass()
})

test('a task that fails while it is cancelled does not make the job FAILED', async (t) => {
  const { plane, tm } = await running()
  tm.onCancel = () => 'stay'
  await plane.dispatcher.cancelJob({ jobId })
  await plane.clock.advance(100)
  for (const attempt of tm.running()) void tm.report(attempt, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'late'))
  await plane.until(jobId, 'CANCELED')
  t.pass()
})
