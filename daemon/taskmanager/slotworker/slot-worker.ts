/**
 * What runs in a slot: the tasks of one job in one loop. A turn of the loop gives each task a bounded piece of work and then yields to
 * timers and messages; when no task found any, the loop sleeps until its doorbell is rung, a message comes or a timer is due. The
 * worker is thrown away with its slot.
 */
import type { Clock, Timer } from '#core/clock.js'
import { configOf } from '#core/config/resolve-config.js'
import { deserializeError, FlottError, serializeError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { UserCodeLoader } from '#usercode/user-code-loader.js'
import type { Doorbell } from '../exchange/doorbell.js'
import type { ExchangeFactory } from '../exchange/exchange.js'
import type { CreateWindowOperator } from '../operators/operator-factory.js'
import type { KeyedStateBackend, KeyedStateBackendOptions } from '../state/keyed-state-backend.js'
import { describeChain, describeSite, lastSite, SlotSites } from '../task/slot-sites.js'
import { StreamTask } from '../task/stream-task.js'
import type { TaskEnvironment } from '../task/task-environment.js'
import { ChunkClient } from './chunk-client.js'
import { MemoryGuard, type MemoryProbe } from './memory-guard.js'
import { PostLogger } from './post-logger.js'
import type { FromSlotWorker, SlotWorkerData, ToSlotWorker } from './protocol.js'

export interface SlotWorkerEnvironment {
  readonly data: SlotWorkerData
  readonly clock: Clock
  readonly doorbell: Doorbell
  readonly exchange: ExchangeFactory
  readonly loader: UserCodeLoader
  readonly memory: MemoryProbe
  readonly createKeyedState: (options: KeyedStateBackendOptions) => KeyedStateBackend
  readonly createWindowOperator: CreateWindowOperator
  post(message: FromSlotWorker, transfer?: readonly ArrayBuffer[]): void
}

export class SlotWorker {
  readonly #tasks = new Map<string, StreamTask>()
  readonly #chunks: ChunkClient
  readonly #logger: Logger
  readonly #taskEnvironment: TaskEnvironment
  /** One deployment after the other: each evaluates the program anew. */
  #deploying: Promise<void> = Promise.resolve()
  readonly #sites: SlotSites
  #jobGraph: JobGraph | undefined
  #isTurnPlanned = false
  #timer: Timer | undefined
  #isStopped = false
  /** Attempts cancelled or failed while their deployment was still being loaded. */
  readonly #endedEarly = new Map<string, Error | undefined>()

  constructor(private readonly env: SlotWorkerEnvironment) {
    const { clock, exchange, createKeyedState, createWindowOperator } = env
    const post = (message: FromSlotWorker, transfer?: readonly ArrayBuffer[]) => {
      if (!this.#isStopped) env.post(message, transfer)
    }
    this.#chunks = new ChunkClient(post)
    this.#sites = new SlotSites(env.data.sites)
    this.#logger = new PostLogger(post, env.data.logLevel)
    this.#taskEnvironment = {
      clock,
      exchange,
      createKeyedState,
      createWindowOperator,
      chunks: this.#chunks,
      memory: new MemoryGuard(env.data.memoryBytes, env.memory, clock, (within) => this.#lastEntered(within)),
      logger: this.#logger,
      post,
      wake: () => this.#wake(),
      siteOf: (vertexId, subtask) =>
        this.#sites.site(
          this.#jobGraph!.vertices.findIndex(({ id }) => id === vertexId),
          subtask,
        ),
    }
  }
  /** Who would be blamed now, for the slot's memory limit. */
  #lastEntered(withinCall: boolean): string {
    const site = lastSite(this.#sites.memory)
    if (!site || !this.#jobGraph) return 'no operator'
    return withinCall ? describeSite(this.#jobGraph, site) : describeChain(this.#jobGraph, site)
  }
  start(): void {
    this.env.post({ kind: 'ready' })
  }
  /** No turn is taken and nothing is posted any more. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.env.doorbell.wake()
  }

  handle(message: ToSlotWorker): void {
    switch (message.kind) {
      case 'deploy':
        this.#deploying = this.#deploying.then(() => this.#deploy(message))
        return
      case 'cancel':
        for (const id of message.attemptIds) this.#endTask(id, undefined)
        break
      case 'fail':
        for (const id of message.attemptIds) this.#endTask(id, deserializeError(message.cause))
        break
      case 'trigger-checkpoint':
        this.#each(message.attemptIds, (task) => task.triggerCheckpoint(message))
        break
      case 'checkpoint-complete':
        this.#each(message.attemptIds, (task) => task.checkpointCompleted(message.checkpointId))
        break
      case 'checkpoint-aborted':
        this.#each(message.attemptIds, (task) => task.checkpointAborted(message.checkpointId))
        break
      case 'operator-events':
        this.#each([message.attemptId], (task) => task.handleOperatorEvents(message.operatorId, message.events))
        break
      case 'channel-broken':
        this.#endTask(message.attemptId, deserializeError(message.cause))
        break
      case 'chunk-stored':
      case 'chunk':
        this.#chunks.answered(message.request, message)
        break
      case 'report-metrics':
        this.#reportMetrics()
        return
      case 'ping':
        this.env.post({ kind: 'pong', sequence: message.sequence })
        return
    }
    this.#wake()
  }
  #each(attemptIds: readonly string[], call: (task: StreamTask) => void): void {
    for (const id of attemptIds) {
      const task = this.#tasks.get(id)
      if (!task) continue
      task.site.enter()
      call(task)
    }
  }
  #endTask(attemptId: string, cause: Error | undefined): void {
    const task = this.#tasks.get(attemptId)
    if (!task) this.#endedEarly.set(attemptId, cause)
    else if (cause) task.fail(cause)
    else task.cancel()
  }
  async #deploy({ job, tasks }: Extract<ToSlotWorker, { kind: 'deploy' }>): Promise<void> {
    const wanted = tasks.filter((t) => !this.#tasks.has(t.descriptor.attemptId)) // A repeated message.
    if (wanted.length === 0) return
    let made: StreamTask[]
    this.#jobGraph = job.jobGraph
    this.#sites.leave()
    try {
      const { config } = configOf(job.jobGraph.settings, 'job')
      const program = await this.env.loader.load(job.jobGraph, job.artifactDirectory)
      this.#logger.debug('program loaded', { job: job.jobGraph.jobId })
      made = wanted.map((task) => new StreamTask(this.#taskEnvironment, { job, config, program, task }))
    } catch (cause) {
      const error = cause instanceof FlottError ? cause : new FlottError('USER_CODE_LOAD_FAILED', String(cause), { cause })
      for (const { descriptor } of wanted)
        this.env.post({ kind: 'task-state', attemptId: descriptor.attemptId, state: 'FAILED', error: serializeError(error) })
      return
    }
    for (const task of made) {
      this.#tasks.set(task.attemptId, task)
      try {
        task.connect()
      } catch (error) {
        task.fail(error)
      }
      if (this.#endedEarly.has(task.attemptId)) this.#endTask(task.attemptId, this.#endedEarly.get(task.attemptId))
    }
    // They open side by side: none waits for another's restore.
    for (const task of made) void task.start()
  }
  #reportMetrics(): void {
    const running = [...this.#tasks].filter(([, task]) => task.state === 'RUNNING')
    const memory = this.env.memory.describe?.()
    this.env.post({
      kind: 'metrics',
      tasks: Object.fromEntries(running.map(([id, task]) => [id, task.metrics()])),
      assignmentsReceived: Object.fromEntries(running.map(([id, task]) => [id, task.assignmentsReceived])),
      ...(memory ? { memory } : {}),
    })
  }

  // The loop.
  #wake(): void {
    this.env.doorbell.wake()
    this.#planTurn()
  }
  #planTurn(): void {
    if (this.#isTurnPlanned || this.#isStopped) return
    this.#isTurnPlanned = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.env.clock.defer(() => this.#turn())
  }
  #turn(): void {
    this.#isTurnPlanned = false
    if (this.#isStopped) return
    let worked = false
    for (const task of this.#tasks.values()) {
      if (task.runTurn()) worked = true
      if (task.state === 'FINISHED' || task.state === 'CANCELED' || task.state === 'FAILED') this.#tasks.delete(task.attemptId)
    }
    if (worked) this.#planTurn()
    else this.#sleep()
  }
  #sleep(): void {
    if (!this.env.doorbell.isSleeping) void this.env.doorbell.sleepUntilRung(() => this.#hasWork()).then(() => this.#planTurn())
    let due: number | undefined
    for (const task of this.#tasks.values()) {
      const next = task.nextDue
      if (next !== undefined && (due === undefined || next < due)) due = next
    }
    if (due === undefined) return
    this.#timer = this.env.clock.setTimer(Math.max(1, due - this.env.clock.now()), () => this.#wake())
  }
  #hasWork(): boolean {
    for (const task of this.#tasks.values()) if (task.hasWork) return true
    return false
  }
}
