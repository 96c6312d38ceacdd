import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { MemoryLevel } from 'memory-level'
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { seededRandom, systemRandom } from '#core/random.js'
import { levelFactStore } from '#ha/embedded/level-fact-store.js'
import { memoryFactStore } from '#ha/memory/memory-fact-store.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { NativeZooKeeper } from '#ha/zookeeper/native-zookeeper.js'
import { ClusterPaths, type ZooKeeper, type ZooKeeperSession } from '#ha/zookeeper/zookeeper.js'
import { ensureTree, zooKeeperFactStore } from '#ha/zookeeper/zookeeper-fact-store.js'
import type { ClusterFact, FactStore, JobFact, Replica, RetainedFact } from '#protocol/ha/facts.js'
import { BINARY, type LevelDatabase, levelOnDisk } from '#storage/level-database.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'

const ids = { next: 0 }
const zooKeeperServer = ZooKeeperServer.start()
zooKeeperServer.catch(() => {}) // Each test that needs it tells.
test.after.always(async () => (await zooKeeperServer.catch(() => undefined))?.remove())

async function overZooKeeper(
  zookeeper: ZooKeeper,
): Promise<{ store: FactStore; session: ZooKeeperSession; paths: ClusterPaths; other: FactStore; close(): Promise<void> }> {
  const paths = new ClusterPaths(`facts-${ids.next++}`)
  const [session, second] = [await zookeeper.open(), await zookeeper.open()]
  await ensureTree(session, paths)
  const close = async () => {
    await session.close()
    await second.close()
  }
  return { store: zooKeeperFactStore(session, paths), other: zooKeeperFactStore(second, paths), session, paths, close }
}
async function native(): Promise<ZooKeeper> {
  const options = { quorum: (await zooKeeperServer).connect, sessionTimeoutMs: 30_000, connectionTimeoutMs: 60_000 }
  return new NativeZooKeeper(options, { clock: systemClock, random: systemRandom, logger: silentLogger })
}

/** `other` sees the same facts over another connection, where there is one. */
const implementations: Record<string, () => Promise<{ store: FactStore; other: FactStore; close(): Promise<void> }>> = {
  async memory() {
    const store = memoryFactStore()
    return { store, other: store, async close() {} }
  },
  async 'memory-level'() {
    const db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
    const store = levelFactStore(db)
    return { store, other: store, close: () => db.close() }
  },
  async Level() {
    const path = await mkdtemp(join(tmpdir(), 'flott-facts-'))
    const db = levelOnDisk(path)
    const store = levelFactStore(db)
    return {
      store,
      other: store,
      async close() {
        await db.close()
        await rm(path, { recursive: true })
      },
    }
  },
  async 'simulated ZooKeeper'() {
    return overZooKeeper(new SimulatedZooKeeper(systemClock, seededRandom(1)).client('a'))
  },
  async ZooKeeper() {
    return overZooKeeper(await native())
  },
}

function job(jobId: string, over: Partial<JobFact> = {}): JobFact {
  return {
    jobId,
    jobName: 'count',
    target: 'RUNNING',
    submittedTime: 1,
    jobGraph: 'graph/1',
    checkpoints: [],
    checkpointIdReserved: 0,
    attemptNumber: 0,
    restarts: { count: 0 },
    ...over,
  }
}
const [a, b] = ['a', 'b'].map((id): Replica => ({ jobManagerId: id, diskId: `disk-${id}`, address: `${id}:1` })) as [Replica, Replica]
const cluster: ClusterFact = { clusterId: 'c', uuid: 'u', incarnation: 0 }

