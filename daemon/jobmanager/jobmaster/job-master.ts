/**
 * One job, from its fact to its end. All of it runs in one mailbox: the scheduler decides, the deployer carries out, TaskManagers report,
 * and whatever was awaited comes back as a turn of its own. What must survive this process is in the job's fact before anyone acts on it.
 */
import { type Clock, sleep, type Timer } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { deserializeError, FlottError, isFlottError, type SerializedError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import type { JobDetails, JobOverview } from '#protocol/gateways/dispatcher-gateway.js'
import type {
  CheckpointAcknowledgement,
  JobMasterGateway,
  ReaderEvent,
  TaskExecutionReport,
} from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport, SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskExecutorGateway, TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { JobFact, JobStatus, Versioned } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { Mailbox } from '#rpc/mailbox.js'
import type { Endpoint } from '#rpc/rpc.js'
import type { GrantedSlot, SlotOwner, SlotProvider, TaskManagerInfo } from '../resourcemanager/slot-provider.js'
import { mergeAccumulators, mergeAllAccumulators } from './accumulators.js'
import { CollectedResults } from './collected-results.js'
import type { CoordinatorFactory } from './coordinator-factory.js'
import { EventSender } from './event-sender.js'
import { ExecutionGraph, type ExecutionVertex } from './executiongraph/execution-graph.js'
import { detailsOf, overviewOf } from './job-details.js'
import { JobFactKeeper } from './job-fact-keeper.js'
import type { CheckpointCoordinatorApi, ExecutionView, JobMasterContext, SourceCoordinatorsApi } from './job-master-context.js'
import type { JobMasterSettings } from './job-master-settings.js'
import { discardBlobs, makeEndDurable } from './job-result.js'
import {
  beginReconciliation,
  isReconciled,
  type Reconciliation,
  type ReconciliationEvent,
  stepReconciliation,
  waitsFor,
} from './reconciliation.js'
import { Deployer } from './scheduler/deployer.js'
import { isEnding, isGloballyTerminal } from './scheduler/job-status.js'
import { restartStateOf } from './scheduler/restart-strategy.js'
import { Scheduler, type SchedulerPort } from './scheduler/scheduler.js'
import { SlotPool } from './slotpool/slot-pool.js'
import type { SharedSlot } from './slotpool/slot-sharing.js'

const ROOM_CHECK_MS = 100

export interface JobMasterOptions {
  readonly jobGraph: JobGraph
  readonly fact: Versioned<JobFact>
  readonly reign: Reign
  readonly blobs: ReplicatedBlobStore
  readonly slots: SlotProvider
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly settings: JobMasterSettings
  readonly createCoordinators: CoordinatorFactory
  /** Once, when the end is durable. */
  readonly onEnded: (details: JobDetails) => void
}

export class JobMaster implements JobMasterContext, SlotOwner, Endpoint<JobMasterGateway> {
  readonly jobGraph: JobGraph
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly blobs: ReplicatedBlobStore
  readonly signal: AbortSignal
  readonly collected: CollectedResults
  readonly #keeper: JobFactKeeper
  readonly #mailbox: Mailbox
  readonly #graph: ExecutionGraph
  readonly #scheduler: Scheduler
  readonly #deployer: Deployer
  readonly #pool = new SlotPool()
  readonly #checkpoints: CheckpointCoordinatorApi
  readonly #sources: SourceCoordinatorsApi
  readonly #ending = new AbortController()
  readonly #connected = new Set<string>()
  #disconnect: (() => void) | undefined
  #slotTimer: Timer | undefined
  #reconciliation: Reconciliation | undefined
  #reconciliationTimer: Timer | undefined
  #closed = false
  #coordinatorsClosed = false
  /** The last status before a terminal one that is not durable yet. */
  #shownStatus: JobStatus = 'INITIALIZING'
  #durable = false

  constructor(private readonly options: JobMasterOptions) {
    const { jobGraph, fact, reign, blobs, clock, random, logger, settings } = options
    this.jobGraph = jobGraph
    this.clock = clock
    this.random = random
    this.blobs = blobs
    this.logger = logger.child({ jobId: jobGraph.jobId })
    this.signal = AbortSignal.any([reign.signal, this.#ending.signal])
    this.collected = new CollectedResults(settings.checkpoints.intervalMs > 0)
    this.#mailbox = new Mailbox((error) => this.#turnFailed(error))
    this.#keeper = new JobFactKeeper(reign, clock, fact)
    this.#graph = new ExecutionGraph(jobGraph, fact.value.attemptNumber + 1, () => clock.now())
    const { count, state } = fact.value.restarts
    this.#scheduler = new Scheduler(this.#graph, settings.restartStrategy, this.#port(), { count, state: restartStateOf(state) })
    const sender = new EventSender(this, this.#graph)
    const { checkpoints, sources } = options.createCoordinators(this, settings, sender.send)
    this.#checkpoints = checkpoints
    this.#sources = sources
    const slotOf = (vertex: ExecutionVertex) => this.#pool.slotOf(vertex.sharedSlot.key)
    this.#deployer = new Deployer({ context: this, graph: this.#graph, scheduler: this.#scheduler, checkpoints, sources, slotOf })
  }

  // ---- What the dispatcher calls.

  /** Connects to the ResourceManager and begins, or goes on where the reign before ended. */
  async start(): Promise<void> {
    const record = await this.#recordedDeployment()
    this.run(() => {
      this.#disconnect = this.options.slots.connectJobMaster(this.jobGraph.jobId, this)
      this.#scheduler.initialized(record !== undefined)
      if (this.fact.target === 'CANCELED') return this.#scheduler.cancel()
      if (!record) return this.#scheduler.start()
      this.#reconciliationTimer = this.#timer(this.options.settings.taskManagerTimeoutMs, () =>
        this.#reconcile({ kind: 'deadline', connected: this.#connected }),
      )
      this.#reconciliation = beginReconciliation(record)
      if (isReconciled(this.#reconciliation)) this.#reconciled()
    })
  }
  /** Durable when it resolves. JOB_ALREADY_TERMINATED. */
  async cancel(): Promise<void> {
    if (isGloballyTerminal(this.#scheduler.status)) throw new FlottError('JOB_ALREADY_TERMINATED', `the job is ${this.#scheduler.status}`)
    await this.updateFact((fact) => ({ ...fact, target: 'CANCELED' }))
    this.run(() => this.#scheduler.cancel())
  }
  /** The reign ends, or the process: nothing is told to anyone, the job goes on elsewhere. Idempotent. */
  async stop(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#mailbox.close()
    this.#slotTimer?.cancel()
    this.#reconciliationTimer?.cancel()
    this.#ending.abort(new FlottError('NOT_LEADER', 'the JobMaster was stopped'))
    await this.#closeCoordinators()
  }
  overview(): JobOverview {
    return overviewOf(this.#described())
  }
  describe(): JobDetails {
    return detailsOf(this.#described())
  }

  // ---- JobMasterContext.

  get epoch(): Epoch {
    return this.options.reign.epoch
  }
  get fact(): JobFact {
    return this.#keeper.fact
  }
  updateFact(change: (fact: JobFact) => JobFact): Promise<JobFact> {
    return this.#keeper.update((fact) => (fact.terminal ? fact : change(fact))) // What comes after the end is late.
  }
  run(turn: () => void): void {
    this.#mailbox.run(turn)
  }
  executions(): readonly ExecutionView[] {
    return this.#graph.vertices.map((vertex) => vertex.view)
  }
  taskManager(taskManagerId: string): TaskExecutorGateway | undefined {
    return this.options.slots.taskManager(taskManagerId)?.gateway
  }
  failGlobally(cause: Error): void {
    this.run(() => this.#scheduler.failGlobally(cause))
  }

  // ---- JobMasterGateway.

  updateTaskExecutionState(report: TaskExecutionReport): Promise<{ accepted: true }> {
    return this.#turn(() => this.#scheduler.taskReported(report))
  }
  acknowledgeCheckpoint(ack: CheckpointAcknowledgement): Promise<{ accepted: true }> {
    return this.#turn(() => this.#checkpoints.acknowledge(ack))
  }
  awaitFinalCheckpoint({ attemptId }: { attemptId: string }): Promise<{ accepted: true }> {
    return this.#turn(() => this.#checkpoints.awaitFinalCheckpoint(attemptId))
  }
  declineCheckpoint(request: { attemptId: string; checkpointId: number; cause: SerializedError }): Promise<{ accepted: true }> {
    return this.#turn(() => this.#checkpoints.decline(request.attemptId, request.checkpointId, deserializeError(request.cause)))
  }
  sendReaderEvent(request: { attemptId: string; operatorId: string; reader: number; event: ReaderEvent }): Promise<{ accepted: true }> {
    const { attemptId, operatorId, reader, event } = request
    return this.#turn(() => {
      if (this.#isCurrent(attemptId)) this.#sources.handleReaderEvent(attemptId, operatorId, reader, event)
    })
  }
  async sendCollected(request: Parameters<JobMasterGateway['sendCollected']>[0]): Promise<{ accepted: true }> {
    while (!this.collected.hasRoom(request.operatorId)) await sleep(this.clock, ROOM_CHECK_MS, this.signal)
    return this.#turn(() => {
      if (this.#isCurrent(request.attemptId)) this.collected.add(request)
    })
  }

  // ---- SlotOwner.

  slotsGranted(slots: readonly GrantedSlot[]): void {
    this.run(() => {
      const unwanted = slots.filter((slot) => !this.#pool.offer(slot)).map((slot) => slot.allocationId)
      if (unwanted.length > 0) this.options.slots.releaseSlots(unwanted, 'the job needs it no more')
      this.#armSlotTimer()
      this.#scheduler.slotsChanged()
    })
  }
  slotLost(allocationId: string, cause: string): void {
    this.run(() => {
      this.#pool.lose(allocationId)
      const error = new FlottError('TASK_LOST', `slot ${allocationId} is lost: ${cause}`)
      for (const { execution } of this.#graph.vertices)
        if (execution.slot?.allocationId === allocationId) this.#scheduler.taskLost(execution.attempt, error)
      this.#scheduler.slotsLost(error)
    })
  }
  /** No attempt of an earlier reign is adopted: all that are not ours are freed. */
  taskManagerRegistered(
    { taskManagerId }: TaskManagerInfo,
    _attempts: readonly AttemptReport[],
    slots: readonly SlotReport[],
  ): ReadonlySet<string> {
    this.run(() => {
      this.#connected.add(taskManagerId)
      this.#reconcile({ kind: 'slots-reported', taskManagerId, slots })
    })
    return new Set(this.#pool.heldOn(taskManagerId).map((slot) => slot.allocationId))
  }
  slotsReported(taskManagerId: string, slots: readonly SlotReport[]): void {
    this.run(() => this.#reconcile({ kind: 'slots-reported', taskManagerId, slots }))
  }
  taskManagerLost(taskManagerId: string, cause: Error): void {
    this.run(() => {
      this.#connected.delete(taskManagerId)
      for (const { allocationId } of this.#pool.heldOn(taskManagerId)) this.#pool.lose(allocationId)
      for (const { execution } of this.#graph.vertices)
        if (execution.slot?.taskManagerId === taskManagerId) this.#scheduler.taskLost(execution.attempt, cause)
      this.#scheduler.slotsLost(cause)
      this.#reconcile({ kind: 'task-manager-lost', taskManagerId })
    })
  }
  heartbeatReceived(heartbeat: {
    taskManagerId: string
    sentMs: number
    attempts: readonly AttemptReport[]
    metrics: Readonly<Record<string, TaskMetrics>>
  }): void {
    this.run(() => {
      const reported = new Set(heartbeat.attempts.map((attempt) => attempt.attemptId))
      for (const vertex of this.#graph.vertices) {
        const { attempt, slot } = vertex.execution
        if (slot?.taskManagerId !== heartbeat.taskManagerId) continue
        const metrics = heartbeat.metrics[attempt]
        if (metrics) {
          vertex.metrics = metrics
          vertex.accumulators = metrics.accumulators
        }
        // It took the task before it was asked, and does not know it any more.
        if (!reported.has(attempt) && vertex.submittedMs !== undefined && vertex.submittedMs < heartbeat.sentMs)
          this.#scheduler.taskLost(
            attempt,
            new FlottError('TASK_LOST', `TaskManager ${heartbeat.taskManagerId} does not know ${vertex.taskName}`),
          )
      }
    })
  }

  // ---- What the scheduler sets in motion.

  #port(): SchedulerPort {
    return {
      now: () => this.clock.now(),
      random: () => this.random.next(),
      after: (delayMs, fire) => void this.#timer(delayMs, fire),
      acquireSlots: (slots) => this.#acquire(slots),
      holdsSlots: (slots) => this.#pool.holdsAll(slots),
      recordDeployment: (region, run) => this.#deployer.record(region, run),
      submitTasks: (tasks) => this.#deployer.submit(tasks),
      cancelTasks: (tasks) => this.#deployer.cancel(tasks),
      allRunning: () => this.#checkpoints.startTriggering(),
      regionsStopped: (regions, wholeJob, cause) => {
        const level = isFlottError(cause, 'JOB_CANCELED') ? 'info' : 'warn'
        this.logger[level]('tasks are stopped', { regions: regions.length, wholeJob, cause })
        this.#checkpoints.stopTriggering(cause)
        this.#deployer.regionsStopped(regions, wholeJob)
      },
      taskFinished: (attemptId) => this.#checkpoints.executionFinished(attemptId),
      ended: (status, failure) => {
        this.#end(status, failure).catch((error: unknown) => this.logger.error('the job could not be ended', { error }))
      },
    }
  }

  #acquire(slots: readonly SharedSlot[]): void {
    const requests = this.#pool.acquire(slots, () => randomId(this.random))
    if (requests.length === 0) return
    this.options.slots.requestSlots(this.jobGraph.jobId, requests)
    this.#armSlotTimer()
  }
  #armSlotTimer(): void {
    this.#slotTimer?.cancel()
    this.#slotTimer = undefined
    if (this.#pool.requestedCount === 0) return
    const { slotRequestTimeoutMs } = this.options.settings
    this.#slotTimer = this.#timer(slotRequestTimeoutMs, () => {
      const why = this.options.slots.waitingFor(this.jobGraph.jobId) ?? 'TaskManagers did not confirm the slots'
      this.#pool.withdrawRequests()
      this.options.slots.withdrawRequests(this.jobGraph.jobId)
      this.#scheduler.slotsMissing(
        new FlottError('NO_RESOURCE_AVAILABLE', `${why}; waited ${slotRequestTimeoutMs} ms (slot.request.timeout)`),
      )
    })
  }

  #reconcile(event: ReconciliationEvent): void {
    if (!this.#reconciliation) return
    this.#reconciliation = stepReconciliation(this.#reconciliation, event)
    if (isReconciled(this.#reconciliation)) this.#reconciled()
  }
  #reconciled(): void {
    this.#reconciliation = undefined
    this.#reconciliationTimer?.cancel()
    this.#scheduler.start()
  }

  /** The end: results first, then the one step of the fact, then the slots, then whoever asks. */
  async #end(status: 'FINISHED' | 'FAILED' | 'CANCELED', failure: Error | undefined): Promise<void> {
    this.logger.info('the job ends', { status, ...(failure ? { error: failure } : {}) })
    this.#slotTimer?.cancel()
    this.#reconciliationTimer?.cancel()
    const checkpoints = this.#checkpoints.statistics()
    const accumulators = await this.#mergedAccumulators()
    await this.#closeCoordinators()
    const endTime = this.#scheduler.timestamps[status]!
    const details = { ...detailsOf({ ...this.#described(), status }), checkpoints, accumulators }
    const fact = await makeEndDurable(this, this.options.reign.signal, details, { status, endTime })
    if (!fact) return // The next leader finds out by itself.
    this.#durable = true
    this.#ending.abort(new FlottError('JOB_ALREADY_TERMINATED', `the job is ${status}`))
    this.#disconnect?.()
    this.options.onEnded({ ...details, fact })
    await discardBlobs(this.blobs, fact).catch((error: unknown) => this.logger.warn('blobs of an ended job are left', { error }))
  }

  /** As far as user code can be asked; what it can not merge stays a list. */
  async #mergedAccumulators(): Promise<JobDetails['accumulators']> {
    const subtasks = this.#graph.vertices.map((vertex) => vertex.accumulators)
    try {
      return await mergeAllAccumulators(subtasks, (values) => this.#sources.mergeAccumulators(values))
    } catch (error) {
      this.logger.warn('custom accumulators not merged', { error })
      return mergeAccumulators(subtasks)
    }
  }
  async #closeCoordinators(): Promise<void> {
    if (this.#coordinatorsClosed) return
    this.#coordinatorsClosed = true
    this.#checkpoints.close()
    await this.#sources.close().catch((error: unknown) => this.logger.warn('enumerators not closed', { error }))
  }
  async #recordedDeployment(): Promise<DeploymentRecord | undefined> {
    const { deployment } = this.fact
    return deployment === undefined ? undefined : (JSON.parse(Buffer.from(await this.blobs.get(deployment)).toString()) as DeploymentRecord)
  }
  #described() {
    const { status } = this.#scheduler
    if (!isGloballyTerminal(status) || this.#durable) this.#shownStatus = status
    const waitingFor = this.#reconciliation ? waitsFor(this.#reconciliation) : this.options.slots.waitingFor(this.jobGraph.jobId)
    const { fact } = this
    return {
      fact,
      graph: this.#graph,
      scheduler: this.#scheduler,
      checkpoints: this.#checkpoints,
      status: this.#shownStatus,
      waitingFor: isEnding(status) ? undefined : waitingFor,
    }
  }
  #isCurrent(attemptId: string): boolean {
    const vertex = this.#graph.byAttempt(attemptId)
    return vertex !== undefined && !vertex.ended
  }
  async #turn(turn: () => void): Promise<{ accepted: true }> {
    if (this.#closed) throw new FlottError('NOT_LEADER', 'the JobMaster was stopped')
    await this.#mailbox.call(() => {
      try {
        turn()
      } catch (error) {
        this.#turnFailed(error) // Ours, not the caller's, who would only repeat it.
      }
    })
    return { accepted: true }
  }
  #timer(delayMs: number, fire: () => void): Timer {
    return this.clock.setTimer(delayMs, () => this.run(fire), { unref: true })
  }
  #turnFailed(error: unknown): void {
    this.logger.error('a turn of the JobMaster failed', { error })
    const cause = error instanceof Error ? error : new Error(String(error))
    this.#scheduler.failForGood(new FlottError('INTERNAL', cause.message, { cause }))
  }
}
