import test from 'ava'
import { FlottError } from '#core/errors.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import { ControlPlane } from '../../support/control-plane.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

const RESTARTING = { 'restart-strategy.type': 'fixed-delay', 'restart-strategy.fixed-delay.attempts': '3' }
const connected = (settings: Record<string, string> = {}) =>
  graph([vertex('source', 2, { kind: 'source' }), vertex('sink', 2)], [edge('source', 'sink')], settings)
const parallel = (settings: Record<string, string> = {}) =>
  graph([vertex('source', 2, { kind: 'source' }), vertex('sink', 2)], [edge('source', 'sink', 'forward')], settings)
const { jobId } = connected()
const boom = () => new FlottError('USER_FUNCTION_FAILED', 'boom')

test('a job runs on its slots and ends FINISHED', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(100)
  t.is(tm.running().length, 4)
  t.true(plane.coordinators.calls.includes('startTriggering'))
  for (const attempt of tm.running()) void tm.report(attempt, 'FINISHED')
  await plane.until(jobId, 'FINISHED')
  await plane.clock.advance(100)
  t.deepEqual(
    tm.slots.map((slot) => slot.state),
    ['FREE', 'FREE'],
  )
  const fact = plane.facts.jobs.get(jobId)!.value
  t.is(fact.terminal?.status, 'FINISHED')
  t.true(plane.blobs.blobs.has(fact.result!) && plane.blobs.blobs.has(fact.history!))
  t.deepEqual(plane.blobs.names('deployment/'), [])
})

test('a job that has ended and could not be forgotten is not run again by a submission that is repeated', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(100)
  for (const attempt of tm.running()) void tm.report(attempt, 'FINISHED')
  await plane.until(jobId, 'FINISHED')
  const { deleteJob } = plane.facts
  plane.facts.deleteJob = async () => {
    throw new FlottError('ZOOKEEPER_UNAVAILABLE', 'not now')
  }
  await plane.clock.advance(3_700_000)
  const deployments = tm.deployments.length
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.clock.advance(1_000)
  t.is(tm.deployments.length, deployments)
  t.is((await plane.dispatcher.describeJob({ jobId })).status, 'FINISHED')
  plane.facts.deleteJob = deleteJob
  await plane.clock.advance(20_000)
  t.is(plane.facts.jobs.size, 0)
})

test('no TaskManager hears of a deployment before its record is named in the fact', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  plane.facts.beforeWrite = () => held
  await plane.clock.advance(1_000)
  t.is(tm.deployments.length, 0)
  t.is(plane.blobs.names('deployment/').length, 1)
  release()
  await plane.clock.advance(1_000)
  const record = decodeDeployment(plane.blobs.blobs.get(plane.facts.jobs.get(jobId)!.value.deployment!)!)
  t.deepEqual(tm.deployments[0]!.deployment, record)
  t.is(record.attempts.length, 4)
  t.is(plane.facts.jobs.get(jobId)!.value.attemptNumber, 0)
})

test('regions that are due together share a record, and each TaskManager hears of it once', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const taskManagers = [await plane.taskManager('tm1', 10), await plane.taskManager('tm2', 10)]
  const vertices = [vertex('source', 20, { kind: 'source' }), vertex('sink', 20)]
  await plane.dispatcher.submitJob({ jobGraph: graph(vertices, [edge('source', 'sink', 'forward')]) })
  plane.facts.beforeWrite = () => new Promise<void>((resolve) => void plane.clock.setTimer(5, resolve))
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(1_000)
  for (const tm of taskManagers) t.is(tm.running().length, 20)
  const records = plane.facts.history.flatMap(({ deployment }) => deployment ?? [])
  t.true(new Set(records).size <= 2, `${new Set(records).size} records of 20 regions`)
  for (const tm of taskManagers) t.true(tm.deployments.length <= 2, `${tm.id} heard ${tm.deployments.length} times`)
})

test('a region that fails while its record is being made does not keep the others from running', async (t) => {
  const plane = new ControlPlane()
  await plane.lead(RESTARTING)
  const [tm1, tm2] = [await plane.taskManager('tm1', 1), await plane.taskManager('tm2', 1)]
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  plane.blobs.beforePut = (name) => (name.startsWith('deployment/') ? held : undefined)
  await plane.dispatcher.submitJob({ jobGraph: parallel() })
  await plane.clock.advance(100)
  tm2.crash()
  await plane.clock.advance(100)
  plane.blobs.beforePut = () => {}
  release()
  await plane.clock.advance(1_000)
  t.is(tm1.running().length, 2)
  t.is(plane.blobs.names('deployment/').length, 1)
  const tm3 = await plane.taskManager('tm3', 1)
  await plane.clock.advance(5_000)
  t.is(tm3.running().length, 2)
  t.is((await plane.dispatcher.describeJob({ jobId })).restarts, 1)
})

