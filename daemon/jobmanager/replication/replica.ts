import type { Epoch } from '#core/epoch.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { InspectedBlob, InspectRequest, ReplicaGateway, ReplicationGateway } from '#protocol/gateways/replication-gateway.js'
import type { BlobInfo, BlobStore, BlobTransfer } from '#protocol/ha/blobs.js'
import type { Replica } from '#protocol/ha/facts.js'
import type { Endpoint } from '#rpc/rpc.js'
import { inspectBlobs } from './inspect-blobs.js'

const PAGE = 500

/** As leaders call it: their epoch is on this disk before anything is acknowledged under it. NOT_LEADER where a higher one is. */
export function servedReplica(replica: ReplicaGateway, disk: { persistEpoch(epoch: Epoch): Promise<void> }): Endpoint<ReplicaGateway> {
  return {
    async deleteBlobs(request, { epoch }) {
      await disk.persistEpoch(epoch)
      return replica.deleteBlobs(request)
    },
    async inspectBlobs(request, { epoch }) {
      await disk.persistEpoch(epoch)
      return replica.inspectBlobs(request)
    },
  }
}

/** A standby's side of replication. New blobs come to its internal endpoint, which stores them in `local`; here it joins, and deletes what it is told. */
export class ReplicaEndpoint implements ReplicaGateway {
  /** Deletions up to this number were sent before the latest join. */
  #deletions = 0

  constructor(
    private readonly options: {
      readonly self: Replica
      readonly local: BlobStore
      readonly transfer: BlobTransfer
      readonly logger: Logger
    },
  ) {}

  /**
   * Joins the in-sync set of this leader: to be done after each change of the leader, and again when it fails. Returns when the leader
   * says MEMBER. Fails with the codes of the call and of the disk.
   */
  async join(leader: ReplicationGateway, leaderAddress: string, signal: AbortSignal): Promise<void> {
    const { logger, self } = this.options
    const { deletions, state } = await leader.join({ replica: self })
    this.#deletions = deletions
    if (state === 'MEMBER') return
    let fetched = 0
    for (let after = ''; ; ) {
      const { blobs, ended } = await leader.listBlobs({ after, limit: PAGE })
      for (const blob of blobs) {
        signal.throwIfAborted()
        if (await this.#fetch(blob, leaderAddress)) fetched++
      }
      if (ended) break
      after = blobs.at(-1)!.name
    }
    const completed = await leader.completeJoin({ diskId: self.diskId })
    if (completed.state !== 'MEMBER')
      throw new FlottError('NOT_IN_SYNC', `the leader says ${completed.state} after ${fetched} blobs were fetched`)
    logger.info('joined the in-sync set', { leader: leaderAddress, fetched })
  }

  async #fetch(blob: BlobInfo, address: string): Promise<boolean> {
    const { local, transfer } = this.options
    const own = await local.info(blob.name)
    if (own && own.bytes === blob.bytes && own.crc32 === blob.crc32) return false
    if (own) await local.delete([blob.name]) // Of a write that the leader of that time never counted.
    try {
      await local.put(blob.name, transfer.read(address, blob.name))
      return true
    } catch (error) {
      if (isFlottError(error, 'BLOB_NOT_FOUND')) return false // Deleted since it was listed.
      throw error
    }
  }

  async deleteBlobs({
    diskId,
    names,
    number,
  }: {
    diskId: string
    number: number
    names: readonly string[]
  }): Promise<{ accepted: boolean }> {
    if (diskId !== this.options.self.diskId || number <= this.#deletions) return { accepted: false }
    await this.options.local.delete(names)
    return { accepted: true }
  }

  inspectBlobs(request: InspectRequest): Promise<{ blobs: readonly InspectedBlob[]; ended: boolean }> {
    return inspectBlobs(this.options.local, request)
  }
}
