import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { memoryFactStore } from '#ha/memory/memory-fact-store.js'
import { GrantedReign } from '#ha/reign.js'
import { ReplicaEndpoint } from '#jobmanager/replication/replica.js'
import { ReplicatingBlobStore } from '#jobmanager/replication/replicating-blob-store.js'
import { ReplicationEndpoint } from '#jobmanager/replication/replication-endpoint.js'
import type { BlobStore, BlobTransfer } from '#protocol/ha/blobs.js'
import type { FactStore, Replica } from '#protocol/ha/facts.js'
import { LevelBlobStore } from '#storage/level-blob-store.js'
import { BINARY, type LevelDatabase } from '#storage/level-database.js'
import { FakeClock } from '../../../support/fake-clock.js'

interface Host {
  readonly replica: Replica
  readonly db: LevelDatabase
  readonly local: BlobStore
  readonly endpoint: ReplicaEndpoint
  down: boolean
  /** Takes nothing, and does not answer. */
  stalled: boolean
}
const STALL_MS = 1_000

/** A leader `a` and standbys, over a network in memory that loses what it is told to. */
class Cluster {
  readonly hosts = new Map<string, Host>()
  readonly facts: FactStore
  readonly reign: GrantedReign
  readonly clock = new FakeClock()
  leader!: ReplicatingBlobStore
  gateway!: ReplicationEndpoint
  broken: unknown
  /** Pauses between the parts of a transfer; a test may make them long. */
  pause: () => Promise<void> = async () => {}

  private constructor(readonly onSetIsr: (replicas: readonly Replica[]) => Promise<void>) {
    const facts = memoryFactStore()
    const setIsr = facts.setIsr.bind(facts)
    this.facts = Object.assign(facts, {
      setIsr: async (replicas: readonly Replica[], version: number | undefined) => {
        await this.pause()
        const next = await setIsr(replicas, version)
        await this.onSetIsr(replicas)
        await this.pause()
        return next
      },
    })
    this.reign = new GrantedReign({ incarnation: 0, czxid: '1'.padStart(16, '0') }, this.facts, async () => {})
  }

  static async start(
    ids: readonly string[],
    options: { minInSync?: number; onSetIsr?: (replicas: readonly Replica[]) => Promise<void> } = {},
  ): Promise<Cluster> {
    const cluster = new Cluster(options.onSetIsr ?? (async () => {}))
    for (const id of ids) await cluster.#addHost(id)
    const self = cluster.host('a').replica
    await cluster.facts.setIsr([self], undefined)
    cluster.leader = await ReplicatingBlobStore.open({
      self,
      reign: cluster.reign,
      local: cluster.host('a').local,
      transfer: cluster.transfer,
      deleteOn: (replica) => ({
        deleteBlobs: async (request) => {
          cluster.#assertUp(replica.address)
          return cluster.host(replica.diskId).endpoint.deleteBlobs(request)
        },
      }),
      minInSync: options.minInSync ?? 1,
      stallTimeoutMs: STALL_MS,
      clock: cluster.clock,
      logger: silentLogger,
      onBroken: (error) => {
        cluster.broken = error
      },
    })
    cluster.gateway = new ReplicationEndpoint(cluster.leader)
    return cluster
  }

  async #addHost(id: string): Promise<void> {
    const db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
    const local = new LevelBlobStore(db)
    await local.open()
    const replica = { jobManagerId: id, diskId: id, address: id }
    const endpoint = new ReplicaEndpoint({ self: replica, local, transfer: this.transfer, logger: silentLogger })
    this.hosts.set(id, { replica, db, local, endpoint, down: false, stalled: false })
  }

  host(id: string): Host {
    return this.hosts.get(id)!
  }

  #assertUp(address: string): Host {
    const host = this.host(address)
    if (host.down) throw new FlottError('CONNECTION_LOST', `${address} is down`)
    return host
  }

  readonly transfer: BlobTransfer = {
    put: async (address, name, content) => {
      const host = this.#assertUp(address)
      const cluster = this
      async function* arriving(): AsyncIterable<Uint8Array> {
        for await (const piece of content instanceof Uint8Array ? [content] : content) {
          await cluster.pause()
          if (host.stalled) await new Promise(() => {})
          cluster.#assertUp(address)
          yield piece
        }
      }
      const info = await host.local.put(name, arriving())
      await this.pause()
      this.#assertUp(address) // The answer is lost.
      return info
    },
    get: async (address, name) => this.#assertUp(address).local.get(name),
    read: (address, name) => this.#assertUp(address).local.read(name),
  }

  async join(id: string): Promise<void> {
    await this.host(id).endpoint.join(this.gateway, 'a', new AbortController().signal)
  }
  async isr(): Promise<string[]> {
    return (await this.facts.readIsr())!.value.map((r) => r.diskId).sort()
  }
}

const bytes = (text: string) => Buffer.from(text)

