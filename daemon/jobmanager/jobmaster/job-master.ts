/**
 * One job, from its fact to its end. All of it runs in one mailbox: the scheduler decides, the deployer carries out, TaskManagers report,
 * and whatever was awaited comes back as a turn of its own. What must survive this process is in the job's fact before anyone acts on it.
 */
import { type Clock, sleep, type Timer } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { deserializeError, FlottError, isFlottError, isTransient, type SerializedError } from '#core/errors.js'
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
import type { TaskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { JobFact, JobStatus, Versioned } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { Mailbox } from '#rpc/mailbox.js'
import type { Endpoint } from '#rpc/rpc.js'
import type { GrantedSlot, JobHeartbeat, SlotOwner, SlotProvider, TaskManagerInfo } from '../resourcemanager/slot-provider.js'
import { mergeAccumulators, mergeAllAccumulators } from './accumulators.js'
import { CollectedResults } from './collected-results.js'
import type { CoordinatorFactory } from './coordinator-factory.js'
import { type DrainProgressOfJob, JobDrain } from './drain/job-drain.js'
import { EventSender } from './event-sender.js'
import type { AllocatedSlot } from './executiongraph/execution.js'
import { ExecutionGraph, type ExecutionVertex } from './executiongraph/execution-graph.js'
import { detailsOf, overviewOf } from './job-details.js'
import { JobFactKeeper } from './job-fact-keeper.js'
import { JobHistory, loadHistory } from './job-history.js'
import type {
  CheckpointCoordinatorApi,
  CompletedCheckpoint,
  ExecutionView,
  JobMasterContext,
  SourceCoordinatorsApi,
} from './job-master-context.js'
import type { JobMasterSettings } from './job-master-settings.js'
import { discardBlobs, makeEndDurable } from './job-result.js'
import { Deployer } from './scheduler/deployer.js'
import { isEnding, isGloballyTerminal } from './scheduler/job-status.js'
import { restartStateOf } from './scheduler/restart-strategy.js'
import { Scheduler, type SchedulerPort } from './scheduler/scheduler.js'
import { TaskSubmission } from './scheduler/task-submission.js'
import { JobSlots } from './slotpool/job-slots.js'
import { Takeover } from './takeover.js'
import { TaskCensus } from './task-census.js'

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
  /** Each time that all tasks run, those that were adopted among them. */
  readonly onAllRunning: () => void
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
  readonly #submission: TaskSubmission
  readonly #slots: JobSlots
  readonly #checkpoints: CheckpointCoordinatorApi
  readonly #sources: SourceCoordinatorsApi
  readonly #takeover: Takeover
  readonly #drain: JobDrain
  readonly #census: TaskCensus
  readonly #history: JobHistory
  readonly #ending = new AbortController()
  #disconnect: (() => void) | undefined
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
    this.collected = new CollectedResults({
      jobId: jobGraph.jobId,
      checkpointing: settings.checkpoints.intervalMs > 0,
      epoch: reign.epoch,
      blobs,
      onNotDeleted: (error) => this.logger.warn('collected records that were fetched are not deleted', { error }),
    })
    this.#mailbox = new Mailbox((error) => this.#turnFailed(error))
    this.#keeper = new JobFactKeeper(reign, clock, fact)
    this.#graph = new ExecutionGraph(jobGraph, fact.value.attemptNumber + 1, () => clock.now())
    const { count, state } = fact.value.restarts
    this.#scheduler = new Scheduler(this.#graph, settings.restartStrategy, this.#port(), { count, state: restartStateOf(state) })
    const sender = new EventSender(this, this.#graph)
    const { checkpoints, sources } = options.createCoordinators(this, settings, sender.send)
    this.#checkpoints = checkpoints
    this.#sources = sources
    this.#slots = new JobSlots(this, options.slots, settings.slotRequestTimeoutMs, (cause) => this.#scheduler.slotsMissing(cause))
    const { pool } = this.#slots
    const slotOf = (vertex: ExecutionVertex) => pool.slotOf(vertex.sharedSlot.key)
    const [graph, scheduler] = [this.#graph, this.#scheduler]
    this.#submission = new TaskSubmission({ context: this, scheduler, checkpoints })
    this.#deployer = new Deployer({ context: this, graph, scheduler, checkpoints, sources, submission: this.#submission, slotOf })
    this.#takeover = new Takeover({
      context: this,
      graph,
      scheduler,
      deployer: this.#deployer,
      checkpoints,
      pool,
      timeoutMs: settings.taskManagerTimeoutMs,
    })
    this.#drain = new JobDrain({
      context: this,
      graph,
      scheduler,
      slots: this.#slots,
      checkpoints,
      takesCheckpoints: settings.checkpoints.intervalMs > 0,
    })
    this.#census = new TaskCensus({ context: this, graph, scheduler })
    this.#history = new JobHistory(this, () => {
      const { entries: exceptions, truncated: exceptionsTruncated } = this.#scheduler.exceptions
      return { exceptions, exceptionsTruncated, checkpoints: checkpoints.statistics(), timestamps: { ...this.#scheduler.timestamps } }
    })
  }

  // ---- What the dispatcher calls.

  /** Connects to the ResourceManager and begins, or goes on where the reign before ended. Fails when that can not be read now. */
  async start(): Promise<void> {
    const isFresh = this.fact.deployment === undefined
    if (isFresh && this.fact.target !== 'CANCELED') this.#sources.prepare()
    let newest: CompletedCheckpoint | undefined
    let unreadable: Error | undefined
    const findNewest = async () => {
      try {
        newest = await this.#checkpoints.newest()
      } catch (cause) {
        if (isTransient(cause)) throw cause
        unreadable = cause as Error
      }
    }
    const [record, history] = await Promise.all([
      this.#recordedDeployment(),
      loadHistory(this.blobs, this.fact),
      isFresh ? undefined : findNewest(),
      this.collected.load(),
    ])
    this.run(() => {
      this.#disconnect = this.options.slots.connectJobMaster(this.jobGraph.jobId, this)
      this.#scheduler.initialized(record !== undefined)
      if (record) {
        if (history) this.#scheduler.import(history)
        this.#checkpoints.importStatistics(history?.checkpoints)
        this.#takeover.begin(record, newest)
      }
      if (this.fact.target === 'CANCELED') this.#scheduler.cancel()
      else if (unreadable) this.#scheduler.failGlobally(unreadable)
      else if (!record) this.#scheduler.start()
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
    this.#stopTimers()
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
  historyChanged(): void {
    if (!isGloballyTerminal(this.#scheduler.status)) this.#history.changed()
  }

  // ---- JobMasterGateway.

  updateTaskExecutionStates({ reports }: { reports: readonly TaskExecutionReport[] }): Promise<{ accepted: true }> {
    return this.#turn(() => {
      for (const report of reports) this.#scheduler.taskReported(report)
    })
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
    const handle = () => {
      if (this.#graph.isCurrent(attemptId)) this.#sources.handleReaderEvent(attemptId, operatorId, reader, event)
    }
    return this.#turn(() => this.#takeover.holds(handle) || handle())
  }
  async sendCollected(request: Parameters<JobMasterGateway['sendCollected']>[0]): Promise<{ accepted: true }> {
    while (!this.collected.hasRoom(request.operatorId)) await sleep(this.clock, ROOM_CHECK_MS, this.signal)
    let added: Promise<void> | undefined
    await this.#turn(() => {
      if (this.#graph.isCurrent(request.attemptId)) added = this.collected.add(request)
    })
    await added
    return { accepted: true }
  }

  // ---- SlotOwner.

  slotsGranted(slots: readonly GrantedSlot[]): void {
    this.run(() => {
      this.#slots.granted(slots)
      this.#scheduler.slotsChanged()
      this.#drain.look()
    })
  }
  slotLost(allocationId: string, cause: string): void {
    this.run(() => {
      this.#slots.pool.lose(allocationId)
      const error = new FlottError('TASK_LOST', `slot ${allocationId} is lost: ${cause}`)
      this.#tasksLost((slot) => slot.allocationId === allocationId, error)
      this.#scheduler.slotsLost(error)
    })
  }
  /** After a takeover: what runs there is adopted. All that is not ours is freed. */
  taskManagerRegistered(info: TaskManagerInfo, attempts: readonly AttemptReport[], slots: readonly SlotReport[]): ReadonlySet<string> {
    const { taskManagerId } = info
    this.run(() => {
      if (this.#takeover.waitsFor !== undefined && !isEnding(this.#scheduler.status)) this.#sources.prepare() // This leader serves by now.
      this.#takeover.registered(info, attempts, slots)
      this.#census.cancelUnrecorded(taskManagerId, attempts)
    })
    return new Set(this.#slots.pool.slotsOn(taskManagerId).map((slot) => slot.allocationId))
  }
  taskManagerLost(taskManagerId: string, cause: Error): void {
    this.run(() => {
      for (const { allocationId } of this.#slots.pool.slotsOn(taskManagerId)) this.#slots.pool.lose(allocationId)
      this.#drain.taskManagerLost(taskManagerId)
      this.#takeover.taskManagerLost(taskManagerId, cause.message)
      this.#tasksLost((slot) => slot.taskManagerId === taskManagerId, cause)
      this.#scheduler.slotsLost(cause)
    })
  }
  registrationsListed(names: ReadonlySet<string>, connected: ReadonlySet<string>): void {
    this.run(() => this.#takeover.registrationsListed(names, connected))
  }
  taskManagerDraining(taskManagerId: string): void {
    this.run(() => this.#drain.taskManagerDraining(taskManagerId))
  }
  drainProgress(taskManagerId: string): DrainProgressOfJob | undefined {
    return this.#drain.progress(taskManagerId)
  }
  slotsFound(processId: string): number {
    return this.#takeover.slotsFound(processId)
  }
  heartbeatReceived(heartbeat: JobHeartbeat): void {
    this.run(() => this.#census.heartbeatReceived(heartbeat))
  }
  #tasksLost(on: (slot: AllocatedSlot) => boolean, cause: Error): void {
    const lost = this.#graph.vertices.filter(({ execution }) => execution.slot && on(execution.slot))
    this.#scheduler.tasksLost(
      lost.map(({ execution }) => execution.attempt),
      cause,
    )
  }
  // ---- What the scheduler sets in motion.

  #port(): SchedulerPort {
    return {
      now: () => this.clock.now(),
      random: () => this.random.next(),
      after: (delayMs, fire) => void this.#timer(delayMs, fire),
      acquireSlots: (slots) => {
        this.#slots.acquire(slots)
        this.#drain.look()
      },
      holdsSlots: (slots) => this.#slots.pool.holdsAll(slots),
      recordDeployment: (region, run) => this.#deployer.record(region, run),
      submitTasks: (tasks) => this.#deployer.submit(tasks),
      cancelTasks: (tasks) => this.#submission.cancel(tasks),
      allRunning: () => {
        this.#checkpoints.startTriggering()
        this.#drain.look()
        this.options.onAllRunning()
      },
      regionsStopped: (regions, wholeJob, cause) => {
        const level = isFlottError(cause, 'JOB_CANCELED', 'SHUTTING_DOWN') ? 'info' : 'warn'
        this.logger[level]('tasks are stopped', { regions: regions.length, wholeJob, cause })
        this.#checkpoints.stopTriggering(cause)
        this.#deployer.regionsStopped(regions, wholeJob)
      },
      taskFinished: (attemptId) => this.#checkpoints.executionFinished(attemptId),
      historyChanged: () => this.historyChanged(),
      ended: (status, failure) => {
        this.#end(status, failure).catch((error: unknown) => this.logger.error('the job could not be ended', { error }))
      },
    }
  }

  /** The end: results first, then the one step of the fact, then the slots, then whoever asks. */
  async #end(status: 'FINISHED' | 'FAILED' | 'CANCELED', failure: Error | undefined): Promise<void> {
    this.logger.info('the job ends', { status, ...(failure ? { error: failure } : {}) })
    this.#stopTimers()
    const checkpoints = this.#checkpoints.statistics()
    const accumulators = await this.#mergedAccumulators()
    await this.#closeCoordinators()
    const endTime = this.#scheduler.timestamps[status]!
    const details = { ...detailsOf({ ...this.#described(), status }), checkpoints, accumulators }
    const tasks = Object.fromEntries(Object.entries(details.tasks).filter(([, count]) => count > 0))
    const { reign, settings } = this.options
    const fact = await makeEndDurable(this, reign.signal, details, { status, endTime, tasks }, settings.checkpoints.retention)
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
    return deployment === undefined ? undefined : decodeDeployment(await this.blobs.get(deployment))
  }
  #described() {
    const { status } = this.#scheduler
    if (!isGloballyTerminal(status) || this.#durable) this.#shownStatus = status
    const waitingFor = this.#takeover.waitsFor ?? this.#slots.waitingFor
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
  #stopTimers(): void {
    this.#slots.stop()
    this.#takeover.stop()
    this.#history.stop()
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
