import test from 'ava'
import { FlottError } from '#core/errors.js'
import { ControlPlane } from '../../support/control-plane.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

const job = (settings: Record<string, string> = {}) =>
  graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')], settings)
const { jobId } = job()

test('submission is idempotent by job id, and another job of the id is refused', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  await Promise.all([plane.dispatcher.submitJob({ jobGraph: job() }), plane.dispatcher.submitJob({ jobGraph: job() })])
  await plane.dispatcher.submitJob({ jobGraph: job() })
  t.is((await plane.dispatcher.listJobs({})).length, 1)
  await t.throwsAsync(plane.dispatcher.submitJob({ jobGraph: { ...job(), jobName: 'other' } }), { code: 'JOB_SUBMISSION_FAILED' })
  await t.throwsAsync(plane.dispatcher.submitJob({ jobGraph: { ...job(), artifact: 'artifact/none', jobId: 'a'.repeat(32) } }), {
    code: 'BLOB_NOT_FOUND',
  })
  await t.throwsAsync(plane.dispatcher.submitJob({ jobGraph: { ...job(), settings: { nonsense: '1' }, jobId: 'a'.repeat(32) } }), {
    code: 'INVALID_CONFIG',
  })
})

test('a submission whose acknowledgement was lost is found again', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const createJob = plane.facts.createJob.bind(plane.facts)
  plane.facts.createJob = async (fact) => {
    plane.facts.createJob = createJob
    await createJob(fact)
    throw new FlottError('ZOOKEEPER_UNAVAILABLE', 'no answer')
  }
  await t.throwsAsync(plane.dispatcher.submitJob({ jobGraph: job() }), { code: 'ZOOKEEPER_UNAVAILABLE' })
  await plane.clock.advance(1_000)
  await plane.dispatcher.submitJob({ jobGraph: job() })
  t.is((await plane.dispatcher.listJobs({})).length, 1)
})

test('the graph is on disk before the fact names it', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  plane.facts.beforeWrite = (fact) => void t.true(plane.blobs.blobs.has(fact.jobGraph))
  await plane.dispatcher.submitJob({ jobGraph: job() })
})

test('leadership lost in the middle of a deployment: the old leader sends nothing any more', async (t) => {
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
  const writes = plane.facts.history.length
  plane.reign.end()
  release()
  await plane.clock.advance(5_000)
  t.is(tm.deployments.length, 0)
  t.is(plane.facts.history.length, writes)
  t.is(plane.jobManager.leading(), undefined)
})

test('a suspended leader parks what can not be undone, and goes on when it is confirmed', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: job() })
  plane.reign.suspend()
  await plane.clock.advance(10_000)
  t.is(tm.deployments.length, 0)
  plane.reign.confirm()
  await plane.clock.advance(1_000)
  t.is(tm.running().length, 4)
})

test('a job whose blob is gone fails by itself, and says which; the others go on', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  await plane.dispatcher.submitJob({ jobGraph: job() })
  const second = { ...job(), jobId: 'b'.repeat(32), jobName: 'second' }
  await plane.dispatcher.submitJob({ jobGraph: second })
  plane.blobs.blobs.delete(plane.facts.jobs.get(jobId)!.value.jobGraph)
  await plane.crashLeader()
  await plane.lead()
  const broken = await plane.dispatcher.describeJob({ jobId })
  t.is(broken.status, 'FAILED')
  t.regex(broken.failure!.message, /can not be started: BLOB_NOT_FOUND: graph\//)
  t.is((await plane.dispatcher.describeJob({ jobId: second.jobId })).status, 'RUNNING')
})

for (const kind of ['graph', 'deployment'])
  test(`a disk that does not read a ${kind} ends the reign, and no job: the next leader takes it over`, async (t) => {
    const plane = new ControlPlane()
    await plane.lead()
    const tm = await plane.taskManager('tm', 2)
    await plane.dispatcher.submitJob({ jobGraph: job() })
    await plane.clock.advance(100)
    const running = tm.running()
    await plane.crashLeader()
    const get = plane.blobs.get.bind(plane.blobs)
    plane.blobs.get = async (name) => {
      if (name.startsWith(`${kind}/`)) throw new FlottError('STORAGE_FAILED', `read of ${name}`)
      return get(name)
    }
    await t.throwsAsync(plane.lead(), { code: 'STORAGE_FAILED' })
    t.is(plane.facts.jobs.get(jobId)!.value.terminal, undefined)
    plane.blobs.get = get
    await plane.lead()
    await plane.connect(tm)
    await plane.clock.advance(100)
    t.is(await plane.status(jobId), 'RUNNING')
    t.deepEqual(tm.running(), running)
  })

