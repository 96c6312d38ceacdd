/** What a JobManager does while another one leads: it stays a member of the in-sync set, so that it may take over. */
import { type Clock, sleep } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import type { Logger } from '#core/logger.js'
import type { Service } from '#core/service.js'
import { replicationGateway } from '#protocol/gateways/replication-gateway.js'
import type { LeaderInfo, Replica } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import type { RpcConnection, RpcNetwork } from '#rpc/rpc.js'
import type { ReplicaEndpoint } from './replication/replica.js'

const RETRY_MS = 500
const BINDING_MS = 50
/** How often a member asks whether it still is one; a leader that dropped it while it was slow takes it back. */
const CHECK_MS = 5_000

export interface StandbyOptions {
  readonly self: Replica
  readonly replica: ReplicaEndpoint
  /** NOT_LEADER where this disk has acknowledged a higher epoch. */
  readonly disk: { readonly clusterUuid: string | undefined; persistEpoch(epoch: Epoch): Promise<void> }
  readonly network: RpcNetwork
  readonly retrieval: LeaderRetrieval
  readonly clock: Clock
  readonly logger: Logger
}

interface Following {
  readonly leader: LeaderInfo
  readonly ending: AbortController
  connection?: RpcConnection
}

export class Standby implements Service {
  #unwatch: (() => void) | undefined
  #following: Following | undefined

  constructor(private readonly options: StandbyOptions) {}

  async start(): Promise<void> {
    this.#unwatch = this.options.retrieval.watch((leader) => this.#leaderIs(leader))
  }
  /** Leaves the set first, so that no write waits for this disk. */
  async stop(): Promise<void> {
    this.#unwatch?.()
    const following = this.#following
    this.#following = undefined
    if (!following) return
    following.ending.abort()
    const { connection, leader } = following
    if (!connection || connection.closed.aborted) return
    try {
      const gateway = connection.gateway(replicationGateway, { epoch: () => leader.epoch })
      await gateway.leave({ diskId: this.options.self.diskId })
    } catch (error) {
      this.options.logger.warn('left without the leader knowing', { error })
    }
    connection.close('the standby stops')
  }

  #leaderIs(leader: LeaderInfo | undefined): void {
    this.#following?.ending.abort()
    this.#following?.connection?.close('another leader')
    this.#following = undefined
    if (!leader || leader.rpcAddress === this.options.self.address) return
    this.#following = { leader, ending: new AbortController() }
    void this.#follow(this.#following)
  }

  /** Until another leader is known, or this process stops. */
  async #follow(following: Following): Promise<void> {
    const { replica, disk, network, clock, logger } = this.options
    const { leader, ending } = following
    const { signal } = ending
    while (!signal.aborted) {
      try {
        if (disk.clusterUuid === undefined) {
          await sleep(clock, BINDING_MS, signal) // The candidacy binds a new disk to the cluster; blobs of no cluster would be refused.
          continue
        }
        if (!following.connection || following.connection.closed.aborted)
          following.connection = await network.dial(leader.rpcAddress, { signal })
        const gateway = following.connection.gateway(replicationGateway, { epoch: () => leader.epoch })
        await disk.persistEpoch(leader.epoch) // Before anything is acknowledged under it.
        await replica.join(gateway, leader.rpcAddress, signal)
        await sleep(clock, CHECK_MS, AbortSignal.any([signal, following.connection.closed])).catch(() => {}) // Closed: look at once.
      } catch (error) {
        if (signal.aborted) return
        logger.warn('not in the in-sync set yet', { leader: leader.jobManagerId, error })
        await sleep(clock, RETRY_MS, signal).catch(() => {})
      }
    }
  }
}
