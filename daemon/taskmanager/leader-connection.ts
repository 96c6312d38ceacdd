/**
 * The TaskManager's way to the leading JobManager: finds it, dials it, registers, and does so again when the connection breaks or
 * another one leads. Tasks go on meanwhile.
 */
import { type Clock, sleep } from '#core/clock.js'
import { compareEpochs, type Epoch } from '#core/epoch.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { type JobMasterGateway, jobMasterGateway } from '#protocol/gateways/job-master-gateway.js'
import {
  type RegistrationAnswer,
  type ResourceManagerGateway,
  resourceManagerGateway,
  type TaskManagerRegistration,
} from '#protocol/gateways/resource-manager-gateway.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { HeartbeatMonitor } from '#rpc/heartbeat.js'
import type { RpcConnection, RpcNetwork } from '#rpc/rpc.js'

const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 1_000
const LEADERLESS_CHECK_MS = 1_000

export interface LeaderConnectionOptions {
  readonly taskManagerId: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly network: RpcNetwork
  readonly retrieval: LeaderRetrieval
  readonly leaderlessTimeoutMs: number
  /** Made anew for each registration: it says what runs at that moment. */
  registration(): TaskManagerRegistration
  /** The leader took the registration. `takeover`: it is another one than the last time. */
  onRegistered(takeover: boolean): void
  /** The leader has given up what runs here: it takes the next registration when that has ended. */
  onGivenUp(cause: FlottError): void
  /** Neither leader nor ZooKeeper for `leaderlessTimeoutMs`; said again when that lasts. */
  onLeaderless(silentMs: number): void
}

interface Registered {
  readonly leader: LeaderInfo
  readonly connection: RpcConnection
}

export class LeaderConnection {
  #leader: LeaderInfo | undefined
  #registered: Registered | undefined
  #lastEpoch: Epoch | undefined
  #heartbeats: HeartbeatMonitor<void> | undefined
  #unwatch: (() => void) | undefined
  /** Aborted when another leader is known, or this side stops. */
  #pursuit = new AbortController()
  #stopped = false
  #saidGoodbye = false
  readonly #leadership: HeartbeatMonitor<void>

  constructor(private readonly options: LeaderConnectionOptions) {
    const { clock, leaderlessTimeoutMs: timeoutMs } = options
    this.#leadership = new HeartbeatMonitor({ clock, intervalMs: LEADERLESS_CHECK_MS, timeoutMs })
  }

  start(): void {
    this.#unwatch = this.options.retrieval.watch((leader) => this.#leaderIs(leader))
    this.#leadership.start()
    this.#watchLeadership()
  }
  /** A leader that takes it does not see this process again. LEADER_UNKNOWN where there is none. */
  async sayGoodbye(cause: string, drained?: boolean): Promise<void> {
    if (this.#saidGoodbye) return
    const { resourceManager } = this
    if (!resourceManager) throw new FlottError('LEADER_UNKNOWN', 'there is no leader to say goodbye to')
    const { taskManagerId } = this.options
    await resourceManager.disconnectTaskManager({ taskManagerId, cause, ...(drained === undefined ? {} : { drained }) })
    this.#saidGoodbye = true
  }
  /** Says goodbye, unless it has, when there is a leader to say it to. */
  async stop(cause: string, drained?: boolean): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#leadership.stop()
    this.#unwatch?.()
    await this.sayGoodbye(cause, drained).catch((error: unknown) => {
      if (!isFlottError(error, 'LEADER_UNKNOWN')) this.options.logger.warn('the leader did not take the goodbye', { error })
    })
    this.#pursuit.abort(new FlottError('SHUTTING_DOWN', cause))
    this.#drop(cause)
  }

  /** The leader that took the registration, over a connection that lives. */
  get registeredWith(): LeaderInfo | undefined {
    return this.#registered?.leader
  }
  get resourceManager(): ResourceManagerGateway | undefined {
    return this.#gatewayOf((connection, epoch) => connection.gateway(resourceManagerGateway, { epoch }))
  }
  jobMaster(jobId: string): JobMasterGateway | undefined {
    return this.#gatewayOf((connection, epoch) => connection.gateway(jobMasterGateway, { epoch, target: jobId }))
  }
  /** The leader was heard of. */
  alive(): void {
    this.#heartbeats?.alive('leader')
  }