test('an ended job is described by the next leader, too, and kept within bounds', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: job() })
  await plane.clock.advance(100)
  void tm.report(tm.running()[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'boom'))
  await plane.until(jobId, 'FAILED')
  const before = await plane.dispatcher.describeJob({ jobId })
  await plane.crashLeader()
  await plane.lead()
  const after = await plane.dispatcher.describeJob({ jobId })
  t.deepEqual({ ...after, fact: undefined }, { ...before, fact: undefined })
  await plane.clock.advance(3_700_000)
  t.deepEqual(await plane.dispatcher.listJobs({}), [])
  t.is(plane.facts.jobs.size, 0)
  t.deepEqual([...plane.blobs.blobs.keys()], [])
})

test('a write whose outcome is unknown is settled before the next', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  const setJob = plane.facts.setJob.bind(plane.facts)
  let failures = 2
  plane.facts.setJob = async (fact, version) => {
    if (failures === 0) return setJob(fact, version)
    failures--
    if (failures === 0) await setJob(fact, version) // It happened, but nobody learned of it.
    throw new FlottError('ZOOKEEPER_UNAVAILABLE', 'no answer')
  }
  await plane.dispatcher.submitJob({ jobGraph: job() })
  await plane.clock.advance(5_000)
  t.is(tm.running().length, 4)
  t.is(plane.facts.jobs.get(jobId)!.value.attemptNumber, 0)
})

test('a leader that stops gives its leadership up, though a thread of its sources does not end', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  let end = () => {}
  plane.coordinators.beforeClosed = () =>
    new Promise<void>((resolve) => {
      end = resolve
    })
  await plane.dispatcher.submitJob({ jobGraph: job() })
  const stopped = plane.jobManager.stop()
  await plane.clock.advance(100)
  t.false(plane.reign.signal.aborted)
  await plane.clock.advance(100)
  t.true(plane.reign.signal.aborted)
  end()
  await stopped
})

test('the list of jobs says after a change of leader how the tasks of ended jobs ended', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 2)
  await plane.dispatcher.submitJob({ jobGraph: job() })
  await plane.until(jobId, 'RUNNING')
  for (const attempt of tm.running()) void tm.report(attempt, 'FINISHED')
  await plane.until(jobId, 'FINISHED')
  const before = await plane.dispatcher.listJobs({})
  await plane.crashLeader()
  await plane.lead()
  t.deepEqual(await plane.dispatcher.listJobs({}), before)
  t.is(before[0]!.tasks.FINISHED, 4)
})

test('a leader that stops decides nothing more, and goes on knowing what it knew, for questions', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  await plane.dispatcher.submitJob({ jobGraph: job() })
  const before = await plane.dispatcher.describeJob({ jobId })
  const stopped = plane.jobManager.stop()
  t.is(plane.jobManager.leading(), undefined)
  await plane.clock.advance(1_000)
  await stopped
  const { dispatcher } = plane.jobManager.leaving()!
  t.deepEqual((await dispatcher.describeJob({ jobId })).status, before.status)
  t.is((await dispatcher.listJobs({})).length, 1)
  await t.throwsAsync(dispatcher.submitJob({ jobGraph: { ...job(), jobId: 'a'.repeat(32) } }), { code: 'NOT_LEADER' })
  plane.jobManager.retire()
  t.is(plane.jobManager.leaving(), undefined)
})

test('a leader that has lost its reign has nothing to say, also when it stops afterwards', async (t) => {
  const plane = new ControlPlane()
  await plane.lead()
  plane.reign.end()
  const stopped = plane.jobManager.stop()
  await plane.clock.advance(1_000)
  await stopped
  t.is(plane.jobManager.leaving(), undefined)
})