test('a job waits for slots, says what for, and fails when they do not come', async (t) => {
  const plane = new ControlPlane()
  await plane.lead({ 'slot.request.timeout': '10 s' })
  await plane.taskManager('tm', 1)
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.clock.advance(5_000)
  t.is((await plane.dispatcher.describeJob({ jobId })).waitingFor, 'needs 2 slots of group default, 1 is free')
  await plane.until(jobId, 'FAILED')
  t.regex(
    (await plane.dispatcher.describeJob({ jobId })).failure!.message,
    /NO_RESOURCE_AVAILABLE: needs 2 slots of group default, 1 is free/,
  )
})

test('slots that come in time are used', async (t) => {
  const plane = new ControlPlane()
  await plane.lead({ 'slot.request.timeout': '10 s' })
  const first = await plane.taskManager('tm1', 1)
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.clock.advance(5_000)
  const second = await plane.taskManager('tm2', 1)
  await plane.clock.advance(10_000)
  t.is(first.running().length + second.running().length, 4)
  t.is(await plane.status(jobId), 'RUNNING')
})

test('a failed task restarts its region when all its attempts have ended, restored and numbered anew, in the same slots', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(100)
  const before = tm.running()
  tm.onCancel = () => 'stay'
  void tm.report(before[0]!, 'FAILED', boom())
  await plane.clock.advance(5_000)
  t.is(await plane.status(jobId), 'RESTARTING')
  t.is(tm.deployments.length, 1, 'three attempts have not ended')
  plane.coordinators.restorePoint = {
    id: 7,
    blob: 'manifest/x',
    manifest: {
      version: 1,
      jobId,
      checkpointId: 7,
      triggerTimestamp: 0,
      completedTimestamp: 0,
      kind: 'checkpoint',
      vertices: [],
      coordinators: {},
      checkpointedSize: 0,
      stateSize: 0,
    },
  }
  for (const attempt of before.slice(1)) void tm.report(attempt, 'CANCELED')
  await plane.clock.advance(100)
  t.is(await plane.status(jobId), 'RUNNING')
  const [first, second] = tm.deployments
  t.deepEqual(
    second!.tasks.map((task) => [task.attemptNumber, task.allocationId, task.restore?.checkpointId]),
    first!.tasks.map((task) => [1, task.allocationId, 7]),
  )
  t.is(second!.deployment.deploymentNumber, 1)
  t.deepEqual(second!.deployment.restoredCheckpoint, { id: 7, manifest: 'manifest/x' })
  t.deepEqual(
    plane.coordinators.calls.filter((call) => call !== 'stopTriggering'),
    ['sources.start fresh', 'startTriggering', 'sources.start restored', 'startTriggering'],
  )
  const details = await plane.dispatcher.describeJob({ jobId })
  t.is(details.restarts, 1)
  t.regex(details.exceptions[0]!.error.message, /boom/)
  t.is(details.exceptions[0]!.taskManagerId, 'tm')
})

test('only the region of a failed task restarts; its readers give back what they held', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: parallel(RESTARTING) })
  await plane.clock.advance(100)
  const failing = tm.running().find((attempt) => attempt.includes('_1_'))!
  const others = tm.running().filter((attempt) => attempt.includes('_0_'))
  void tm.report(failing, 'FAILED', boom())
  await plane.clock.advance(5_000)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(
    others.filter((attempt) => !tm.running().includes(attempt)),
    [],
    'the other region runs on',
  )
  t.is(tm.running().length, 4)
  const last = tm.deployments.at(-1)!
  t.is(last.tasks.length, 2)
  t.is(last.deployment.attempts.length, 4, 'the record carries the untouched attempts over')
  t.deepEqual(
    plane.coordinators.calls.filter((call) => call.startsWith('reader') || call.startsWith('sources')),
    ['sources.start fresh', 'readerFailed 1'],
  )
})

test('a job without restarts left fails with the cause', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.clock.advance(100)
  void tm.report(tm.running()[0]!, 'FAILED', boom())
  await plane.until(jobId, 'FAILED')
  const { failure } = await plane.dispatcher.describeJob({ jobId })
  t.regex(failure!.message, /recovery is suppressed \(no restart strategy\): .*boom/)
  t.is(failure!.cause!.code, 'USER_FUNCTION_FAILED')
  t.deepEqual(tm.running(), [])
})

