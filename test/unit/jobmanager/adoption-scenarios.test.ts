/** A leader dies under a running job; what the next one finds, and makes of it. */
import test from 'ava'
import { FlottError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { ControlPlane } from '../../support/control-plane.js'
import type { FakeTaskManager } from '../../support/fake-task-manager.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

const RESTARTS = {
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.attempts': '10',
  'restart-strategy.fixed-delay.delay': '100 ms',
}
/** One region of four tasks. */
const job = graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')], RESTARTS)
/** Two regions of two tasks, each in one slot. */
const twoRegions = graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b', 'forward')], RESTARTS)
const { jobId } = job

/** The job runs on these TaskManagers, and the leader dies. */
async function leaderDies(slots: readonly number[], jobGraph: JobGraph = job): Promise<{ plane: ControlPlane; tms: FakeTaskManager[] }> {
  const plane = new ControlPlane()
  await plane.lead()
  const tms: FakeTaskManager[] = []
  for (const [i, count] of slots.entries()) tms.push(await plane.taskManager(`tm${i}`, count))
  await plane.dispatcher.submitJob({ jobGraph })
  await plane.clock.advance(100)
  await plane.crashLeader()
  plane.coordinators.calls.length = 0
  return { plane, tms }
}
const describe = (plane: ControlPlane) => plane.dispatcher.describeJob({ jobId })
const restarts = async (plane: ControlPlane) => (await describe(plane)).restarts
const attemptNumbers = (tm: FakeTaskManager) => tm.running().map((attemptId) => Number(attemptId.split('_').at(-1)))
const sent = (tm: FakeTaskManager) => tm.deployments.flatMap(({ tasks }) => tasks.map((task) => task.attemptId))

test('what runs is adopted: nothing is sent, cancelled or counted', async (t) => {
  const { plane, tms } = await leaderDies([1, 1])
  const before = tms.map((tm) => tm.running())
  for (const tm of tms) tm.onCancel = () => t.fail('a task was cancelled') as never
  await plane.lead()
  t.is(await plane.status(jobId), 'RECONCILING')
  await plane.connect(tms[0]!)
  t.is(await plane.status(jobId), 'RECONCILING')
  t.is((await describe(plane)).waitingFor, 'waits for tm1 to say which tasks run there')
  await plane.connect(tms[1]!)
  await plane.clock.advance(10)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(plane.coordinators.calls, ['resume 4', 'sources.start fresh with 4 adopted', 'startTriggering'])
  await plane.clock.advance(20_000)
  t.deepEqual(
    tms.map((tm) => tm.running()),
    before,
  )
  t.deepEqual(
    tms.map((tm) => tm.deployments.length),
    [1, 1],
  )
  t.is(await restarts(plane), 0)
  t.deepEqual((await describe(plane)).exceptions, [])
  t.is(plane.facts.jobs.get(jobId)!.value.attemptNumber, 0)
})

test('adopted through one leader after the other, and then it fails and restarts like any job', async (t) => {
  const { plane, tms } = await leaderDies([2])
  const [tm] = tms as [FakeTaskManager]
  for (let reign = 0; reign < 3; reign++) {
    await plane.lead()
    await plane.connect(tm)
    await plane.until(jobId, 'RUNNING')
    await plane.crashLeader()
  }
  await plane.lead()
  await plane.connect(tm)
  await plane.until(jobId, 'RUNNING')
  t.deepEqual(attemptNumbers(tm), [0, 0, 0, 0])
  void tm.report(tm.running()[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'boom'))
  await plane.clock.advance(1_000)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(attemptNumbers(tm), [1, 1, 1, 1])
  t.is(await restarts(plane), 1)
})

test('FINISHED sources beside running tasks are adopted, too, and the job finishes with what they have counted', async (t) => {
  const { plane, tms } = await leaderDies([2])
  const [tm] = tms as [FakeTaskManager]
  const [first, second, ...rest] = tm.running() as [string, string, ...string[]]
  for (const id of [first, second]) tm.attempts.get(id)!.state = 'FINISHED'
  tm.details = (id) => (id === first || id === second ? { accumulators: { n: { kind: 'count', value: 2 } } } : {})
  await plane.lead()
  await plane.connect(tm)
  await plane.until(jobId, 'RUNNING')
  t.deepEqual((await describe(plane)).tasks.FINISHED, 2)
  t.deepEqual((await describe(plane)).accumulators, { n: { type: 'count', value: 4 } })
  for (const id of rest) void tm.report(id, 'FINISHED')
  await plane.until(jobId, 'FINISHED')
  t.deepEqual((await describe(plane)).accumulators, { n: { type: 'count', value: 4 } })
  t.is(tm.deployments.length, 1)
})

test('all tasks finished while nobody led: the job is FINISHED', async (t) => {
  const { plane, tms } = await leaderDies([2])
  for (const attempt of tms[0]!.attempts.values()) attempt.state = 'FINISHED'
  await plane.lead()
  await plane.connect(tms[0]!)
  await plane.until(jobId, 'FINISHED')
  t.is(await restarts(plane), 0)
})

test('a TaskManager that does not come back in time is given up: only its region restarts', async (t) => {
  const { plane, tms } = await leaderDies([1, 1], twoRegions)
  const before = attemptNumbers(tms[0]!)
  await plane.lead()
  await plane.connect(tms[0]!)
  const other = await plane.taskManager('other', 1)
  await plane.clock.advance(4_000)
  t.is(other.deployments.length, 0)
  t.is(await plane.status(jobId), 'RECONCILING')
  await plane.clock.advance(2_000)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(attemptNumbers(other), [2, 2])
  t.deepEqual(attemptNumbers(tms[0]!), before)
  t.is(tms[0]!.deployments.length, 1)
  t.is(await restarts(plane), 1)
  const [exception] = (await describe(plane)).exceptions
  t.regex(exception!.error.message, /tm1 did not come back within 5000 ms of the change of leader/)
  t.true(plane.coordinators.calls.includes('sources.start fresh with 2 adopted'))

  await plane.connect(tms[1]!)
  await plane.clock.advance(1_000)
  t.deepEqual(tms[1]!.running(), [], 'it came too late: nobody goes on with its tasks')
  t.deepEqual(attemptNumbers(other), [2, 2])
})

test('a TaskManager that is registered in ZooKeeper no more is given up at once, unless it is connected', async (t) => {
  const { plane, tms } = await leaderDies([1, 1, 1], twoRegions)
  const idle = tms.find((tm) => tm.running().length === 0)!
  const [here, dead] = tms.filter((tm) => tm !== idle) as [FakeTaskManager, FakeTaskManager]
  await plane.lead()
  const { registrations } = plane.reign
  registrations.list(...[here, dead].map(({ id, processId }) => ({ taskManagerId: id, processId })))
  await plane.connect(idle)
  await plane.clock.advance(100)
  t.is(await plane.status(jobId), 'RECONCILING', 'two have not come, and may')
  await plane.connect(here)
  registrations.list()
  await plane.clock.advance(300)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(
    [attemptNumbers(here), attemptNumbers(idle)],
    [
      [0, 0],
      [2, 2],
    ],
  )
  t.is(await restarts(plane), 1)
  t.regex((await describe(plane)).exceptions[0]!.error.message, new RegExp(`not registered in ZooKeeper any more: TaskManager ${dead.id}`))
})

test('a process that was replaced takes its region with it at once, also without a restart strategy', async (t) => {
  const { plane, tms } = await leaderDies([2], { ...job, settings: {} })
  tms[0]!.replace()
  await plane.lead()
  await plane.connect(tms[0]!)
  await plane.clock.advance(100)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(attemptNumbers(tms[0]!), [1, 1, 1, 1])
  t.is(await restarts(plane), 1)
  t.deepEqual(
    plane.coordinators.calls.filter((call) => call.startsWith('sources.start')),
    ['sources.start fresh'],
  )
})

test('a TaskManager is lost after it came back, while another one is waited for', async (t) => {
  const { plane, tms } = await leaderDies([1, 1])
  await plane.lead()
  await plane.connect(tms[0]!)
  tms[0]!.crash()
  await plane.clock.advance(100)
  t.is(await plane.status(jobId), 'RESTARTING')
  tms[1]!.onCancel = () => 'stay'
  await plane.connect(tms[1]!)
  await plane.clock.advance(100)
  t.deepEqual(
    tms[1]!.running().map((id) => tms[1]!.attempts.get(id)!.state),
    ['CANCELING', 'CANCELING'],
    'it is told as soon as it comes',
  )
  for (const id of tms[1]!.running()) void tms[1]!.report(id, 'CANCELED')
  const other = await plane.taskManager('other', 1)
  await plane.clock.advance(1_000)
  t.deepEqual([...attemptNumbers(tms[1]!), ...attemptNumbers(other)], [1, 1, 1, 1])
})

test('a deployment that was recorded and not sent is sent, as it was recorded', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  tm.loseTasks = true
  await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.clock.advance(100)
  await plane.crashLeader()
  tm.loseTasks = false
  plane.coordinators.calls.length = 0
  await plane.lead()
  await plane.connect(tm)
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(100)
  t.deepEqual(attemptNumbers(tm), [0, 0, 0, 0])
  t.is(new Set(sent(tm)).size, 4)
  t.is(await restarts(plane), 0)
  t.deepEqual(plane.coordinators.calls, ['resume 0', 'sources.start fresh', 'startTriggering'], 'readers wait for the enumerators')
})

