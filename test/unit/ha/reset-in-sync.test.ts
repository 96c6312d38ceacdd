import test from 'ava'
import { systemClock } from '#core/clock.js'
import { seededRandom } from '#core/random.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { type InSyncReset, type ResetOptions, resetInSync } from '#ha/zookeeper/reset-in-sync.js'
import { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import { ensureTree, zooKeeperFactStore } from '#ha/zookeeper/zookeeper-fact-store.js'

const replica = (id: string) => ({ jobManagerId: `jm-${id}`, diskId: id, address: id })

async function world() {
  const zookeeper = new SimulatedZooKeeper(systemClock, seededRandom(1)).client('a')
  const paths = new ClusterPaths('c')
  const session = await zookeeper.open()
  await ensureTree(session, paths)
  const facts = zooKeeperFactStore(session, paths)
  await facts.createCluster({ clusterId: 'c', uuid: 'uuid', incarnation: 3 })
  await facts.setIsr([replica('lost')], undefined)
  const told: InSyncReset[] = []
  const reset = (over: Partial<ResetOptions> = {}) =>
    resetInSync({
      zookeeper,
      paths,
      random: seededRandom(2),
      disk: replica('new'),
      clusterUuid: 'uuid',
      decide: async (found) => {
        told.push(found)
        return true
      },
      ...over,
    })
  const unchanged = async () => (await facts.readCluster())!.value.incarnation === 3 && (await facts.readIsr())!.value[0]!.diskId === 'lost'
  return { session, paths, facts, told, reset, unchanged }
}

test('the disk becomes the set, the incarnation rises, and the way to leadership is free', async (t) => {
  const { session, paths, facts, told, reset } = await world()
  t.true(await reset())
  t.deepEqual(told, [{ before: [replica('lost')], incarnation: 4 }])
  t.deepEqual((await facts.readIsr())!.value, [replica('new')])
  t.is((await facts.readCluster())!.value.incarnation, 4)
  t.deepEqual(await session.children(paths.election), [])
  await t.throwsAsync(reset(), { code: 'IN_SYNC_MEMBER_LIVES' }, 'it is in the set now')
})

test('nothing changes when the operator does not want it, and nobody can be granted leadership meanwhile', async (t) => {
  const { session, paths, reset, unchanged } = await world()
  let queue: readonly string[] = []
  const decide = async () => {
    await session.create(`${paths.election}/candidate-`, Buffer.alloc(0), 'ephemeral-sequential')
    queue = [...(await session.children(paths.election))].sort((a, b) => (a.slice(-10) < b.slice(-10) ? -1 : 1))
    return false
  }
  t.false(await reset({ decide }))
  t.is(queue.length, 2)
  t.true(queue[1]!.startsWith('candidate-'))
  t.true(await unchanged())
})

test('a leader or a candidate that lives, or another cluster, is a refusal', async (t) => {
  const { session, paths, told, reset, unchanged } = await world()
  await t.throwsAsync(reset({ clusterUuid: 'other' }), { code: 'CLUSTER_MISMATCH' })
  await t.throwsAsync(reset({ paths: new ClusterPaths('absent') }), { code: 'FACT_NOT_FOUND' })
  await session.create(paths.leader, Buffer.from('{}'), 'ephemeral')
  await t.throwsAsync(reset(), { code: 'IN_SYNC_MEMBER_LIVES' })
  await session.remove(paths.leader, 0)
  await session.create(`${paths.election}/candidate-`, Buffer.alloc(0), 'ephemeral-sequential')
  await t.throwsAsync(reset(), { code: 'IN_SYNC_MEMBER_LIVES' })
  t.deepEqual(told, [])
  t.true(await unchanged())
})
