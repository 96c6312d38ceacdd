/**
 * A JobManager: a candidate that leads or stands by. A takeover has an order that correctness rests on (DESIGN section 3): see the newest
 * facts, persist the epoch, be a member of the in-sync set, take the jobs over, publish the leader, serve.
 */
import { sleep } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Service } from '#core/service.js'
import type { DispatcherGateway } from '#protocol/gateways/dispatcher-gateway.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderElection, Reign } from '#protocol/ha/leadership.js'
import { readJobs } from './dispatcher/dispatcher.js'
import { type LeaderParts, LeaderServices } from './leader-services.js'
import type { StorageOperations } from './replication/storage-operations.js'

const DRAIN_MAX_MS = 200

/** The bytes of this JobManager, as far as leading needs them. */
export interface LeaderStorage {
  /** On this disk before anything is acknowledged under the epoch. */
  persistEpoch(reign: Reign): Promise<void>
  /** NOT_IN_SYNC unless this disk is a member of the in-sync set. From then on `put` reaches all members, and standbys may join. */
  lead(reign: Reign): Promise<{
    readonly blobs: ReplicatedBlobStore
    readonly clusterUuid: string
    readonly operations: StorageOperations
    stop(): Promise<void>
  }>
}

export interface JobManagerOptions {
  readonly election: LeaderElection
  readonly storage: LeaderStorage
  /** How others reach this process. */
  readonly address: Omit<LeaderInfo, 'epoch'>
  readonly logger: Logger
  readonly parts: LeaderParts
}

export interface Leading {
  readonly dispatcher: DispatcherGateway
  readonly blobs: ReplicatedBlobStore
  readonly storage: StorageOperations
  readonly info: LeaderInfo
}

export class JobManager implements Service {
  #leading: Leading | undefined
  #leaving: Leading | undefined
  #stopLeading: (() => Promise<void>) | undefined
  #stopped = false

  constructor(private readonly options: JobManagerOptions) {}

  /** Present while this process leads and serves. */
  leading(): Leading | undefined {
    return this.#stopped ? undefined : this.#leading
  }
  /** What it led with when it was told to stop: for questions. */
  leaving(): Leading | undefined {
    return this.#leaving
  }
  /** Another one leads. */
  retire(): void {
    this.#leaving = undefined
  }

  async start(): Promise<void> {
    await this.options.election.start({ onGranted: (reign) => this.#lead(reign) })
  }
  /**
   * Ends what it leads, then its candidacy, so that the next leader begins at once. From the first moment nothing new is decided here;
   * a thread of user code that is slow to end does not keep the next leader waiting.
   */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#leaving = this.#leading
    const drained = new AbortController()
    const stopping = this.#stopLeading?.()
    const ended = () => drained.abort()
    stopping?.then(ended, ended)
    if (stopping) await sleep(this.options.parts.clock, DRAIN_MAX_MS, drained.signal).catch(() => {}) // Aborted: it is done.
    await this.options.election.stop()
    await stopping
  }

  async #lead(reign: Reign): Promise<void> {
    const { storage, parts, address, logger } = this.options
    if (this.#stopped) throw new FlottError('SHUTTING_DOWN', 'the JobManager stops')
    await this.#stopLeading?.()
    await storage.persistEpoch(reign)
    const jobs = readJobs(reign.facts) // Beside the in-sync set.
    jobs.catch(() => {}) // Below.
    const replication = await storage.lead(reign)
    const services = new LeaderServices(reign, replication.blobs, replication.clusterUuid, parts)
    let stopping: Promise<void> | undefined
    const stop = () => {
      stopping ??= (async () => {
        await services.stop()
        await replication.stop()
        logger.info('leads no more')
      })()
      return stopping
    }
    this.#stopLeading = stop
    const ended = () => {
      this.#leading = undefined
      stop().catch((error: unknown) => logger.error('the reign did not end cleanly', { error }))
    }
    reign.signal.addEventListener('abort', ended, { once: true })
    try {
      logger.debug('takes over: the epoch is on disk, this disk is in sync')
      await services.recover(await jobs)
      logger.debug('takes over: the jobs are recovered')
      const info: LeaderInfo = { ...address, epoch: reign.epoch }
      reign.signal.throwIfAborted()
      await reign.publish(info)
      reign.signal.throwIfAborted()
      services.serve()
      this.#leading = { dispatcher: services.dispatcher, blobs: replication.blobs, storage: replication.operations, info }
      logger.info('leads', { epoch: reign.epoch })
    } catch (error) {
      await stop()
      throw error
    }
  }
}