test('a put is on every disk of the set; a joiner fetches what was before', async (t) => {
  const cluster = await Cluster.start(['a', 'b', 'c'])
  await cluster.leader.put('old', bytes('old'))
  await cluster.join('b')
  await cluster.join('c')
  t.deepEqual(await cluster.isr(), ['a', 'b', 'c'])
  await cluster.leader.put('new', bytes('new'))
  for (const id of ['a', 'b', 'c'])
    for (const name of ['old', 'new']) t.is(Buffer.from(await cluster.host(id).local.get(name)).toString(), name)
})

test('a dead member leaves the set before a put counts without it', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  cluster.host('b').down = true
  await cluster.leader.put('x', bytes('x'))
  t.deepEqual(await cluster.isr(), ['a'])
  cluster.host('b').down = false
  await cluster.join('b')
  t.is(Buffer.from(await cluster.host('b').local.get('x')).toString(), 'x')
})

test('a member that stalls is given its time, then leaves', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  cluster.host('b').stalled = true
  let stored = false
  const put = cluster.leader.put('x', bytes('x')).then(() => {
    stored = true
  })
  await cluster.clock.advance(STALL_MS - 1)
  t.false(stored)
  t.deepEqual(await cluster.isr(), ['a', 'b'])
  await cluster.clock.advance(1)
  await put
  t.deepEqual(await cluster.isr(), ['a'])
})

test('below min-in-sync nothing is stored, and a new member makes it possible again', async (t) => {
  const cluster = await Cluster.start(['a', 'b', 'c'])
  await cluster.join('b')
  const strict = await ReplicatingBlobStore.open({
    self: cluster.host('a').replica,
    reign: cluster.reign,
    local: cluster.host('a').local,
    transfer: cluster.transfer,
    deleteOn: () => cluster.host('b').endpoint,
    minInSync: 2,
    stallTimeoutMs: STALL_MS,
    clock: cluster.clock,
    logger: silentLogger,
    onBroken: () => {},
  })
  cluster.host('b').down = true
  await t.throwsAsync(strict.put('x', bytes('x')), { code: 'REPLICATION_FAILED' })
  t.deepEqual(await cluster.isr(), ['a', 'b'])
  await cluster.host('c').endpoint.join(new ReplicationEndpoint(strict), 'a', new AbortController().signal)
  t.deepEqual(await cluster.isr(), ['a', 'c'])
  await strict.put('x', bytes('x'))
  t.is(Buffer.from(await cluster.host('c').local.get('x')).toString(), 'x')
})

test('a set that can not be changed breaks the reign: no put counts', async (t) => {
  let ended = false
  const cluster = await Cluster.start(['a', 'b'], {
    onSetIsr: async () => {
      if (ended) throw new FlottError('ZOOKEEPER_SESSION_EXPIRED', 'the session has ended')
    },
  })
  await cluster.join('b')
  ended = true
  cluster.host('b').down = true
  await t.throwsAsync(cluster.leader.put('x', bytes('x')), { code: 'REPLICATION_FAILED' })
  t.like(cluster.broken, { code: 'ZOOKEEPER_SESSION_EXPIRED' })
  await t.throwsAsync(cluster.leader.put('y', bytes('y')), { code: 'REPLICATION_FAILED' })
})

test('the end of the reign ends waiting puts', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  cluster.host('b').stalled = true
  const put = cluster.leader.put('x', bytes('x'))
  await cluster.clock.advance(1)
  cluster.reign.end('test')
  await t.throwsAsync(put, { code: 'NOT_LEADER' })
})

test('a leader that gives its leadership up takes nobody out of the set for calls that it cuts off', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  await cluster.leader.put('old', bytes('old'))
  cluster.pause = () => new Promise((resolve) => cluster.clock.defer(resolve))
  const deleted = cluster.leader.delete(['old'])
  const put = cluster.leader.put('new', bytes('new'))
  cluster.leader.close()
  cluster.host('b').down = true
  const outcome = t.throwsAsync(put, { code: 'NOT_LEADER' })
  await cluster.clock.advance(10 * STALL_MS)
  await Promise.all([deleted, outcome])
  t.deepEqual(await cluster.isr(), ['a', 'b'])
  t.is(cluster.broken, undefined)
})

test('a missing or corrupt blob comes from another member, also in the middle of a stream, and is repaired', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  const content = Buffer.alloc(300_000, 'flott')
  await cluster.leader.put('x', content)
  const { db, local } = cluster.host('a')
  for await (const key of db.keys({ gte: Buffer.of(3), lt: Buffer.of(4) })) {
    if (key.at(-1) !== 2) continue
    const value = Buffer.from((await db.get(key))!)
    value[100]! ^= 1
    await db.put(key, value)
  }
  const read: Uint8Array[] = []
  for await (const block of cluster.leader.read('x')) read.push(block)
  t.true(content.equals(Buffer.concat(read)))
  t.true(content.equals(await local.get('x')))
  await local.delete(['x'])
  t.true(content.equals(await cluster.leader.get('x')))
  await t.throwsAsync(cluster.leader.get('absent'), { code: 'BLOB_NOT_FOUND' })
})