for (const [kind, open] of Object.entries(implementations)) {
  const check = (title: string, body: (t: ExecutionContext, store: FactStore, other: FactStore) => Promise<void>) =>
    test(`${kind}: ${title}`, async (t) => {
      const { store, other, close } = await open()
      t.teardown(close)
      await body(t, store, other)
    })

  check('a job is created, read, set, listed and deleted', async (t, store, other) => {
    t.deepEqual(await store.listJobs(), [])
    t.is(await store.readJob('j2'), undefined)
    t.is(await store.createJob(job('j2')), 0)
    t.is(await store.createJob(job('j1')), 0)
    await other.sync()
    t.deepEqual(await other.listJobs(), ['j1', 'j2'])
    t.deepEqual(await other.readJob('j1'), { value: job('j1'), version: 0 })
    t.is(await store.setJob(job('j1', { artifact: 'artifact/ü' }), 0), 1)
    await other.sync()
    t.deepEqual(await other.readJob('j1'), { value: job('j1', { artifact: 'artifact/ü' }), version: 1 })
    await store.deleteJob('j1', 1)
    t.is(await store.readJob('j1'), undefined)
    await store.deleteJob('j1', 1)
    t.deepEqual(await store.listJobs(), ['j2'])
  })

  check('marks of TaskManagers are set over each other, listed and deleted, whatever their ids', async (t, store, other) => {
    const mark = { taskManagerId: 'host/1 ü', processId: 'p', life: 0, cause: 'silent', time: 7 }
    t.deepEqual(await store.listMarks(), [])
    await store.setMark(mark)
    await store.setMark({ ...mark, life: 1 })
    await store.setMark({ ...mark, taskManagerId: 'tm' })
    await other.sync()
    t.deepEqual([...(await other.listMarks())].map(({ taskManagerId, life }) => [taskManagerId, life]).sort(), [
      ['host/1 ü', 1],
      ['tm', 0],
    ])
    await store.deleteMark('host/1 ü')
    await store.deleteMark('host/1 ü')
    t.deepEqual(
      (await store.listMarks()).map(({ taskManagerId }) => taskManagerId),
      ['tm'],
    )
    t.deepEqual(await store.listJobs(), [])
  })

  check('retained checkpoints have a node of their own, beside that of the job', async (t, store, other) => {
    const fact: RetainedFact = {
      jobId: 'j',
      jobName: 'count',
      status: 'CANCELED',
      endTime: 1,
      jobGraph: 'graph/1',
      checkpoints: [{ id: 1, manifest: 'manifest/j/1' }],
    }
    t.deepEqual(await store.listRetained(), [])
    t.is(await store.readRetained('j'), undefined)
    await store.createJob(job('j'))
    await store.setRetained(fact)
    await store.setRetained({ ...fact, endTime: 2 })
    await other.sync()
    t.deepEqual(await other.listRetained(), ['j'])
    t.deepEqual(await other.readRetained('j'), { ...fact, endTime: 2 })
    t.deepEqual(await other.listJobs(), ['j'])
    await store.deleteRetained('j')
    await store.deleteRetained('j')
    t.deepEqual(await store.listRetained(), [])
    t.deepEqual(await store.listJobs(), ['j'])
  })

  check('a disposal is set over itself, listed and deleted', async (t, store, other) => {
    const fact = { requestId: 'r', askedTime: 1, paths: ['flott:/j/chk-1'] }
    t.deepEqual(await store.listDisposals(), [])
    await store.setDisposal(fact)
    await store.setDisposal({ ...fact, outcome: {} })
    await other.sync()
    t.deepEqual(await other.listDisposals(), [{ ...fact, outcome: {} }])
    await store.deleteDisposal('r')
    await store.deleteDisposal('r')
    t.deepEqual(await store.listDisposals(), [])
  })

  check('a drain is set over itself, listed and deleted, whatever its process is called', async (t, store, other) => {
    const fact = { taskManagerId: 'a/b', processId: '../p', askedTime: 1 }
    const outcome = { state: 'NOT_DRAINED' as const, slots: 1, missing: ['slots'], time: 2 }
    await store.setDrain(fact)
    await store.setDrain({ ...fact, outcome })
    await other.sync()
    t.deepEqual(await other.listDrains(), [{ ...fact, outcome }])
    await store.deleteDrain('../p')
    await store.deleteDrain('../p')
    t.deepEqual(await store.listDrains(), [])
  })

  check('creating the same job again is idempotent, another one of its id is refused', async (t, store) => {
    await store.createJob(job('j'))
    t.is(await store.createJob(job('j')), 0)
    await t.throwsAsync(store.createJob(job('j', { jobName: 'other' })), { code: 'FACT_EXISTS' })
  })

  check('a set or deletion with an old version conflicts and changes nothing', async (t, store, other) => {
    await store.createJob(job('j'))
    await store.setJob(job('j', { attemptNumber: 1 }), 0)
    await t.throwsAsync(other.setJob(job('j', { attemptNumber: 9 }), 0), { code: 'FACT_CONFLICT' })
    await t.throwsAsync(other.deleteJob('j', 0), { code: 'FACT_CONFLICT' })
    await t.throwsAsync(store.setJob(job('absent'), 0), { code: 'FACT_NOT_FOUND' })
    t.deepEqual(await store.readJob('j'), { value: job('j', { attemptNumber: 1 }), version: 1 })
  })

  check('of concurrent sets of one version one succeeds', async (t, store, other) => {
    await store.createJob(job('j'))
    const sets = [1, 2, 3, 4, 5, 6].map((n) => (n % 2 ? store : other).setJob(job('j', { attemptNumber: n }), 0))
    const outcomes = await Promise.allSettled(sets)
    t.is(outcomes.filter((o) => o.status === 'fulfilled').length, 1)
    t.is((await store.readJob('j'))?.version, 1)
  })

  check('a fact above 64 KiB is refused, one just below is not', async (t, store) => {
    await t.throwsAsync(store.createJob(job('j', { jobName: 'x'.repeat(65_536) })), { code: 'FACT_TOO_LARGE' })
    const overhead = Buffer.byteLength(JSON.stringify(job('j', { jobName: '' })))
    await store.createJob(job('j', { jobName: 'x'.repeat(65_536 - overhead) }))
    await t.throwsAsync(store.setJob(job('j', { jobName: 'ü'.repeat(33_000) }), 0), { code: 'FACT_TOO_LARGE' })
  })

  check('the in-sync set is created once and set by version', async (t, store, other) => {
    t.is(await store.readIsr(), undefined)
    t.is(await store.setIsr([a], undefined), 0)
    await t.throwsAsync(other.setIsr([b], undefined), { code: 'FACT_CONFLICT' })
    t.is(await store.setIsr([a, b], 0), 1)
    await t.throwsAsync(other.setIsr([b], 0), { code: 'FACT_CONFLICT' })
    await other.sync()
    t.deepEqual(await other.readIsr(), { value: [a, b], version: 1 })
  })

  check('the first cluster fact stays; only its incarnation is raised, by version', async (t, store, other) => {
    t.is(await store.readCluster(), undefined)
    t.deepEqual(await store.createCluster(cluster), { value: cluster, version: 0 })
    t.deepEqual(await other.createCluster({ ...cluster, uuid: 'v' }), { value: cluster, version: 0 })
    t.is(await store.setCluster({ ...cluster, incarnation: 1 }, 0), 1)
    await t.throwsAsync(other.setCluster({ ...cluster, incarnation: 1 }, 0), { code: 'FACT_CONFLICT' })
  })
}

