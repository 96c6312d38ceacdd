/**
 * The operator's override for the day when every disk of the in-sync set is lost: another disk becomes the set, with what it has. The
 * incarnation rises, so that all that an earlier leader may still say is old. It works while nobody leads, and keeps it so: its own
 * node is first in the election until it is done.
 */
import { FlottError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Random } from '#core/random.js'
import type { Replica } from '#protocol/ha/facts.js'
import type { ClusterPaths, ZooKeeper, ZooKeeperSession } from './zookeeper.js'
import { zooKeeperFactStore } from './zookeeper-fact-store.js'

export interface InSyncReset {
  readonly before: readonly Replica[]
  readonly incarnation: number
}

export interface ResetOptions {
  readonly zookeeper: ZooKeeper
  readonly paths: ClusterPaths
  readonly random: Random
  /** The disk that is to be the set, and the cluster that it belongs to. */
  readonly disk: Replica
  readonly clusterUuid: string
  /** Told what is about to happen; false: nothing is changed. */
  decide(reset: InSyncReset): Promise<boolean>
}

/** Whether it was done. IN_SYNC_MEMBER_LIVES while a leader or candidate is there, or the disk is in the set; CLUSTER_MISMATCH; FACT_NOT_FOUND. */
export async function resetInSync(options: ResetOptions): Promise<boolean> {
  const session = await options.zookeeper.open()
  try {
    return await reset(session, options)
  } finally {
    await session.close()
  }
}

async function reset(session: ZooKeeperSession, { paths, random, disk, clusterUuid, decide }: ResetOptions): Promise<boolean> {
  const facts = zooKeeperFactStore(session, paths)
  await facts.sync()
  const cluster = await facts.readCluster()
  if (!cluster) throw new FlottError('FACT_NOT_FOUND', `ZooKeeper knows no cluster at ${paths.root}`)
  if (cluster.value.uuid !== clusterUuid)
    throw new FlottError('CLUSTER_MISMATCH', `the disk belongs to cluster ${clusterUuid}, ZooKeeper names ${cluster.value.uuid}`)
  const mine = await session.create(`${paths.election}/${randomId(random)}-`, Buffer.from('reset-in-sync'), 'ephemeral-sequential')
  const others = (await session.children(paths.election)).filter((name) => `${paths.election}/${name}` !== mine)
  if (others.length > 0 || (await session.get(paths.leader)))
    throw new FlottError('IN_SYNC_MEMBER_LIVES', 'a JobManager of the in-sync set leads or is about to (or died just now: try again)')
  const isr = await facts.readIsr()
  const before = isr?.value ?? []
  if (before.some(({ diskId }) => diskId === disk.diskId))
    throw new FlottError('IN_SYNC_MEMBER_LIVES', `disk ${disk.diskId} is in the in-sync set: it leads by itself`)
  const incarnation = cluster.value.incarnation + 1
  if (!(await decide({ before, incarnation }))) return false
  await facts.setCluster({ ...cluster.value, incarnation }, cluster.version)
  await facts.setIsr([disk], isr?.version)
  return true
}
