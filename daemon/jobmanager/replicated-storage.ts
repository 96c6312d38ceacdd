/** The bytes of a JobManager while it leads: its own disk and those of the in-sync set, with what standbys need to join. */
import { type Clock, every } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { decodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import { type ReplicationGateway, replicaGateway, replicationGateway } from '#protocol/gateways/replication-gateway.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { BlobStore, BlobTransfer, ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { Replica } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import type { RpcConnection, RpcNetwork } from '#rpc/rpc.js'
import type { DataDirectory } from '#storage/data-directory.js'
import type { LeaderStorage } from './job-manager.js'
import { Holes } from './replication/holes.js'
import { inspectBlobs } from './replication/inspect-blobs.js'
import { ReplicatingBlobStore } from './replication/replicating-blob-store.js'
import { ReplicationEndpoint } from './replication/replication-endpoint.js'
import { type StorageOperations, storageOperations } from './replication/storage-operations.js'

const GARBAGE_PERIOD_MS = 600_000
/** What is stored and not named yet is no garbage: longer than a checkpoint or an upload takes. */
const GARBAGE_GRACE_MS = 3_600_000

export interface ReplicatedStorageOptions {
  readonly disk: DataDirectory
  readonly self: Replica
  readonly transfer: BlobTransfer
  readonly network: RpcNetwork
  readonly minInSync: number
  readonly stallTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Nothing can be stored under this reign any more: it should end. */
  onBroken(error: unknown): void
}

export class ReplicatedStorage implements LeaderStorage {
  #leading: ReplicatingBlobStore | undefined

  constructor(private readonly options: ReplicatedStorageOptions) {}

  /** What this process's blob endpoint serves: the replicated store while it leads, else its own disk. */
  readonly serving = (): BlobStore => this.#leading ?? this.options.disk.blobs

  /** Size of the in-sync set that this process leads; 0 where it does not lead. */
  get membersLed(): number {
    return this.#leading?.set.members.length ?? 0
  }

  /** From here on this process takes no call of an earlier leader: a late deletion must not reach the disk that leads now. */
  async persistEpoch({ epoch }: Reign): Promise<void> {
    await this.options.disk.persistEpoch(epoch)
    if (!this.options.network.seen.adopt(epoch)) throw new FlottError('NOT_LEADER', 'a higher epoch was seen already')
  }

  async lead(
    reign: Reign,
  ): Promise<{ blobs: ReplicatedBlobStore; clusterUuid: string; operations: StorageOperations; stop(): Promise<void> }> {
    const { disk, self, transfer, network, minInSync, stallTimeoutMs, clock, logger, onBroken } = this.options
    const peers = new Peers(network, reign.epoch)
    const replicaAt = async (address: string) => (await peers.at(address)).gateway(replicaGateway, { epoch: () => reign.epoch })
    const store = await ReplicatingBlobStore.open({
      self,
      reign,
      local: disk.blobs,
      transfer,
      deleteOn: ({ address }) => ({ deleteBlobs: async (request) => (await replicaAt(address)).deleteBlobs(request) }),
      minInSync,
      stallTimeoutMs,
      clock,
      logger,
      onBroken,
    })
    const decode = { manifest: decodeManifest, deployment: decodeDeployment }
    const holes = new Holes({ facts: reign.facts, store, decode, clock, logger, signal: reign.signal })
    holes.start()
    const endpoint: ReplicationGateway = new ReplicationEndpoint(store, holes)
    const unregister = network.endpoints.register(replicationGateway, endpoint)
    const operations = storageOperations({
      self,
      facts: reign.facts,
      store,
      decode,
      on: ({ address, diskId }) => ({
        inspectBlobs: async (request) =>
          diskId === self.diskId ? inspectBlobs(disk.blobs, request) : (await replicaAt(address)).inspectBlobs(request),
      }),
      graceMs: GARBAGE_GRACE_MS,
    })
    const garbage = every(clock, GARBAGE_PERIOD_MS, () => void this.#collect(operations), { unref: true })
    this.#leading = store
    return {
      blobs: store,
      clusterUuid: disk.clusterUuid ?? '',
      operations,
      stop: async () => {
        unregister()
        garbage.cancel()
        store.close()
        peers.close()
        if (this.#leading === store) this.#leading = undefined
      },
    }
  }

  async #collect(operations: StorageOperations): Promise<void> {
    const { logger } = this.options
    try {
      const { removed } = await operations.collect({ dryRun: false })
      if (removed.length > 0) logger.info('blobs collected that nothing names', { count: removed.length })
    } catch (error) {
      logger.warn('garbage was not collected', { error })
    }
  }
}

/** Connections to other JobManagers, made when they are needed. */
class Peers {
  readonly #connections = new Map<string, Promise<RpcConnection>>()

  constructor(
    private readonly network: RpcNetwork,
    readonly epoch: Epoch,
  ) {}

  at(address: string): Promise<RpcConnection> {
    let connection = this.#connections.get(address)
    if (!connection) {
      connection = this.network.dial(address)
      this.#connections.set(address, connection)
      const forget = () => this.#connections.delete(address)
      connection.then(({ closed }) => closed.addEventListener('abort', forget, { once: true }), forget)
    }
    return connection
  }
  close(): void {
    for (const connection of this.#connections.values())
      connection.then(
        (open) => open.close('leads no more'),
        () => {}, // Never opened.
      )
    this.#connections.clear()
  }
}
