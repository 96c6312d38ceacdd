import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { silentLogger } from '#core/logger.js'
import { memoryFactStore } from '#ha/memory/memory-fact-store.js'
import { GrantedReign } from '#ha/reign.js'
import { inspectBlobs } from '#jobmanager/replication/inspect-blobs.js'
import { ReplicaEndpoint } from '#jobmanager/replication/replica.js'
import { ReplicatingBlobStore } from '#jobmanager/replication/replicating-blob-store.js'
import { ReplicationEndpoint } from '#jobmanager/replication/replication-endpoint.js'
import { storageOperations } from '#jobmanager/replication/storage-operations.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { encodeBlockKey } from '#storage/keys.js'
import { LevelBlobStore } from '#storage/level-blob-store.js'
import { BINARY, type LevelDatabase } from '#storage/level-database.js'
import { FakeClock } from '../../../support/fake-clock.js'

const GRACE_MS = 1_000
const FACT: JobFact = {
  jobId: 'j',
  jobName: 'job',
  target: 'RUNNING',
  submittedTime: 0,
  artifact: 'artifact/a',
  jobGraph: 'graph/g',
  checkpoints: [],
  checkpointIdReserved: 0,
  attemptNumber: 0,
  restarts: { count: 0 },
}

/** A leader `a` and a member `b`; a job that names artifact/a and graph/g. */
async function world() {
  const clock = new FakeClock()
  const facts = memoryFactStore()
  const hosts = new Map<string, { db: LevelDatabase; local: LevelBlobStore; endpoint: ReplicaEndpoint }>()
  const transfer: BlobTransfer = {
    put: (address, name, content) => hosts.get(address)!.local.put(name, content),
    get: (address, name) => hosts.get(address)!.local.get(name),
    read: (address, name) => hosts.get(address)!.local.read(name),
  }
  const replica = (id: string) => ({ jobManagerId: `jm-${id}`, diskId: id, address: id })
  for (const id of ['a', 'b']) {
    const db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
    const local = new LevelBlobStore(db)
    await local.open()
    hosts.set(id, { db, local, endpoint: new ReplicaEndpoint({ self: replica(id), local, transfer, logger: silentLogger }) })
  }
  const [a, b] = [hosts.get('a')!, hosts.get('b')!]
  const self = replica('a')
  await facts.setIsr([self], undefined)
  const reign = new GrantedReign({ incarnation: 0, czxid: '1'.padStart(16, '0') }, facts, async () => {})
  const store = await ReplicatingBlobStore.open({
    self,
    reign,
    local: a.local,
    transfer,
    deleteOn: ({ diskId }) => hosts.get(diskId)!.endpoint,
    minInSync: 1,
    stallTimeoutMs: 1_000,
    clock,
    logger: silentLogger,
    onBroken: () => {},
  })
  await b.endpoint.join(new ReplicationEndpoint(store), 'a', new AbortController().signal)
  for (const name of ['artifact/a', 'graph/g']) await store.put(name, Buffer.alloc(100_000, name))
  await facts.createJob(FACT)
  const json = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString())
  const operations = storageOperations({
    self,
    facts,
    store,
    decode: { manifest: json, deployment: json },
    on: ({ diskId }) => ({
      inspectBlobs: (request) => (diskId === 'a' ? inspectBlobs(a.local, request) : hosts.get(diskId)!.endpoint.inspectBlobs(request)),
    }),
    graceMs: GRACE_MS,
  })
  return { clock, facts, store, a, b, operations }
}
/** Of the blob written n-th, n from 1. */
async function flipBit(db: LevelDatabase, serial: bigint): Promise<void> {
  const key = encodeBlockKey({ serial, block: 0 })
  const bytes = Buffer.from((await db.get(key))!)
  bytes[100]! ^= 1
  await db.put(key, bytes)
}

test('healthy disks', async (t) => {
  const { operations } = await world()
  const { healthy, disks, unreadable } = await operations.check({ repair: false })
  t.true(healthy)
  t.deepEqual(unreadable, [])
  t.like(disks[0], { 'jobmanager-id': 'jm-a', leading: true, blobs: 2, bytes: 200_000, problems: [], orphans: [] })
  t.like(disks[1], { 'jobmanager-id': 'jm-b', leading: false, blobs: 2, bytes: 200_000, problems: [], orphans: [] })
})

test('missing and damaged blobs on each disk are found by reading every byte, and repaired from the other', async (t) => {
  const { a, b, operations } = await world()
  await flipBit(a.db, 1n)
  await b.local.delete(['artifact/a'])
  await b.local.put('artifact/a', Buffer.from('something else'))
  await flipBit(b.db, 2n)
  await a.local.delete(['graph/g'])
  const found = await operations.check({ repair: false })
  t.false(found.healthy)
  t.deepEqual(
    found.disks.map(({ problems }) => problems.map(({ blob, kind }) => `${kind} ${blob}`)),
    [['CORRUPT artifact/a', 'MISSING graph/g'], ['CORRUPT graph/g']],
    'what differs from a damaged copy is not judged',
  )
  const hopeless = await operations.check({ repair: true })
  t.false(hopeless.healthy, 'graph/g is whole on no disk')

  await b.local.delete(['graph/g'])
  await b.local.put('graph/g', Buffer.alloc(100_000, 'graph/g'))
  t.true((await operations.check({ repair: true })).healthy)
  t.true((await operations.check({ repair: false })).healthy)
  t.true(Buffer.alloc(100_000, 'graph/g').equals(await a.local.get('graph/g')))
})