test('a deployment that was sent to one TaskManager of two is completed', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const [tm, late] = [await plane.taskManager('tm', 1), await plane.taskManager('late', 1)]
  late.loseTasks = true
  await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.clock.advance(100)
  await plane.crashLeader()
  late.loseTasks = false
  await plane.lead()
  await plane.connect(late)
  await plane.clock.advance(100)
  t.is(late.deployments.length, 0, 'nothing is sent before all is known')
  await plane.connect(tm)
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(100)
  t.deepEqual([...attemptNumbers(tm), ...attemptNumbers(late)], [0, 0, 0, 0])
  t.deepEqual([tm.deployments.length, late.deployments.length], [1, 1])
})

test('a recorded deployment whose TaskManager is gone gets numbers of its own', async (t) => {
  const { plane } = await leaderDies([2])
  await plane.lead()
  const other = await plane.taskManager('other', 2)
  await plane.clock.advance(7_000)
  t.deepEqual(attemptNumbers(other), [1, 1, 1, 1])
  t.is(plane.facts.jobs.get(jobId)!.value.attemptNumber, 1)
})

test('the leader died in the middle of a restart: the tasks that are left end, and all begin again', async (t) => {
  const { plane, tms } = await leaderDies([2])
  const [tm] = tms as [FakeTaskManager]
  const [failed, canceled, canceling, running] = [...tm.attempts.values()] as [Found, Found, Found, Found]
  failed.state = 'FAILED'
  canceled.state = 'CANCELED'
  canceling.state = 'CANCELING'
  t.is(running.state, 'RUNNING')
  tm.onCancel = () => 'stay'
  await plane.lead()
  await plane.connect(tm)
  await plane.clock.advance(1_000)
  t.is(await plane.status(jobId), 'RESTARTING')
  t.is(tm.deployments.length, 1)
  t.is(tm.running().length, 2)
  for (const id of tm.running()) void tm.report(id, 'CANCELED')
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(100)
  t.deepEqual(attemptNumbers(tm), [1, 1, 1, 1])
  t.is(await restarts(plane), 1)
})
type Found = FakeTaskManager['attempts'] extends Map<string, infer A> ? A : never

