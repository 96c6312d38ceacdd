import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { blobsOf, missingBlobs } from '#jobmanager/replication/live-blobs.js'
import type { CheckpointManifest, ChunkRef } from '#protocol/checkpoint/manifest.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { LevelBlobStore } from '#storage/level-blob-store.js'
import { BINARY, type LevelDatabase } from '#storage/level-database.js'

const chunk = (blob: string): ChunkRef => ({ blob, bytes: 1, crc32: 0 })
function manifest(checkpointId: number, keyed: readonly string[], operator?: string): CheckpointManifest {
  const state = { subtaskIndex: 0, keyed: keyed.map(chunk), ...(operator === undefined ? {} : { operatorChunk: chunk(operator) }) }
  const subtasks = [{ subtaskIndex: 0, finished: false, operators: { o1: state } }]
  return {
    version: 1,
    jobId: 'j',
    checkpointId,
    triggerTimestamp: 0,
    completedTimestamp: 0,
    kind: 'checkpoint',
    vertices: [{ vertexId: 'v', parallelism: 1, maxParallelism: 128, operatorIds: ['o1'], subtasks }],
    coordinators: {},
    checkpointedSize: 0,
    stateSize: 0,
  }
}
const deployment: DeploymentRecord = {
  jobId: 'j',
  deploymentNumber: 1,
  epoch: { incarnation: 0, czxid: '0' },
  attempts: [],
  restoredCheckpoint: { id: 2, manifest: 'm1' },
}
const fact: JobFact = {
  jobId: 'j',
  jobName: 'j',
  target: 'RUNNING',
  submittedTime: 0,
  artifact: 'artifact',
  jobGraph: 'graph',
  deployment: 'deployment',
  checkpoints: [{ id: 2, manifest: 'm2' }],
  checkpointIdReserved: 0,
  attemptNumber: 0,
  restarts: { count: 0 },
  history: 'history',
}
const decode = {
  manifest: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as CheckpointManifest,
  deployment: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as DeploymentRecord,
}
async function blobs(content: Record<string, unknown>): Promise<LevelBlobStore> {
  const store = new LevelBlobStore(new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase)
  await store.open()
  for (const [name, value] of Object.entries(content)) await store.put(name, Buffer.from(JSON.stringify(value)))
  return store
}

test('alive is what a fact names, the chunks of their manifests, and the manifest that a deployment restores from', async (t) => {
  const store = await blobs({ deployment, m1: manifest(1, ['c1', 'c2']), m2: manifest(2, ['c2', 'c3'], 'o'), orphan: 1 })
  const live = await blobsOf(fact, store, decode)
  t.deepEqual([...live].sort(), ['artifact', 'c1', 'c2', 'c3', 'deployment', 'graph', 'history', 'm1', 'm2', 'o'])
  t.deepEqual((await missingBlobs(live, store)).sort(), ['artifact', 'c1', 'c2', 'c3', 'graph', 'history', 'o'])
})

test('a manifest that can not be read gives no answer, not a short one', async (t) => {
  await t.throwsAsync(blobsOf(fact, await blobs({ deployment, m2: manifest(2, []) }), decode), { code: 'BLOB_NOT_FOUND' })
})

test('once a later checkpoint is complete, all attempts run: what they restored from may be gone', async (t) => {
  const live = await blobsOf(
    { ...fact, checkpoints: [{ id: 3, manifest: 'm3' }] },
    await blobs({ deployment, m3: manifest(3, ['c3']) }),
    decode,
  )
  t.deepEqual([...live].sort(), ['artifact', 'c3', 'deployment', 'graph', 'history', 'm3'])
})
