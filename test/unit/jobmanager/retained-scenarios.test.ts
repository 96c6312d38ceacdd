/** What jobs leave when they end: who names it, who may start from it, and what goes when somebody disposes of it. */
import test from 'ava'
import { FlottError } from '#core/errors.js'
import { blobsOf } from '#jobmanager/replication/live-blobs.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import { decodeManifest, encodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { ControlPlane } from '../../support/control-plane.js'
import { edge, graph, vertex } from '../../support/job-graphs.js'

const [OLD, NEW] = ['a'.repeat(32), 'b'.repeat(32)]
const job = (jobId: string, settings: Record<string, string> = {}) => ({
  ...graph([vertex('a', 2, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')], settings),
  jobId,
})
const startingFrom = (path: string, more: Record<string, string> = {}) => job(NEW, { 'execution.state-recovery.path': path, ...more })
const chk = (id: number) => `flott:/${OLD}/chk-${id}`
const manifestName = (id: number) => `manifest/${OLD}/${id}-x`
const chunkName = (id: number) => `chunk/${OLD}/${id}/attempt/op-0`

/** Checkpoint n holds the chunks of n and of all before it. */
function manifestOf(id: number): CheckpointManifest {
  const { vertices } = job(OLD)
  const keyed = Array.from({ length: id }, (_, i) => ({ blob: chunkName(i + 1), bytes: 1, crc32: 0 }))
  return {
    version: 1,
    jobId: OLD,
    checkpointId: id,
    triggerTimestamp: 0,
    completedTimestamp: 1_000 + id,
    kind: 'checkpoint',
    vertices: vertices.map(({ id: vertexId, parallelism, maxParallelism, operators }) => ({
      vertexId,
      parallelism,
      maxParallelism,
      operatorIds: operators.map((operator) => operator.id),
      subtasks: Array.from({ length: parallelism }, (_, subtaskIndex) => ({
        subtaskIndex,
        finished: false,
        operators: Object.fromEntries(operators.map((operator) => [operator.id, { subtaskIndex, keyed }])),
      })),
    })),
    coordinators: {},
    checkpointedSize: 1,
    stateSize: 10 * id,
  }
}

async function world() {
  const plane = new ControlPlane()
  await plane.lead()
  const { facts, blobs, clock } = plane
  const change = async (jobId: string, to: (fact: JobFact) => JobFact) => {
    const { value, version } = facts.jobs.get(jobId)!
    await facts.setJob(to(value), version)
  }
  return {
    plane,
    facts,
    blobs,
    /** A job with the checkpoints 1 to 3 is cancelled. */
    async cancelled(settings: Record<string, string> = {}): Promise<void> {
      await plane.dispatcher.submitJob({ jobGraph: job(OLD, settings) })
      await clock.advance(10)
      for (const id of [1, 2, 3]) {
        await blobs.put(chunkName(id), Buffer.from('c'))
        await blobs.put(manifestName(id), encodeManifest(manifestOf(id)))
      }
      const checkpoints = [1, 2, 3].map((id) => ({ id, manifest: manifestName(id) }))
      await plane.coordinators.context!.updateFact((fact) => ({ ...fact, checkpoints }))
      await plane.dispatcher.cancelJob({ jobId: OLD })
      await plane.until(OLD, 'CANCELED')
    },
    async expire(): Promise<void> {
      await clock.advance(3_700_000)
    },
    paths: async () => (await plane.dispatcher.listRetainedCheckpoints({})).map(({ path }) => path),
    async dispose(path: string): Promise<readonly string[]> {
      const { requestId } = await plane.dispatcher.triggerDisposal({ path })
      await clock.advance(10)
      const { state, paths, failure } = await plane.dispatcher.disposalStatus({ requestId })
      if (failure) throw new FlottError(failure.code!, failure.message)
      if (state !== 'COMPLETED') throw new Error(state)
      return paths ?? []
    },
    change,
  }
}

test('checkpoints outlive the entry of a job that was cancelled; all else of it goes', async (t) => {
  const { plane, facts, blobs, cancelled, expire, paths } = await world()
  await cancelled()
  t.deepEqual(await paths(), [chk(3), chk(2), chk(1)])
  const before = await plane.dispatcher.listRetainedCheckpoints({})
  t.like(before[0], { jobId: OLD, jobName: 'job', jobStatus: 'CANCELED', checkpointId: 3, completedTimestamp: 1_003, stateSize: 30 })
  await expire()
  await t.throwsAsync(plane.dispatcher.describeJob({ jobId: OLD }), { code: 'JOB_NOT_FOUND' })
  t.deepEqual([[...facts.jobs.keys()], [...facts.retained.keys()]], [[], [OLD]])
  t.deepEqual(await plane.dispatcher.listRetainedCheckpoints({}), before)
  t.deepEqual(
    ['result/', 'history/', 'graph/', 'manifest/'].map((kind) => blobs.names(kind).length),
    [0, 0, 1, 3],
  )
  await t.throwsAsync(plane.dispatcher.submitJob({ jobGraph: job(OLD) }), { code: 'JOB_SUBMISSION_FAILED', message: /left checkpoints/ })
})

test('the retention decides by how the job ended', async (t) => {
  for (const [retention, left] of [
    ['RETAIN_ON_CANCELLATION', 3],
    ['DELETE_ON_CANCELLATION', 0],
    ['NO_EXTERNALIZED_CHECKPOINTS', 0],
  ] as const) {
    const { facts, blobs, plane, cancelled, expire } = await world()
    await cancelled({ 'execution.checkpointing.externalized-checkpoint-retention': retention })
    await plane.clock.advance(10)
    t.is(facts.jobs.get(OLD)?.value.checkpoints.length, left, retention)
    t.is(blobs.names('manifest/').length, left, retention)
    await expire()
    t.is(facts.retained.has(OLD), left > 0, retention)
  }
})

test('a leader that dies between the new name and the end of the old one loses nothing, and what was disposed of stays so', async (t) => {
  const { plane, facts, cancelled, expire, paths, dispose } = await world()
  await cancelled()
  const deleteJob = facts.deleteJob.bind(facts)
  facts.deleteJob = async () => {
    throw new FlottError('ZOOKEEPER_UNAVAILABLE', 'the leader dies')
  }
  await expire()
  t.deepEqual([[...facts.jobs.keys()], [...facts.retained.keys()]], [[OLD], [OLD]])
  await plane.crashLeader()
  await plane.lead()
  t.deepEqual(await paths(), [chk(3), chk(2), chk(1)])
  t.deepEqual(await dispose(chk(2)), [chk(2)])
  t.deepEqual(
    [facts.jobs.get(OLD)!.value, facts.retained.get(OLD)!].map(({ checkpoints }) => checkpoints.map(({ id }) => id)),
    [
      [1, 3],
      [1, 3],
    ],
  )
  facts.deleteJob = deleteJob
  await plane.clock.advance(20_000)
  t.deepEqual([[...facts.jobs.keys()], await paths()], [[], [chk(3), chk(1)]])
})

test('a checkpoint that is on no disk any more is not retained', async (t) => {
  const { facts, blobs, cancelled, expire, paths } = await world()
  await cancelled()
  await blobs.delete([manifestName(3)])
  await expire()
  t.deepEqual(await paths(), [chk(2), chk(1)])
  t.deepEqual(
    facts.retained.get(OLD)?.checkpoints.map(({ id }) => id),
    [1, 2],
  )
})

for (const entry of ['an ended job', 'a job that has expired'])
  test(`a new job starts from a checkpoint of ${entry}: it names it, and counts on from it`, async (t) => {
    const { plane, facts, cancelled, expire } = await world()
    await cancelled()
    if (entry !== 'an ended job') await expire()
    for (const [path, id] of [
      [chk(2), 2],
      [OLD, 3],
    ] as const) {
      facts.jobs.delete(NEW)
      await plane.crashLeader()
      await plane.lead()
      await plane.dispatcher.submitJob({ jobGraph: startingFrom(path) })
      await plane.dispatcher.submitJob({ jobGraph: startingFrom(path) })
      const { startsFrom, checkpointIdReserved } = facts.jobs.get(NEW)!.value
      t.deepEqual([startsFrom, checkpointIdReserved], [{ jobId: OLD, id, manifest: manifestName(id) }, id])
    }
  })

test('what a new job can not start from is refused before there is a job', async (t) => {
  const { plane, facts, blobs, cancelled } = await world()
  const submit = (jobGraph: ReturnType<typeof job>) => plane.dispatcher.submitJob({ jobGraph })
  await t.throwsAsync(submit(startingFrom(OLD)), { code: 'CHECKPOINT_NOT_FOUND', message: /no job a+ retains checkpoints; there are none/ })
  await plane.dispatcher.submitJob({ jobGraph: job('c'.repeat(32)) })
  await t.throwsAsync(submit(startingFrom('c'.repeat(32))), { code: 'CHECKPOINT_IN_USE' })
  await cancelled()
  await t.throwsAsync(submit(startingFrom('nonsense')), {
    code: 'INVALID_ARGUMENT',
    message: /execution.state-recovery.path is 'nonsense'/,
  })
  await t.throwsAsync(submit(startingFrom(chk(9))), {
    code: 'CHECKPOINT_NOT_FOUND',
    message: new RegExp(`no checkpoint 9; there are ${chk(3)}, `),
  })
  await t.throwsAsync(submit(startingFrom('d'.repeat(32))), { code: 'CHECKPOINT_NOT_FOUND', message: new RegExp(`there are ${chk(3)}$`) })
  const onlyA = { ...startingFrom(OLD), vertices: [vertex('a', 2, { kind: 'source' })], edges: [] }
  await t.throwsAsync(submit(onlyA), { code: 'STATE_NOT_RESTORED', message: /state of 'b'/ })
  await blobs.delete([chunkName(1)])
  await t.throwsAsync(submit(startingFrom(OLD)), { code: 'CHECKPOINT_NOT_RESTORABLE', message: new RegExp(chunkName(1)) })
  t.false(facts.jobs.has(NEW))
  await blobs.put(chunkName(1), Buffer.from('c'))
  await submit({ ...onlyA, settings: { ...onlyA.settings, 'execution.state-recovery.ignore-unclaimed-state': 'true' } })
  t.true(facts.jobs.get(NEW)!.value.startsFrom?.allowNonRestoredState)
})

test('who disposes of a checkpoint takes what nobody else needs: not its siblings, and not a job that starts from it', async (t) => {
  const { plane, facts, blobs, cancelled, expire, dispose, change } = await world()
  await cancelled()
  await expire()
  await plane.dispatcher.submitJob({ jobGraph: startingFrom(chk(2)) })
  t.deepEqual(await dispose(chk(3)), [chk(3)])
  t.deepEqual(blobs.names('chunk/'), [chunkName(1), chunkName(2)], 'checkpoint 2 shares them')
  t.deepEqual(await dispose(OLD), [chk(1), chk(2)])
  t.false(facts.retained.has(OLD))
  t.is(blobs.names('graph/').length, 1, 'the graph of the new job')
  t.deepEqual([blobs.names('manifest/'), blobs.names('chunk/')], [[manifestName(2)], [chunkName(1), chunkName(2)]])
  const live = await blobsOf(facts.jobs.get(NEW)!.value, blobs, { manifest: decodeManifest, deployment: decodeDeployment })
  t.true([manifestName(2), chunkName(1), chunkName(2)].every((name) => live.has(name)))
  await t.throwsAsync(dispose(chk(2)), { code: 'CHECKPOINT_NOT_FOUND' })
  await t.throwsAsync(dispose(NEW), { code: 'CHECKPOINT_IN_USE' })
  await change(NEW, (fact) => ({ ...fact, terminal: { status: 'FAILED', endTime: 1 } }))
  await t.throwsAsync(dispose(NEW), { code: 'CHECKPOINT_NOT_FOUND', message: /retains no checkpoints; there are none/ })
})

test('a damaged checkpoint is listed as such, and can be disposed of', async (t) => {
  const { plane, blobs, cancelled, expire, dispose, paths } = await world()
  await cancelled()
  await expire()
  await blobs.put(manifestName(3), Buffer.from('x'))
  const [damaged] = await plane.dispatcher.listRetainedCheckpoints({})
  t.regex(damaged!.unreadable!, /CHECKPOINT_NOT_RESTORABLE/)
  await dispose(chk(3))
  t.deepEqual(await paths(), [chk(2), chk(1)])
  t.false(blobs.blobs.has(manifestName(3)))
})

test('the outcome of a disposal is known for a while', async (t) => {
  const { plane, cancelled } = await world()
  await cancelled()
  await t.throwsAsync(plane.dispatcher.triggerDisposal({ path: 'x' }), { code: 'INVALID_ARGUMENT', message: /savepoint-path is 'x'/ })
  const { requestId } = await plane.dispatcher.triggerDisposal({ path: OLD })
  t.is((await plane.dispatcher.disposalStatus({ requestId })).state, 'IN_PROGRESS')
  await plane.clock.advance(10)
  t.is((await plane.dispatcher.disposalStatus({ requestId })).state, 'COMPLETED')
  await plane.clock.advance(300_000)
  await t.throwsAsync(plane.dispatcher.disposalStatus({ requestId }), { code: 'NOT_FOUND' })
  t.is(plane.facts.disposals.size, 0)
})

test('a disposal outlives its leader: the next one ends it, and both know what became of it', async (t) => {
  const { plane, facts, cancelled, paths } = await world()
  await cancelled()
  const { setJob } = facts
  let dying = () => {}
  const dies = new Promise<void>((resolve) => (dying = resolve))
  facts.setJob = () => {
    dying()
    return new Promise(() => {}) // The leader is gone before it learns.
  }
  const { requestId } = await plane.dispatcher.triggerDisposal({ path: chk(2) })
  await dies
  facts.setJob = setJob
  await plane.crashLeader()
  await plane.lead()
  await plane.clock.advance(10)
  t.deepEqual(await plane.dispatcher.disposalStatus({ requestId }), { state: 'COMPLETED', paths: [chk(2)] })
  t.deepEqual(await paths(), [chk(3), chk(1)])
  await plane.crashLeader()
  await plane.lead()
  t.deepEqual(await plane.dispatcher.disposalStatus({ requestId }), { state: 'COMPLETED', paths: [chk(2)] })
})

test('a disposal that an earlier leader has done is done', async (t) => {
  const { plane, facts, cancelled, dispose, paths } = await world()
  await cancelled()
  await dispose(chk(2))
  const [done] = [...facts.disposals.values()]
  const { outcome: _, ...unknown } = done!
  facts.disposals.set(unknown.requestId, unknown)
  await plane.crashLeader()
  await plane.lead()
  await plane.clock.advance(10)
  t.deepEqual(await plane.dispatcher.disposalStatus(unknown), { state: 'COMPLETED', paths: [chk(2)] })
  t.deepEqual(await paths(), [chk(3), chk(1)])
})