test('a task that failed while nobody led fails now, by its own cause and the restart strategy', async (t) => {
  for (const settings of [RESTARTS, {}]) {
    const { plane, tms } = await leaderDies([2], { ...job, settings })
    const [tm] = tms as [FakeTaskManager]
    const [victim] = tm.running() as [string]
    tm.attempts.get(victim)!.state = 'FAILED'
    tm.details = (id) =>
      id === victim ? { error: { name: 'FlottError', code: 'USER_FUNCTION_FAILED', message: 'USER_FUNCTION_FAILED: boom' } } : {}
    await plane.lead()
    await plane.connect(tm)
    await plane.until(jobId, settings === RESTARTS ? 'RUNNING' : 'FAILED')
    await plane.clock.advance(200)
    const { exceptions } = await describe(plane)
    t.is(exceptions.length, 1)
    t.is(exceptions[0]!.error.message, 'USER_FUNCTION_FAILED: boom')
    t.deepEqual(attemptNumbers(tm), settings === RESTARTS ? [1, 1, 1, 1] : [])
  }
})

test('a takeover goes on towards a cancellation: tasks are asked to end, and who does not come is given up', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const [tm, lost] = [await plane.taskManager('tm', 1), await plane.taskManager('lost', 1)]
  await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.clock.advance(100)
  for (const each of [tm, lost]) each.onCancel = () => 'stay'
  await plane.dispatcher.cancelJob({ jobId })
  await plane.crashLeader()
  tm.onCancel = () => 'end'
  await plane.lead()
  t.is(await plane.status(jobId), 'CANCELLING')
  await plane.connect(tm)
  await plane.clock.advance(100)
  t.deepEqual(tm.running(), [])
  t.is(await plane.status(jobId), 'CANCELLING')
  await plane.until(jobId, 'CANCELED')
  await plane.connect(lost)
  await plane.clock.advance(1_000)
  t.deepEqual(lost.running(), [], 'slots that no job goes on with are freed')
})