test('a blob that was missing here reaches who has joined meanwhile, and could not copy it', async (t) => {
  const cluster = await Cluster.start(['a', 'b', 'c'])
  await cluster.join('b')
  await cluster.leader.put('x', bytes('x'))
  await cluster.host('a').local.delete(['x'])
  await cluster.join('c')
  t.is(await cluster.host('c').local.info('x'), undefined)
  t.is(String(await cluster.leader.get('x')), 'x')
  t.is(String(await cluster.host('c').local.get('x')), 'x')
})

test('a bad blob comes from a member that was briefly away; as long as it is away, that is a passing trouble', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  await cluster.leader.put('x', Buffer.from('flott'))
  await cluster.host('a').local.delete(['x'])
  cluster.host('b').down = true
  const reading = cluster.leader.get('x')
  await cluster.clock.advance(STALL_MS / 2)
  cluster.host('b').down = false
  await cluster.clock.advance(STALL_MS / 2)
  t.is(Buffer.from(await reading).toString(), 'flott')

  await cluster.host('a').local.delete(['x'])
  cluster.host('b').down = true
  const failing = t.throwsAsync(cluster.leader.get('x'), { code: 'REPLICATION_FAILED', message: /b can not be asked/ })
  await cluster.clock.advance(2 * STALL_MS)
  await failing
})

test('garbage is deleted on every disk after its grace; what is put or named meanwhile stays', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  for (const name of ['named', 'garbage', 'put-again']) await cluster.leader.put(name, bytes(name))
  const live = new Set(['named'])
  const collect = async () => {
    const old = (await cluster.leader.unnamed(live)).filter(({ unnamedMs }) => unnamedMs >= 1_000)
    return cluster.leader.deleteUnnamed(old.map(({ name }) => name))
  }
  t.deepEqual(await collect(), [])
  await cluster.clock.advance(1_000)
  await cluster.leader.put('put-again', bytes('put-again'))
  await cluster.leader.put('fresh', bytes('fresh'))
  t.deepEqual(await collect(), ['garbage'])
  for (const id of ['a', 'b']) {
    const names: string[] = []
    for await (const { name } of cluster.host(id).local.list('')) names.push(name)
    t.deepEqual(names, ['fresh', 'named', 'put-again'])
  }
})

test('a deletion from before a join is late', async (t) => {
  const cluster = await Cluster.start(['a', 'b'])
  await cluster.join('b')
  cluster.host('b').down = true
  await cluster.leader.put('x', bytes('x'))
  await cluster.leader.delete(['x'])
  cluster.host('b').down = false
  await cluster.leader.put('x', bytes('x'))
  await cluster.join('b')
  t.deepEqual(await cluster.host('b').endpoint.deleteBlobs({ diskId: 'b', number: 1, names: ['x'] }), { accepted: false })
  t.truthy(await cluster.host('b').local.info('x'))
})

test('the one rule, in every history: whatever put returned is on every disk that isr names, at every moment', async (t) => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = seededRandom(seed)
    const stored = new Set<string>()
    let cluster: Cluster | undefined
    const check = async (replicas: readonly Replica[], when: string) => {
      for (const { diskId } of replicas)
        for (const name of stored)
          if (!(await cluster!.host(diskId).local.info(name))) t.fail(`seed ${seed}, ${when}: ${diskId} is in isr without ${name}`)
    }
    cluster = await Cluster.start(['a', 'b', 'c'], { onSetIsr: async (replicas) => cluster && check(replicas, 'set') })
    cluster.pause = turns(random)
    const running: Promise<unknown>[] = []
    for (let n = 0; n < 40; n++) {
      const id = pick(random, ['b', 'c'])
      switch (between(random, 0, 6)) {
        case 0:
          running.push(cluster.join(id).catch(() => {}))
          break
        case 1:
          cluster.host(id).down = !cluster.host(id).down
          break
        case 2:
          running.push(cluster.gateway.leave({ diskId: id }))
          break
        default: {
          const name = `blob-${n}`
          running.push(
            cluster.leader.put(name, Buffer.alloc(between(random, 0, 90_000), n)).then(async () => {
              stored.add(name)
              await check((await cluster!.facts.readIsr())!.value, 'put')
            }),
          )
        }
      }
      for (let i = between(random, 0, 30); i > 0; i--) await new Promise((resolve) => systemClock.defer(() => resolve(undefined)))
    }
    await Promise.all(running)
    t.true(stored.size > 0)
  }
})

/** Some turns of the event loop: as long as the seed says. */
function turns(random: Random): () => Promise<void> {
  return async () => {
    for (let i = between(random, 0, 4); i > 0; i--) await new Promise((resolve) => systemClock.defer(() => resolve(undefined)))
  }
}