test('what a restart can not cure fails at once', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(100)
  void tm.report(tm.running()[0]!, 'FAILED', new FlottError('GRAPH_NOT_DETERMINISTIC', 'another graph'))
  await plane.until(jobId, 'FAILED')
  t.is((await plane.dispatcher.describeJob({ jobId })).restarts, 0)
})

test('a lost TaskManager: its tasks are gone at once, the job goes on elsewhere', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const first = await plane.taskManager('tm1', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(100)
  t.is(first.running().length, 4)
  const second = await plane.taskManager('tm2', 2)
  first.crash()
  await plane.clock.advance(1_500)
  t.is(await plane.status(jobId), 'RUNNING')
  t.is(second.running().length, 4)
  t.is((await plane.dispatcher.listTaskManagers({})).length, 1)
})

test('a silent TaskManager is lost after the heartbeat timeout', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const first = await plane.taskManager('tm1', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(100)
  const second = await plane.taskManager('tm2', 2)
  plane.network.cut(plane.address, first.process.address)
  await plane.clock.advance(3_000)
  t.is(second.running().length, 0)
  await plane.clock.advance(6_000)
  t.is(second.running().length, 4)
})

test('a heartbeat that knows a task as running which has FINISHED is old: nothing is cancelled', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(100)
  const [finished] = tm.running() as [string]
  void tm.report(finished, 'FINISHED')
  await plane.clock.advance(10)
  tm.attempts.get(finished)!.state = 'RUNNING'
  await plane.clock.advance(2_000)
  t.is(tm.attempts.get(finished)!.state, 'RUNNING')
})

test('a task that its TaskManager does not know any more counts as lost', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(100)
  tm.attempts.delete(tm.running()[0]!)
  await plane.clock.advance(5_000)
  t.is((await plane.dispatcher.describeJob({ jobId })).restarts, 1)
  t.is(tm.running().length, 4)
})

test('tasks that a TaskManager refuses fail', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  tm.refuseTasks = new FlottError('SLOT_NOT_AVAILABLE', 'not yours')
  await plane.dispatcher.submitJob({ jobGraph: connected() })
  await plane.until(jobId, 'FAILED')
  t.regex((await plane.dispatcher.describeJob({ jobId })).failure!.message, /not yours/)
})

test('a failed deployment is a failure like any other', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  let failures = 1
  plane.blobs.beforePut = (name) => {
    if (name.startsWith('deployment/') && failures-- > 0) throw new FlottError('INTERNAL', 'too few')
  }
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(5_000)
  t.is(tm.running().length, 4)
  t.regex((await plane.dispatcher.describeJob({ jobId })).exceptions[0]!.error.message, /too few/)
})

test('a TaskManager lost while the deployment is being recorded', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const first = await plane.taskManager('tm1', 2)
  let release = () => {}
  plane.blobs.beforePut = (name) =>
    name.startsWith('deployment/') && plane.network.at(first.process.address)
      ? new Promise<void>((resolve) => {
          release = resolve
        })
      : undefined
  await plane.dispatcher.submitJob({ jobGraph: connected(RESTARTING) })
  await plane.clock.advance(100)
  const second = await plane.taskManager('tm2', 2)
  first.crash()
  await plane.clock.advance(100)
  release()
  await plane.clock.advance(2_000)
  t.is(second.running().length, 4)
  t.is(await plane.status(jobId), 'RUNNING')
})

test('a slot lost while its job still waits for another region is asked for again', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const first = await plane.taskManager('tm1', 1)
  const other = graph([vertex('a', 1), vertex('b', 1, { group: 'other' })], [edge('a', 'b')])
  await plane.dispatcher.submitJob({ jobGraph: other })
  await plane.clock.advance(1_000)
  first.crash()
  await plane.clock.advance(100)
  const second = await plane.taskManager('tm2', 2)
  await plane.clock.advance(1_000)
  t.is(second.running().length, 2)
})

test('a full disk holds a deployment up, and costs no restart', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  plane.blobs.beforePut = (name) => {
    if (name.startsWith('deployment/')) throw new FlottError('STORAGE_FULL', 'the disk is full')
  }
  await plane.dispatcher.submitJob({ jobGraph: connected({ 'restart-strategy.type': 'none' }) })
  await plane.clock.advance(10_000)
  t.is(tm.deployments.length, 0)
  plane.blobs.beforePut = () => {}
  await plane.until(jobId, 'RUNNING')
  t.is((await plane.dispatcher.describeJob({ jobId })).restarts, 0)
})