test('simulated ZooKeeper: a write whose answer is lost is settled, whatever the history', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const ensemble = new SimulatedZooKeeper(systemClock, seededRandom(seed), { sessionTimeoutMs: 6_000, latencyMs: [0, 1] })
    const { store, close } = await overZooKeeper(ensemble.client('a'))
    await store.createJob(job('j'))
    ensemble.loseAnswers('a', 1 + (seed % 3))
    t.is(await store.setJob(job('j', { attemptNumber: 1 }), 0), 1)
    ensemble.loseAnswers('a')
    t.is(await store.createJob(job('k')), 0)
    ensemble.loseAnswers('a')
    await store.deleteJob('j', 1)
    t.deepEqual(await store.listJobs(), ['k'])
    await close()
  }
})

test('simulated ZooKeeper: a write of an expired session takes no effect and says so', async (t) => {
  const ensemble = new SimulatedZooKeeper(systemClock, seededRandom(1))
  const one = await overZooKeeper(ensemble.client('a'))
  await one.store.createJob(job('j'))
  ensemble.suspend('a')
  const write = one.store.setJob(job('j', { attemptNumber: 1 }), 0)
  ensemble.expire('a')
  ensemble.resume('a')
  await t.throwsAsync(write, { code: 'ZOOKEEPER_SESSION_EXPIRED' })
  const reader = await ensemble.client('b').open()
  t.is((await reader.get(one.paths.job('j')))?.version, 0)
  await reader.close()
})
