import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { silentLogger } from '#core/logger.js'
import { EmbeddedLeaderElection, FixedLeaderRetrieval } from '#ha/embedded/embedded-leader-election.js'
import { memoryFactStore } from '#ha/memory/memory-fact-store.js'
import { ReplicatedStorage } from '#jobmanager/replicated-storage.js'
import { establishMembership } from '#jobmanager/replication/membership.js'
import { ReplicaEndpoint } from '#jobmanager/replication/replica.js'
import { Standby } from '#jobmanager/standby.js'
import { replicaGateway } from '#protocol/gateways/replication-gateway.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import { overLevel } from '#storage/data-directory.js'
import { BINARY, type LevelDatabase } from '#storage/level-database.js'
import { FakeClock } from '../../support/fake-clock.js'

async function world() {
  const clock = new FakeClock()
  const network = new LoopbackNetwork(clock)
  const facts = memoryFactStore()
  const retrieval = new FixedLeaderRetrieval()
  const logger = silentLogger
  const jobManager = async (name: string, cluster: string | undefined = undefined) => {
    const db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
    await db.open()
    const disk = await overLevel(db, () => `disk of ${name}`)
    if (cluster !== undefined) await disk.bindCluster(cluster)
    const self = { jobManagerId: name, diskId: disk.diskId, address: `${name}:1` }
    const process = network.process(self.address)
    const transfer = process.blobTransfer()
    process.serveBlobs(disk.blobs)
    const replica = new ReplicaEndpoint({ self, local: disk.blobs, transfer, logger })
    process.endpoints.register(replicaGateway, replica)
    const onBroken = () => {}
    const storage = new ReplicatedStorage({
      disk,
      self,
      transfer,
      network: process,
      minInSync: 1,
      stallTimeoutMs: 5_000,
      clock,
      logger,
      onBroken,
    })
    const standby = new Standby({ self, replica, disk, network: process, retrieval, clock, logger })
    return { disk, self, process, storage, standby }
  }
  const leader = await jobManager('first')
  await establishMembership({ facts, disk: leader.disk, self: leader.self, clusterId: 'c', newUuid: () => 'uuid' })
  let reign!: Reign
  const election = new EmbeddedLeaderElection({ facts, disk: leader.disk, clock, logger, retryWaitMs: 100 })
  await election.start({
    async onGranted(granted) {
      reign = granted
    },
  })
  const leading = await leader.storage.lead(reign)
  const info: LeaderInfo = { jobManagerId: 'first', rpcAddress: leader.self.address, restUrl: '', epoch: reign.epoch }
  const members = async () => (await facts.readIsr())!.value.map((replica) => replica.jobManagerId)
  /** Lets the fake clock run until the members are these. */
  const until = async (wanted: readonly string[]) => {
    for (let ms = 0; ms < 20_000; ms += 10) {
      if ((await members()).join() === wanted.join()) return
      await clock.advance(10)
    }
    throw new Error(`the members are ${(await members()).join()}`)
  }
  return { clock, network, leader, leading, election, reign, info, retrieval, jobManager, members, until }
}

test('a standby joins, has what the leader stores, and leaves before it stops', async (t) => {
  const { clock, leading, info, retrieval, jobManager, members, until } = await world()
  await leading.blobs.put('graph/before', Buffer.from('before'))
  const second = await jobManager('second', 'uuid')
  await second.standby.start()
  retrieval.set(info)
  await until(['first', 'second'])
  t.deepEqual(second.disk.epoch, info.epoch)
  t.is((await second.disk.blobs.get('graph/before')).toString(), Buffer.from('before').toString())
  const put = leading.blobs.put('graph/after', Buffer.from('after'))
  await clock.advance(1_000)
  await put
  t.truthy(await second.disk.blobs.info('graph/after'))
  const deleted = leading.blobs.delete(['graph/after'])
  await clock.advance(1_000)
  await deleted
  t.is(await second.disk.blobs.info('graph/after'), undefined)
  const stopped = second.standby.stop()
  await clock.advance(1_000)
  await stopped
  t.deepEqual(await members(), ['first'])
})

test('a standby that was lost leaves the set with the next blob, and comes back', async (t) => {
  const { clock, network, leading, info, retrieval, jobManager, until } = await world()
  const second = await jobManager('second', 'uuid')
  await second.standby.start()
  retrieval.set(info)
  await until(['first', 'second'])
  network.cut('first:1', 'second:1')
  const put = leading.blobs.put('graph/x', Buffer.from('x'))
  await until(['first'])
  await put
  network.heal('first:1', 'second:1')
  await until(['first', 'second'])
  t.truthy(await second.disk.blobs.info('graph/x'))
  await clock.advance(0)
})

test('the leader itself follows nobody; only while it leads does its process serve the replicated store', async (t) => {
  const { leader, leading, info, retrieval, clock } = await world()
  await leader.standby.start()
  retrieval.set(info)
  await clock.advance(1_000)
  t.is(leader.storage.serving(), leading.blobs)
  await leading.stop()
  t.is(leader.storage.serving(), leader.disk.blobs)
})

test('a process that leads takes no call of an earlier leader, and does not lead under an epoch lower than one seen', async (t) => {
  const { leader, reign } = await world()
  await leader.storage.persistEpoch(reign)
  t.deepEqual(leader.process.seen.value, reign.epoch)
  leader.process.seen.adopt({ incarnation: 1, czxid: '0000000000000000' })
  await t.throwsAsync(leader.storage.persistEpoch(reign), { code: 'NOT_LEADER' })
})

test('a disk outside of the set does not lead', async (t) => {
  const { jobManager, reign } = await world()
  const second = await jobManager('second')
  await t.throwsAsync(second.storage.lead(reign), { code: 'NOT_IN_SYNC' })
})

test('a new disk fetches nothing before it belongs to the cluster', async (t) => {
  const { clock, leading, info, retrieval, jobManager, members, until } = await world()
  await leading.blobs.put('graph/x', Buffer.from('x'))
  const second = await jobManager('second')
  await second.standby.start()
  retrieval.set(info)
  await clock.advance(5_000)
  t.deepEqual(await members(), ['first'])
  t.true(await second.disk.isEmpty())
  await second.disk.bindCluster('uuid')
  await until(['first', 'second'])
})
