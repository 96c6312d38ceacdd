/** All that runs under one reign: made when leadership is granted, stopped when it ends. */
import type { Clock } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { resourceManagerGateway } from '#protocol/gateways/resource-manager-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { JobFact, Versioned } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import type { EndpointRegistry } from '#rpc/rpc.js'
import type { Application } from './application/application.js'
import type { CompletedJobsOptions } from './dispatcher/completed-jobs.js'
import { Dispatcher } from './dispatcher/dispatcher.js'
import type { CoordinatorFactory } from './jobmaster/coordinator-factory.js'
import type { JobMasterSettings } from './jobmaster/job-master-settings.js'
import { GivenUpTaskManagers } from './resourcemanager/given-up.js'
import { ResourceManager } from './resourcemanager/resource-manager.js'

export interface LeaderSettings {
  readonly heartbeatIntervalMs: number
  readonly heartbeatTimeoutMs: number
  readonly completed: CompletedJobsOptions
  /** A TaskManager that is given up gets a mark, and is refused until it has stopped what it had. */
  readonly marksGivenUp: boolean
}
/** What every reign of this process uses. */
export interface LeaderParts {
  readonly endpoints: EndpointRegistry
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly settings: LeaderSettings
  settingsOf(jobGraph: JobGraph): JobMasterSettings
  readonly createCoordinators: CoordinatorFactory
  /** What this JobManager was started for, where it is one program. */
  readonly application?: Application
}

export class LeaderServices {
  readonly dispatcher: Dispatcher
  readonly resourceManager: ResourceManager
  readonly #givenUp: GivenUpTaskManagers | undefined
  #unregister: (() => void) | undefined
  #stopping: Promise<void> | undefined

  constructor(
    private readonly reign: Reign,
    readonly blobs: ReplicatedBlobStore,
    clusterUuid: string,
    private readonly parts: LeaderParts,
  ) {
    const { endpoints, clock, random, settings, settingsOf, createCoordinators, application } = parts
    const logger = parts.logger.child({ epoch: `${reign.epoch.incarnation}:${reign.epoch.czxid}` })
    const { heartbeatIntervalMs, heartbeatTimeoutMs, completed, marksGivenUp } = settings
    this.#givenUp = marksGivenUp ? new GivenUpTaskManagers(reign.facts, logger) : undefined
    this.resourceManager = new ResourceManager({
      clock,
      logger,
      reign,
      clusterUuid,
      heartbeatIntervalMs,
      heartbeatTimeoutMs,
      ...(this.#givenUp ? { givenUp: this.#givenUp } : {}),
    })
    const { resourceManager } = this
    this.dispatcher = new Dispatcher({
      reign,
      blobs,
      endpoints,
      resourceManager,
      clock,
      random,
      logger,
      completed,
      settingsOf,
      createCoordinators,
      ...(application ? { application } : {}),
    })
  }

  /** Takes the jobs over. Nobody is served yet. */
  async recover(jobs: readonly Versioned<JobFact>[]): Promise<void> {
    this.resourceManager.start()
    const { dispatcher, reign } = this
    const [drains] = await Promise.all([reign.facts.listDrains(), this.#givenUp?.load(), dispatcher.recover(jobs)])
    this.resourceManager.resumeDrains(drains)
  }
  /** TaskManagers may register, and where there is an application, its program may run. */
  serve(): void {
    if (this.#stopping) return
    const { endpoints, application } = this.parts
    this.#unregister = endpoints.register(resourceManagerGateway, this.resourceManager)
    application?.lead(this.dispatcher, this.reign.signal)
  }
  /** Idempotent. Jobs go on under the next leader. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }
  async #stop(): Promise<void> {
    this.#unregister?.()
    await this.dispatcher.stop()
    this.resourceManager.stop()
  }
}