test('a job is cancelled while the new leader still waits for its tasks', async (t) => {
  const { plane, tms } = await leaderDies([2])
  await plane.lead()
  await plane.dispatcher.cancelJob({ jobId })
  await plane.connect(tms[0]!)
  await plane.until(jobId, 'CANCELED')
  t.deepEqual(tms[0]!.running(), [])
})

test('tasks that no deployment names are cancelled, whenever they are heard of', async (t) => {
  const { plane, tms } = await leaderDies([2])
  const [tm] = tms as [FakeTaskManager]
  const stray = (number: number) => {
    const [id, attempt] = [...tm.attempts][0]!
    const strayId = id.replace(/_0$/, `_${number}`)
    tm.attempts.set(strayId, { ...attempt, state: 'RUNNING' })
    return strayId
  }
  const first = stray(7)
  await plane.lead()
  await plane.connect(tm)
  await plane.clock.advance(100)
  t.is(tm.attempts.get(first)!.state, 'CANCELED')
  const second = stray(8)
  await plane.clock.advance(2_000)
  t.is(tm.attempts.get(second)!.state, 'CANCELED')
  t.deepEqual(attemptNumbers(tm), [0, 0, 0, 0])
  t.is(await restarts(plane), 0)
})

test('what readers say before their enumerator is there is kept for it', async (t) => {
  const { plane, tms } = await leaderDies([2])
  const [tm] = tms as [FakeTaskManager]
  let started = () => {}
  plane.coordinators.beforeSources = () =>
    new Promise((resolve) => {
      started = resolve
    })
  await plane.lead()
  await plane.connect(tm)
  const attemptId = tm.running()[0]!
  const event = { kind: 'split-requested' } as const
  void tm.jobMaster(jobId).sendReaderEvent({ attemptId, operatorId: 'a', reader: 0, event })
  await plane.clock.advance(100)
  t.is(await plane.status(jobId), 'RECONCILING')
  t.deepEqual(plane.coordinators.calls, ['resume 4', 'sources.start fresh with 4 adopted'])
  started()
  await plane.clock.advance(10)
  t.deepEqual(plane.coordinators.calls.slice(2), [`readerEvent ${attemptId}`, 'startTriggering'])
})

