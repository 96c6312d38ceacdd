import test from 'ava'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { checkChunks } from '#jobmanager/jobmaster/checkpoint/checkpoint-store.js'
import { Holes } from '#jobmanager/replication/holes.js'
import type { ReplicatingBlobStore } from '#jobmanager/replication/replicating-blob-store.js'
import { ReplicationEndpoint } from '#jobmanager/replication/replication-endpoint.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import type { JobFact, RetainedFact } from '#protocol/ha/facts.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { MapBlobStore } from '../../../support/job-master-fixture.js'

const MANIFEST = {
  jobId: 'j',
  checkpointId: 3,
  vertices: [{ subtasks: [{ operators: { op: { keyed: [{ blob: 'chunk/1' }, { blob: 'chunk/2' }] } } }] }],
} as unknown as CheckpointManifest
const FACT = { jobId: 'j', jobGraph: 'graph/g', checkpoints: [{ id: 3, manifest: 'manifest/3' }] } as unknown as JobFact
const json = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString())

/** A disk that has lost some blobs, and another member that has them all, or can not be asked. */
async function world(lost: readonly string[], namedBy: 'job' | 'retained' = 'job') {
  const clock = new FakeClock()
  const [own, other] = [new MapBlobStore(), new MapBlobStore()]
  const all = { 'graph/g': 'g', 'manifest/3': JSON.stringify(MANIFEST), 'chunk/1': '1', 'chunk/2': '2' }
  for (const [name, content] of Object.entries(all)) {
    await other.put(name, Buffer.from(content))
    if (!lost.includes(name)) await own.put(name, Buffer.from(content))
  }
  const member = { away: false, fetched: [] as string[] }
  const repair = async (name: string, cause: unknown) => {
    if (member.away) throw new FlottError('REPLICATION_FAILED', `${name}: the member is away`)
    if (!other.blobs.has(name)) throw cause
    member.fetched.push(name)
    await own.put(name, await other.get(name))
  }
  const store = {
    info: (name: string) => own.info(name),
    repair,
    async get(name: string) {
      if (!own.blobs.has(name)) await repair(name, new FlottError('BLOB_NOT_FOUND', name))
      return own.get(name)
    },
  }
  const ending = new AbortController()
  const facts = {
    listJobs: async () => (namedBy === 'job' ? ['j'] : []),
    readJob: async () => ({ value: FACT, version: 1 }),
    listRetained: async () => (namedBy === 'retained' ? ['j'] : []),
    readRetained: async (): Promise<RetainedFact> => ({ ...FACT, status: 'CANCELED', endTime: 1 }),
  }
  const decode = { manifest: json, deployment: json }
  const holes = new Holes({ facts, store, decode, clock, logger: silentLogger, signal: ending.signal })
  return { clock, own, other, member, store, holes, ending }
}

for (const namedBy of ['job', 'retained'] as const)
  test(`what a fact names (${namedBy}) and the disk lacks is fetched, soon after the takeover`, async (t) => {
    const { clock, holes, member, own } = await world(['chunk/2', 'manifest/3', 'graph/g'], namedBy)
    holes.start()
    t.deepEqual(member.fetched, [])
    await clock.advance(1_000)
    t.deepEqual(member.fetched.sort(), ['chunk/2', 'graph/g', 'manifest/3'])
    t.is(own.blobs.size, 4)
    await holes.filled()
    t.is(member.fetched.length, 3, 'once for all')
    t.is(clock.pending, 0)
  })

test('a member that is away is asked again; nobody joins until then', async (t) => {
  const { clock, holes, member } = await world(['chunk/2'])
  member.away = true
  holes.start()
  await clock.advance(3_000)
  const blobs = { set: { self: 'a', members: [], joining: [], failed: [] }, deletions: 0, report: () => {} }
  const endpoint = new ReplicationEndpoint(blobs as unknown as ReplicatingBlobStore, holes)
  const replica = { jobManagerId: 'c', diskId: 'c', address: 'c:1' }
  await t.throwsAsync(endpoint.join({ replica }), { code: 'REPLICATION_FAILED' })
  member.away = false
  await clock.advance(5_000)
  t.deepEqual(member.fetched, ['chunk/2'])
  t.deepEqual(await endpoint.join({ replica }), { state: 'JOINING', deletions: 0 })
})

test('what no member has keeps nobody waiting', async (t) => {
  const { holes, member, other } = await world(['chunk/1', 'chunk/2'])
  other.blobs.delete('chunk/1')
  await holes.filled()
  t.deepEqual(member.fetched, ['chunk/2'])
})

test('a manifest that nobody has keeps the rest of its job from nobody', async (t) => {
  const { holes, member, other } = await world(['manifest/3', 'graph/g'])
  other.blobs.delete('manifest/3')
  await holes.filled()
  t.deepEqual(member.fetched, ['graph/g'])
})

test('what nobody had is looked for again before somebody is a member, and else is not', async (t) => {
  const { holes, member, other } = await world(['chunk/1'])
  const chunk = await other.get('chunk/1')
  other.blobs.delete('chunk/1')
  await holes.filled()
  await other.put('chunk/1', chunk)
  await holes.filled()
  t.deepEqual(member.fetched, [])
  const reported: string[] = []
  const blobs = {
    report: ({ kind }: { kind: string }) => reported.push(`${kind} ${member.fetched.length}`),
    whenSettled: async () => 'MEMBER',
  }
  const endpoint = new ReplicationEndpoint(blobs as unknown as ReplicatingBlobStore, holes)
  t.deepEqual(await endpoint.completeJoin({ diskId: 'c' }), { state: 'MEMBER' })
  t.deepEqual(member.fetched, ['chunk/1'])
  t.deepEqual(reported, ['join-completed 1'])
  other.blobs.clear()
  await holes.memberJoins()
  t.is(member.fetched.length, 1, 'nothing is left')
})

test('the end of the reign ends it', async (t) => {
  const { clock, holes, member, ending } = await world(['chunk/2'])
  member.away = true
  holes.start()
  await clock.advance(2_000)
  ending.abort()
  await clock.advance(10)
  t.is(clock.pending, 0)
})

test('a chunk that is only missing here hinders no restore', async (t) => {
  const { member, other, own, store } = await world(['chunk/2'])
  await checkChunks(store as never, MANIFEST)
  t.deepEqual(member.fetched, ['chunk/2'])
  own.blobs.delete('chunk/1')
  other.blobs.delete('chunk/1')
  await t.throwsAsync(checkChunks(store as never, MANIFEST), { code: 'CHECKPOINT_NOT_RESTORABLE', message: /chunk\/1/ })
})