  #gatewayOf<G>(make: (connection: RpcConnection, epoch: () => Epoch) => G): G | undefined {
    const registered = this.#registered
    return registered && make(registered.connection, () => registered.leader.epoch)
  }

  /** Nobody leading, or nobody known to, changes nothing: the old one may go on, its connection says when it is gone. */
  #leaderIs(leader: LeaderInfo | undefined): void {
    if (!leader || this.#stopped || this.#saidGoodbye) return
    if (compareEpochs(leader.epoch, this.options.network.seen.value) < 0) return // Old news.
    const known = this.#leader
    if (known && known.rpcAddress === leader.rpcAddress && compareEpochs(known.epoch, leader.epoch) === 0) return
    this.options.logger.info('another leader', { leader: leader.jobManagerId, address: leader.rpcAddress })
    this.#leader = leader
    this.#pursuit.abort(new FlottError('NOT_LEADER', `${leader.jobManagerId} leads now`))
    this.#drop('another JobManager leads')
    this.#pursue(leader)
  }

  #pursue(leader: LeaderInfo): void {
    this.#pursuit = new AbortController()
    const { signal } = this.#pursuit
    this.#register(leader, signal).catch((error: unknown) => {
      if (!signal.aborted) this.options.logger.error('registering failed', { error })
    })
  }

  /** Until it is registered, or the signal aborts. */
  async #register(leader: LeaderInfo, signal: AbortSignal): Promise<void> {
    for (let delayMs = RETRY_MS_MIN; ; delayMs = Math.min(2 * delayMs, RETRY_MS_MAX)) {
      try {
        return await this.#registerOnce(leader, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (isFlottError(error, 'TASK_MANAGER_GIVEN_UP')) this.options.onGivenUp(error)
        this.options.logger.warn('the leader does not take the registration yet', { address: leader.rpcAddress, error })
      }
      await sleep(this.options.clock, delayMs * (0.5 + this.options.random.next() / 2), signal)
    }
  }

  async #registerOnce(leader: LeaderInfo, signal: AbortSignal): Promise<void> {
    const connection = await this.options.network.dial(leader.rpcAddress, { signal })
    // What the registration says must stay true: from now on nothing of an earlier leader is accepted.
    this.options.network.seen.adopt(leader.epoch)
    try {
      const resourceManager = connection.gateway(resourceManagerGateway, { epoch: () => leader.epoch })
      const answer = await resourceManager.registerTaskManager(this.options.registration())
      signal.throwIfAborted()
      connection.closed.throwIfAborted()
      this.#adopt(leader, connection, answer)
    } catch (error) {
      connection.close('not registered')
      throw error
    }
  }

  #adopt(leader: LeaderInfo, connection: RpcConnection, answer: RegistrationAnswer): void {
    const takeover = this.#lastEpoch !== undefined && compareEpochs(this.#lastEpoch, leader.epoch) !== 0
    this.#lastEpoch = leader.epoch
    this.#registered = { leader, connection }
    this.#watchHeartbeats(connection, answer)
    connection.closed.addEventListener('abort', () => this.#lost(connection), { once: true })
    this.options.logger.info('registered', { leader: leader.jobManagerId, address: leader.rpcAddress, takeover })
    this.options.onRegistered(takeover)
  }
  #watchHeartbeats(connection: RpcConnection, answer: RegistrationAnswer): void {
    const { clock } = this.options
    this.#heartbeats = new HeartbeatMonitor({ clock, intervalMs: answer.heartbeatIntervalMs, timeoutMs: answer.heartbeatTimeoutMs })
    this.#heartbeats.start()
    this.#heartbeats.watch('leader', { onTimeout: (ms) => connection.close(`the leader was silent for ${Math.round(ms)} ms`) })
  }
  /** Either one is enough to go on: a connection says that the leader lives, ZooKeeper that it would say so if there were another. */
  #watchLeadership(): void {
    const { retrieval, onLeaderless } = this.options
    const sighted = () => this.#registered !== undefined || (retrieval.connected ?? retrieval.current !== undefined)
    this.#leadership.watch('leadership', {
      request: async () => {
        if (!sighted()) throw new FlottError('LEADER_UNKNOWN', 'neither leader nor ZooKeeper')
      },
      onTimeout: (silentMs) => {
        this.#watchLeadership()
        onLeaderless(silentMs)
      },
    })
  }
  #lost(connection: RpcConnection): void {
    if (this.#registered?.connection !== connection) return
    this.options.logger.warn('connection to the leader lost', { error: connection.closed.reason })
    this.#drop('lost')
    if (this.#leader && !this.#stopped && !this.#saidGoodbye) this.#pursue(this.#leader) // It may be there still: one try at once, then with pauses.
  }
  #drop(reason: string): void {
    const registered = this.#registered
    this.#registered = undefined
    this.#heartbeats?.stop()
    registered?.connection.close(reason)
  }
}