test('enumerators that can not go on restart the job from its checkpoint', async (t) => {
  const { plane, tms } = await leaderDies([2])
  let tries = 0
  plane.coordinators.beforeSources = async () => {
    if (tries++ === 0) throw new FlottError('TASK_LOST', 'a reader does not say which splits it received')
  }
  await plane.lead()
  await plane.connect(tms[0]!)
  await plane.clock.advance(1_000)
  t.is(await plane.status(jobId), 'RUNNING')
  t.deepEqual(attemptNumbers(tms[0]!), [1, 1, 1, 1])
  t.is(tries, 2)
})

test('regions of which nothing was recorded begin when all is known', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  let records = 0
  plane.blobs.beforePut = (name) => (name.startsWith('deployment/') && ++records === 2 ? new Promise<void>(() => {}) : undefined)
  await plane.dispatcher.submitJob({ jobGraph: twoRegions })
  await plane.clock.advance(100)
  t.is(tm.running().length, 2)
  await plane.crashLeader()
  plane.blobs.beforePut = () => {}
  await plane.lead()
  await plane.connect(tm)
  await plane.clock.advance(100)
  t.deepEqual(attemptNumbers(tm).sort(), [0, 0, 1, 1])
  t.is(await plane.status(jobId), 'RUNNING')
  t.is(await restarts(plane), 0)
})

test('a region that was restarting while another one was deployed restarts', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: twoRegions })
  await plane.clock.advance(100)
  const [first, second] = [0, 1].map((region) => tm.running().filter((id) => id.includes(`_${region}_`)))
  tm.onCancel = () => 'stay'
  void tm.report(first![0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'one'))
  await plane.clock.advance(10)
  for (const id of second!) void tm.report(id, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'two'))
  await plane.clock.advance(500)
  t.is(tm.running().filter((id) => id.includes('_1_')).length, 2, 'the second region runs again; the first still ends')
  await plane.crashLeader()
  tm.onCancel = () => 'end'
  await plane.lead()
  await plane.connect(tm)
  await plane.clock.advance(1_000)
  t.is(await plane.status(jobId), 'RUNNING')
  const numbers = (region: number) => attemptNumbers(tm).filter((_, i) => tm.running()[i]!.includes(`_${region}_`))
  t.true(numbers(0).every((n) => n > 0))
  t.is(new Set(numbers(1)).size, 1)
  t.is(tm.running().length, 4)
})

test('what a FINISHED task has left behind is not needed: its TaskManager may be gone', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const [tm, gone] = [await plane.taskManager('tm', 1), await plane.taskManager('gone', 1)]
  await plane.dispatcher.submitJob({ jobGraph: twoRegions })
  await plane.clock.advance(100)
  for (const id of gone.running()) void gone.report(id, 'FINISHED')
  await plane.clock.advance(10)
  // The other region restarts, so that there is a record that says so.
  void tm.report(tm.running()[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'boom'))
  await plane.clock.advance(1_000)
  gone.crash()
  await plane.crashLeader()
  await plane.lead()
  await plane.connect(tm)
  await plane.clock.advance(6_000)
  t.is(await plane.status(jobId), 'RUNNING')
  t.is((await describe(plane)).tasks.FINISHED, 2)
  t.deepEqual(attemptNumbers(tm), [2, 2])
})

test('exceptions and restarts survive the leader', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.clock.advance(100)
  for (const text of ['first', 'second']) {
    void tm.report(tm.running()[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', text))
    await plane.clock.advance(3_000)
  }
  const before = await describe(plane)
  t.is(before.exceptions.length, 2)
  t.deepEqual(plane.blobs.names('history/'), [plane.facts.jobs.get(jobId)!.value.history!])
  await plane.crashLeader()
  await plane.lead()
  await plane.connect(tm)
  await plane.until(jobId, 'RUNNING')
  const after = await describe(plane)
  t.deepEqual(after.exceptions, before.exceptions)
  t.is(after.restarts, 2)
  t.is(after.timestamps.CREATED, before.timestamps.CREATED)
  t.is(after.timestamps.RESTARTING, before.timestamps.RESTARTING)
})