test("a member's blob that is missing, damaged or different is sent anew", async (t) => {
  const { b, operations } = await world()
  for (const harm of [
    () => b.local.delete(['graph/g']),
    () => flipBit(b.db, 1n),
    async () => {
      await b.local.delete(['graph/g'])
      await b.local.put('graph/g', Buffer.from('other'))
    },
  ]) {
    await harm()
    const { disks } = await operations.check({ repair: false })
    t.is(disks[1]!.problems.length, 1)
    t.true((await operations.check({ repair: true })).healthy)
    t.true((await operations.check({ repair: false })).healthy)
  }
  t.true(Buffer.alloc(100_000, 'graph/g').equals(await b.local.get('graph/g')))
})

test('orphans are listed, and collected after their grace; strays on other disks at once; a dry run removes nothing', async (t) => {
  const { clock, store, a, b, operations } = await world()
  await store.put('chunk/orphan', Buffer.alloc(10))
  await b.local.put('chunk/stray', Buffer.alloc(20))
  const { healthy, disks } = await operations.check({ repair: false })
  t.true(healthy)
  t.deepEqual(disks[0]!.orphans, [{ blob: 'chunk/orphan', bytes: 10 }])
  t.deepEqual(disks[1]!.orphans, [
    { blob: 'chunk/orphan', bytes: 10 },
    { blob: 'chunk/stray', bytes: 20 },
  ])
  const stray = { blob: 'chunk/stray', bytes: 20, disks: ['b'] }
  t.like(await operations.collect({ dryRun: true }), {
    removed: [stray],
    'removed-bytes': 20,
    waiting: [{ blob: 'chunk/orphan', bytes: 10, 'removable-in-ms': GRACE_MS }],
  })
  await clock.advance(GRACE_MS)
  const dry = await operations.collect({ dryRun: true })
  t.deepEqual(dry.removed, [{ blob: 'chunk/orphan', bytes: 10 }, stray])
  t.truthy(await a.local.info('chunk/orphan'))
  t.deepEqual({ ...(await operations.collect({ dryRun: false })), 'dry-run': true }, dry)
  for (const { local } of [a, b]) t.deepEqual((await inspectBlobs(local, { after: '', limit: 9, read: false })).blobs.length, 2)
})

test('while it can not be told what is named, nothing is an orphan and nothing is collected', async (t) => {
  const { facts, store, operations } = await world()
  await store.put('chunk/orphan', Buffer.alloc(10))
  await facts.setJob({ ...FACT, checkpoints: [{ id: 1, manifest: 'manifest/j/1' }] }, 0)
  const { healthy, disks, unreadable } = await operations.check({ repair: true })
  t.false(healthy)
  t.is(unreadable[0]!.job, 'j')
  t.deepEqual(
    disks.map(({ orphans }) => orphans),
    [[], []],
  )
  await t.throwsAsync(operations.collect({ dryRun: false }), { code: 'BLOB_NOT_FOUND' })
})

test('what is retained of a job is named, whether or not its own fact is still there', async (t) => {
  const { facts, store, b, clock, operations } = await world()
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  await store.put('manifest/j/1', json({ vertices: [{ subtasks: [{ operators: { o: { keyed: [{ blob: 'chunk/j/1' }] } } }] }] }))
  await store.put('chunk/j/1', Buffer.alloc(10))
  const { jobId, jobName, jobGraph } = FACT
  const checkpoints = [{ id: 1, manifest: 'manifest/j/1' }]
  await facts.setRetained({ jobId, jobName, status: 'CANCELED', endTime: 0, jobGraph, checkpoints })
  for (const named of [4, 3]) {
    await clock.advance(2 * GRACE_MS)
    const { healthy, disks } = await operations.check({ repair: false })
    t.true(healthy)
    t.is(disks[0]!.blobs - disks[0]!.orphans.length, named)
    await facts.deleteJob('j', 0)
  }
  await b.local.delete(['chunk/j/1'])
  t.deepEqual(
    (await operations.check({ repair: true })).disks[1]!.problems.map(({ blob, repaired }) => [blob, repaired]),
    [['chunk/j/1', true]],
  )
  t.deepEqual((await operations.collect({ dryRun: true })).removed, [], 'what the job alone had named waits')
  await facts.deleteRetained('j')
  await operations.collect({ dryRun: false })
  await clock.advance(GRACE_MS)
  t.is((await operations.collect({ dryRun: false })).removed.length, 4)
})
