import { FlottError, isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { FactStore, Replica } from '#protocol/ha/facts.js'
import type { DataDirectory } from '#storage/data-directory.js'

export interface MembershipOptions {
  readonly disk: Pick<DataDirectory, 'clusterUuid' | 'isEmpty' | 'bindCluster'>
  readonly self: Replica
  readonly clusterId: string
  readonly newUuid: () => string
}

/**
 * Whether our disk may lead: it is in the in-sync set of the cluster that it belongs to. On the way the first JobManager creates the
 * cluster, and with it the set of itself. CLUSTER_MISMATCH when disk and ZooKeeper disagree: nothing is changed then.
 */
export async function establishMembership(options: MembershipOptions & { readonly facts: FactStore }): Promise<boolean> {
  const { clusterId, disk, facts, newUuid, self } = options
  let [, cluster, isr] = await Promise.all([facts.sync(), facts.readCluster(), facts.readIsr()]) // Answered in this order.
  if (!cluster) {
    if (!(await disk.isEmpty()))
      throw new FlottError(
        'CLUSTER_MISMATCH',
        `ZooKeeper knows no cluster ${clusterId}, but the data directory belongs to one (${disk.clusterUuid})`,
      )
    cluster = await facts.createCluster({ clusterId, uuid: newUuid(), incarnation: 0 })
    isr = await facts.readIsr()
  }
  if (disk.clusterUuid === undefined && !(await disk.isEmpty()))
    throw new FlottError('CLUSTER_MISMATCH', 'the data directory holds blobs of an unknown cluster')
  await disk.bindCluster(cluster.value.uuid)
  if (isr) return isr.value.some((r) => r.diskId === self.diskId)
  // Nobody has led yet. Jobs, or checkpoints, without a set would mean that the set was lost: then an operator decides.
  if ((await facts.listJobs()).length > 0 || (await facts.listRetained()).length > 0) return false
  try {
    await facts.setIsr([self], undefined)
    return true
  } catch (error) {
    if (!isFlottError(error, 'FACT_CONFLICT')) throw error
    return (await facts.readIsr())?.value.some((r) => r.diskId === self.diskId) ?? false
  }
}

/** What came of it last, for whoever asks why nobody leads. */
export class Membership {
  #facts: FactStore | undefined
  #hindrance: string | undefined

  constructor(private readonly options: MembershipOptions & { readonly logger: Logger }) {}

  /** Why this disk may not lead; undefined when it may. */
  get hindrance(): string | undefined {
    return this.#hindrance
  }
  /** Over the session of our candidacy. */
  get facts(): FactStore {
    if (!this.#facts) throw new FlottError('ZOOKEEPER_UNAVAILABLE', 'this JobManager has not read the facts yet')
    return this.#facts
  }

  async establish(facts: FactStore): Promise<boolean> {
    const { logger, self } = this.options
    this.#facts = facts
    const member = await establishMembership({ ...this.options, facts })
    const set = member ? [] : ((await facts.readIsr())?.value ?? [])
    const members = set.map(({ jobManagerId, diskId }) => `${jobManagerId} (disk ${diskId})`).join(', ')
    const hindrance = member ? undefined : `disk ${self.diskId} of ${self.jobManagerId} is not in the in-sync set, which is ${members}`
    if (hindrance !== undefined && hindrance !== this.#hindrance)
      logger.warn('can not lead: waits for a leader that takes this disk in, or for flott reset-in-sync', { hindrance })
    this.#hindrance = hindrance
    return member
  }
}
