import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { memoryFactStore } from '#ha/memory/memory-fact-store.js'
import { establishMembership } from '#jobmanager/replication/membership.js'
import type { FactStore } from '#protocol/ha/facts.js'
import { type DataDirectory, overLevel } from '#storage/data-directory.js'
import { BINARY, type LevelDatabase } from '#storage/level-database.js'

const newDisk = (id: string) => overLevel(new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase, () => id)
const establish = (facts: FactStore, disk: DataDirectory) =>
  establishMembership({
    facts,
    disk,
    self: { jobManagerId: disk.diskId, diskId: disk.diskId, address: `${disk.diskId}:1` },
    clusterId: 'c',
    newUuid: () => `made-by-${disk.diskId}`,
  })

test('the first JobManager makes the cluster and is its set; later ones are outside', async (t) => {
  const facts = memoryFactStore()
  const [a, b] = [await newDisk('a'), await newDisk('b')]
  t.true(await establish(facts, a))
  t.false(await establish(facts, b))
  t.true(await establish(facts, a))
  t.is(a.clusterUuid, 'made-by-a')
  t.is(b.clusterUuid, 'made-by-a')
})

test('of two that start at once one is the set', async (t) => {
  const facts = memoryFactStore()
  const disks = [await newDisk('a'), await newDisk('b')]
  const members = await Promise.all(disks.map((disk) => establish(facts, disk)))
  t.is(members.filter((m) => m).length, 1)
  t.is(disks[0]!.clusterUuid, disks[1]!.clusterUuid)
})

test('a disk of another cluster is refused, as is one when ZooKeeper has lost the cluster; nothing changes', async (t) => {
  const [a, b] = [await newDisk('a'), await newDisk('b')]
  await establish(memoryFactStore(), a)
  const facts = memoryFactStore()
  await t.throwsAsync(establish(facts, a), { code: 'CLUSTER_MISMATCH' })
  t.is(await facts.readCluster(), undefined)
  await establish(facts, b)
  await t.throwsAsync(establish(facts, a), { code: 'CLUSTER_MISMATCH' })
  t.is(a.clusterUuid, 'made-by-a')
  const blobs = await newDisk('x')
  await blobs.blobs.put('chunk', Buffer.from('x'))
  await t.throwsAsync(establish(facts, blobs), { code: 'CLUSTER_MISMATCH' })
})

test('a set that is lost while jobs are there is not made anew', async (t) => {
  const facts = memoryFactStore()
  const disk = await newDisk('a')
  await facts.createCluster({ clusterId: 'c', uuid: 'u', incarnation: 0 })
  await facts.createJob({
    jobId: 'j',
    jobName: 'j',
    target: 'RUNNING',
    submittedTime: 0,
    jobGraph: 'graph/1',
    checkpoints: [],
    checkpointIdReserved: 0,
    attemptNumber: 0,
    restarts: { count: 0 },
  })
  t.false(await establish(facts, disk))
  t.is(await facts.readIsr(), undefined)
})
