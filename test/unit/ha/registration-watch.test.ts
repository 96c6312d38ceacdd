import test from 'ava'
import { silentLogger } from '#core/logger.js'
import { seededRandom } from '#core/random.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { RegistrationWatch } from '#ha/zookeeper/registration-watch.js'
import { ClusterPaths, type ZooKeeperSession } from '#ha/zookeeper/zookeeper.js'
import { ensureTree } from '#ha/zookeeper/zookeeper-fact-store.js'
import { ZooKeeperLeaderRetrieval } from '#ha/zookeeper/zookeeper-leader-retrieval.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import { FakeClock } from '../../support/fake-clock.js'

const SESSION_MS = 6_000
const SETTLED_MS = 2 * SESSION_MS
const LEADER: LeaderInfo = { jobManagerId: 'jm', rpcAddress: 'jm:1', restUrl: '', epoch: { incarnation: 0, czxid: '1'.padStart(16, '0') } }

/** A leader that watches, and TaskManagers that follow it. */
class Folder {
  readonly clock = new FakeClock()
  readonly paths = new ClusterPaths('c')
  readonly ensemble = new SimulatedZooKeeper(this.clock, seededRandom(1), { sessionTimeoutMs: SESSION_MS, latencyMs: [1, 2] })
  /** Each list that the leader was told, in order. */
  readonly lists: (readonly string[])[] = []
  readonly retrievals = new Map<string, ZooKeeperLeaderRetrieval>()
  watch!: RegistrationWatch
  session!: ZooKeeperSession

  async begin(): Promise<void> {
    const { clock, paths } = this
    const opening = this.ensemble.client('leader').open()
    await clock.advance(10)
    this.session = await opening
    this.watch = new RegistrationWatch({ session: this.session, paths, clock, logger: silentLogger })
    this.watch.watch(() => this.lists.push([...(this.watch.listed ?? [])].sort()))
    const made = ensureTree(this.session, paths)
    await clock.advance(100)
    await made
    this.watch.start()
  }
  async publish(): Promise<void> {
    void this.session.create(this.paths.leader, Buffer.from(JSON.stringify(LEADER)), 'ephemeral')
    await this.clock.advance(50)
  }
  async taskManager(id: string): Promise<ZooKeeperLeaderRetrieval> {
    const { clock, paths } = this
    const zookeeper = this.ensemble.client(id)
    const retrieval = new ZooKeeperLeaderRetrieval({ zookeeper, paths, clock, logger: silentLogger, retryWaitMs: 50 })
    retrieval.holdRegistration({ taskManagerId: id, processId: 'p' })
    this.retrievals.set(id, retrieval)
    await retrieval.start()
    await clock.advance(200)
    return retrieval
  }
  names(): readonly string[] {
    return this.ensemble.tree.children(this.paths.registrations).sort()
  }
}

test('a TaskManager is registered before it is told of a leader, as long as its session lives, and again under its next one', async (t) => {
  const folder = new Folder()
  await folder.begin()
  const retrieval = await folder.taskManager('tm@1/x')
  t.deepEqual(folder.names(), [], 'nobody leads')
  const seen: (readonly string[])[] = []
  retrieval.watch((leader) => leader && seen.push(folder.names()))
  await folder.publish()
  const name = 'tm%401%2Fx@p'
  t.deepEqual(seen, [[name]])
  folder.ensemble.expire('tm@1/x')
  t.deepEqual(folder.names(), [])
  await folder.clock.advance(200)
  t.deepEqual(folder.names(), [name])
  folder.ensemble.suspend('tm@1/x')
  await folder.clock.advance(SESSION_MS / 2)
  folder.ensemble.resume('tm@1/x')
  await folder.clock.advance(SESSION_MS)
  t.deepEqual(folder.names(), [name], 'the same session')
  const stopped = retrieval.stop()
  await folder.clock.advance(50)
  await stopped
  t.deepEqual(folder.names(), [])
})

test('a registration whose answer was lost is there once, and is its own', async (t) => {
  const folder = new Folder()
  await folder.begin()
  await folder.taskManager('tm')
  folder.ensemble.loseAnswers('tm')
  await folder.publish()
  await folder.clock.advance(500)
  t.deepEqual(folder.names(), ['tm@p'])
  t.is(folder.retrievals.get('tm')!.current?.jobManagerId, 'jm')
})

test('the leader is told nothing before its session is twice as old as one lives without its client, then each change', async (t) => {
  const folder = new Folder()
  await folder.begin()
  await folder.publish()
  await folder.taskManager('tm-1')
  await folder.taskManager('tm-2')
  await folder.clock.advance(SETTLED_MS - 1_000)
  t.deepEqual([folder.lists, folder.watch.listed], [[], undefined])
  await folder.clock.advance(1_000)
  t.deepEqual(folder.lists, [['tm-1@p', 'tm-2@p']])
  folder.ensemble.release('tm-1')
  await folder.clock.advance(300)
  t.deepEqual(folder.lists.at(-1), ['tm-2@p'])
})

test('what comes while a list is on its way, and in the pause after it, is in the next', async (t) => {
  const folder = new Folder()
  await folder.begin()
  await folder.publish()
  await folder.clock.advance(SETTLED_MS)
  for (let i = 0; i < 20; i++) {
    void folder.session.create(`${folder.paths.registrations}/${i}`, Buffer.alloc(0), 'ephemeral')
    await folder.clock.advance(7)
  }
  await folder.clock.advance(500)
  t.is(folder.lists.at(-1)!.length, 20)
  t.true(folder.lists.length < 6, `${folder.lists.length} lists for 20 changes`)
})

test('after an interruption nothing is known until it is twice as long ago as a session lives without its client', async (t) => {
  const folder = new Folder()
  await folder.begin()
  await folder.publish()
  await folder.taskManager('tm')
  await folder.clock.advance(SETTLED_MS)
  t.truthy(folder.watch.listed)
  const lists = folder.lists.length
  folder.ensemble.suspend('leader')
  t.is(folder.watch.listed, undefined)
  await folder.clock.advance(SESSION_MS / 2)
  folder.ensemble.resume('leader')
  folder.ensemble.expire('tm') // It lives, and comes back like the leader.
  await folder.clock.advance(SETTLED_MS - 500)
  t.deepEqual([folder.lists.length, folder.watch.listed], [lists, undefined])
  await folder.clock.advance(600)
  t.deepEqual(folder.lists.slice(lists), [['tm@p']])
})

test('the end of the session ends the watch, whatever it waits for', async (t) => {
  for (const afterMs of [0, SESSION_MS / 2, SETTLED_MS + 500]) {
    const folder = new Folder()
    await folder.begin()
    await folder.clock.advance(afterMs)
    folder.ensemble.expire('leader')
    await folder.clock.advance(10)
    t.is(folder.watch.listed, undefined)
    t.is(folder.clock.pending, 0, `${afterMs} ms`)
  }
})
