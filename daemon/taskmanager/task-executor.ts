/**
 * The TaskManager's RPC endpoint: owns the slots, starts and ends attempts in their workers, and tells the leader what becomes of them.
 * Every call of the leader may come twice. All decisions are taken in one synchronous turn, by the slot table, the attempt and the
 * outbox steps; what they ask for is done here.
 */

import type { Clock } from '#core/clock.js'
import { formatEpoch } from '#core/epoch.js'
import { FlottError, serializeError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import type { Service } from '#core/service.js'
import type { MemoryUsage } from '#metrics/thread-memory.js'
import type { ExecutionState, TaskExecutionReport } from '#protocol/gateways/job-master-gateway.js'
import type {
  AttemptReport,
  HardwareDescription,
  SlotReport,
  TaskManagerRegistration,
} from '#protocol/gateways/resource-manager-gateway.js'
import {
  type ProcessMetrics,
  type TaskExecutorGateway,
  type TaskExecutorHeartbeat,
  type TaskMetrics,
  taskExecutorGateway,
} from '#protocol/gateways/task-executor-gateway.js'
import type { DeploymentRecord, TaskDeployment, TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { decodeJobGraph } from '#protocol/graph/job-graph-format.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import type { GivenUpMark } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { Mailbox } from '#rpc/mailbox.js'
import type { CallContext, Endpoint, RpcNetwork } from '#rpc/rpc.js'
import { createAttempt, isTerminal } from './attempt.js'
import { Attempts } from './attempts.js'
import { ChannelWiring, locator } from './channel-wiring.js'
import { ChunkTransfer } from './chunk-transfer.js'
import { Departure } from './departure.js'
import type { RingOptions } from './exchange/ring.js'
import type { JobArtifacts } from './job-artifacts.js'
import { JobReports } from './job-reports.js'
import { LeaderConnection } from './leader-connection.js'
import { type ChunkFiles, LocalBackup } from './localbackup/local-backup.js'
import type { NetworkEnvironment } from './network/network.js'
import { SlotMemory } from './slot-memory.js'
import { createSlotTable, type SlotEvent, stepSlots, type TaskSlotTable } from './slots/task-slot-table.js'
import type { FromSlotWorker, SlotWorkerHost, ToSlotWorker, WorkerTask } from './slotworker/protocol.js'
import { SlotWorkers } from './slotworker/slot-workers.js'
import { type TaskMessage, taskMessageOf } from './worker-messages.js'

type Request<M extends keyof TaskExecutorGateway> = Parameters<TaskExecutorGateway[M]>[0]
type Accepted = Promise<{ accepted: true }>
const ACCEPTED = { accepted: true } as const

export interface TaskExecutorOptions {
  readonly taskManagerId: string
  /** Where other TaskManagers reach the data endpoint. */
  readonly host: string
  readonly dataPort: number
  readonly slotCount: number
  readonly managedBytes: number
  readonly version: string
  readonly hardware: HardwareDescription
  readonly logLevel: string
  readonly leaderlessTimeoutMs: number
  readonly watchdogMs: number
  readonly cancellationTimeoutMs: number
  /** How long it waits for its tasks to move, when it is to go. */
  readonly drainTimeoutMs: number
  readonly ring?: RingOptions
  readonly keepSpareWorker?: boolean
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly rpc: RpcNetwork
  readonly retrieval: LeaderRetrieval
  readonly network: NetworkEnvironment
  readonly workerHost: SlotWorkerHost
  readonly blobs: BlobTransfer
  /** Where copies of chunks are kept; absent: none are. */
  readonly localBackup?: { readonly files: ChunkFiles; readonly maxBytes: number }
  /** Absent where programs run in this process (simulation). */
  artifacts?(leaderAddress: () => string | undefined): JobArtifacts
  processMetrics(): ProcessMetrics
  /** Of the main thread. */
  mainMemory?(): MemoryUsage
  /** A line of the print sink. */
  print(line: string): void
  /** A leader took the registration. */
  onRegistered?(): void
  /** An operator wants it gone: `depart(true)` is to be called, and the process ended. */
  onDrainRequested?(): void
}

export class TaskExecutor implements Service, Endpoint<TaskExecutorGateway> {
  readonly #mailbox: Mailbox
  readonly #processId: string
  readonly #attempts: Attempts
  /** Attempts that their worker knows. */
  readonly #posted = new Set<string>()
  readonly #metrics = new Map<string, TaskMetrics>()
  readonly #slotMemory = new SlotMemory()
  readonly #workers: SlotWorkers
  readonly #wiring: ChannelWiring
  readonly #reports: JobReports
  readonly #leader: LeaderConnection
  readonly #chunks: ChunkTransfer
  readonly #localBackup: LocalBackup | undefined
  readonly #artifacts: JobArtifacts | undefined
  readonly #departure: Departure
  /** How often it has stopped all that it had, since a leader had given it up. */
  #life = 0
  #slots: TaskSlotTable
  #unregister: (() => void) | undefined

  constructor(private readonly options: TaskExecutorOptions) {
    const { clock, random, logger, taskManagerId, slotCount, managedBytes, rpc, retrieval, network, blobs } = options
    this.#mailbox = new Mailbox((error) => logger.error('a turn of the TaskExecutor failed', { error }))
    this.#processId = randomId(random)
    this.#attempts = new Attempts(() => clock.now())
    this.#slots = createSlotTable(slotCount)
    this.#workers = new SlotWorkers({
      host: options.workerHost,
      clock,
      logger,
      taskManagerId,
      slotBytes: Math.floor(managedBytes / slotCount),
      logLevel: options.logLevel,
      watchdogMs: options.watchdogMs,
      slotCount,
      keepSpare: options.keepSpareWorker ?? true,
      onMessage: (slotIndex, message) => this.#mailbox.run(() => this.#workerSaid(slotIndex, message)),
      onExit: (slotIndex, cause) => this.#mailbox.run(() => this.#workerExited(slotIndex, cause)),
    })
    this.#wiring = new ChannelWiring({
      taskManagerId,
      network,
      ...(options.ring ? { ring: options.ring } : {}),
      doorbellOf: (slotIndex) => this.#doorbellOf(slotIndex),
      onBroken: (attemptId, channel, cause) =>
        this.#mailbox.run(() => this.#postTo(attemptId, { kind: 'channel-broken', attemptId, channel, cause: serializeError(cause) })),
    })
    this.#leader = new LeaderConnection({
      taskManagerId,
      clock,
      random,
      logger,
      network: rpc,
      retrieval,
      leaderlessTimeoutMs: options.leaderlessTimeoutMs,
      registration: () => this.#registration(),
      onGivenUp: (cause) => this.#mailbox.run(() => this.#stopTasks(cause)),
      onLeaderless: (silentMs) => this.#mailbox.run(() => this.#leaderless(silentMs)),
      onRegistered: (takeover) => {
        this.#mailbox.run(() => this.#reports.leaderChanged(takeover))
        options.onRegistered?.()
      },
    })
    retrieval.holdRegistration?.({ taskManagerId, processId: this.#processId })
    retrieval.watchGivenUp?.(taskManagerId, (mark) => this.#mailbox.run(() => this.#marked(mark)))
    this.#reports = new JobReports({
      clock,
      logger,
      jobMaster: (jobId) => this.#leader.jobMaster(jobId),
      jobIsHere: (jobId) => this.#slots.some((slot) => slot.jobId === jobId),
    })
    const leader = () => {
      const info = this.#leader.registeredWith
      return info && { address: info.rpcAddress, epoch: info.epoch }
    }
    this.#localBackup = options.localBackup && new LocalBackup({ clock, logger, ...options.localBackup })
    this.#chunks = new ChunkTransfer({ blobs, clock, leader, ...(this.#localBackup ? { local: this.#localBackup } : {}) })
    this.#artifacts = options.artifacts?.(() => leader()?.address)
    this.#departure = new Departure({
      clock,
      logger,
      timeoutMs: options.drainTimeoutMs,
      slots: () => this.#slots.filter(({ state }) => state === 'ALLOCATED' || state === 'ACTIVE').length,
      ask: () => this.#leader.resourceManager?.drainTaskManager({ taskManagerId }),
      sayGoodbye: ({ cause, drained }) => this.#leader.sayGoodbye(cause, drained),
    })
  }

  async start(): Promise<void> {
    this.#workers.start()
    this.#unregister = this.options.rpc.endpoints.register(taskExecutorGateway, this)
    this.#leader.start()
  }
  /** Resolves when it may go: nothing runs here any more, or there is nothing to wait for. Called again: no longer patient, maybe. */
  depart(patient: boolean): Promise<void> {
    return this.#departure.begin(patient)
  }
  /** Says goodbye to the leader, then ends all tasks. */
  async stop(): Promise<void> {
    const { outcome } = this.#departure
    await this.#leader.stop(outcome?.cause ?? 'the TaskManager stops', outcome?.drained)
    this.#unregister?.()
    this.#mailbox.close()
    this.#chunks.close()
    await this.#workers.stop()
    await this.#localBackup?.stop()
    await this.#artifacts?.stop()
  }

  // Calls of the leader.

  requestSlot(request: Request<'requestSlot'>): Accepted {
    return this.#turn(() => {
      if (this.#departure.begun && this.#slots[request.slotIndex]?.state === 'FREE')
        throw new FlottError('SHUTTING_DOWN', 'it is being drained')
      this.#stepSlots({ kind: 'slot-requested', ...request })
      this.#localBackup?.jobCame(request.jobId)
      return ACCEPTED
    })
  }
  freeSlot({ allocationId, cause }: Request<'freeSlot'>): Accepted {
    return this.#turn(() => {
      this.#free(allocationId, new FlottError('TASK_LOST', `the slot was freed: ${cause}`))
      return ACCEPTED
    })
  }
  submitTasks(deployment: TaskDeployment): Accepted {
    return this.#turn(() => {
      const { jobId } = deployment
      const record = decodeDeployment(deployment.deployment)
      const tasks = deployment.tasks.filter(({ attemptId }) => !this.#attempts.get(attemptId))
      const events = tasks.map(({ slotIndex, allocationId }) => ({ kind: 'tasks-submitted', slotIndex, allocationId, jobId }) as const)
      this.#stepSlots(...events)
      for (const task of tasks) this.#attempts.add(createAttempt(jobId, task, record.deploymentNumber))
      this.options.logger.debug('tasks submitted', { jobId, tasks: tasks.length })
      if (tasks.length > 0) void this.#deploy(decodeJobGraph(deployment.jobGraph), record, tasks)
      return ACCEPTED
    })
  }
  cancelTasks({ attemptIds }: Request<'cancelTasks'>): Accepted {
    return this.#turn(() => {
      for (const attemptId of attemptIds) this.#cancel(attemptId)
      return ACCEPTED
    })
  }
  failTasks({ attemptIds, cause }: Request<'failTasks'>): Accepted {
    return this.#turn(() => {
      for (const attemptId of attemptIds)
        if (this.#posted.has(attemptId)) this.#postTo(attemptId, { kind: 'fail', attemptIds: [attemptId], cause })
        else this.#enter(attemptId, 'FAILED', { error: cause })
      return ACCEPTED
    })
  }
  triggerCheckpoint(request: Request<'triggerCheckpoint'>, { epoch }: CallContext): Accepted {
    return this.#turn(() => {
      const { jobId: _, attemptIds, ...trigger } = request
      for (const attemptId of attemptIds) this.#attempts.apply(attemptId, { kind: 'checkpoint-triggered', ...trigger })
      this.#postEach(attemptIds, (ids) => ({ kind: 'trigger-checkpoint', ...trigger, epoch: formatEpoch(epoch), attemptIds: ids }))
      return ACCEPTED
    })
  }
  notifyCheckpointComplete({ jobId, checkpointId, attemptIds }: Request<'notifyCheckpointComplete'>): Accepted {
    return this.#turn(() => {
      this.#localBackup?.completed(jobId, checkpointId)
      for (const attemptId of attemptIds) this.#attempts.apply(attemptId, { kind: 'checkpoint-completed', checkpointId })
      this.#postEach(attemptIds, (ids) => ({ kind: 'checkpoint-complete', checkpointId, attemptIds: ids }))
      return ACCEPTED
    })
  }
  notifyCheckpointAborted({ jobId, checkpointId, attemptIds }: Request<'notifyCheckpointAborted'>): Accepted {
    return this.#turn(() => {
      this.#localBackup?.aborted(jobId, checkpointId)
      for (const attemptId of attemptIds) this.#attempts.apply(attemptId, { kind: 'checkpoint-aborted', checkpointId })
      this.#postEach(attemptIds, (ids) => ({ kind: 'checkpoint-aborted', checkpointId, attemptIds: ids }))
      return ACCEPTED
    })
  }
  sendOperatorEvents({ attemptId, operatorId, events }: Request<'sendOperatorEvents'>): Accepted {
    return this.#turn(() => {
      const attempt = this.#attempts.get(attemptId)
      if (!attempt || isTerminal(attempt.state)) throw new FlottError('TASK_LOST', `${attemptId} does not run here`)
      this.#attempts.apply(attemptId, { kind: 'events-received', operatorId, events })
      this.#postTo(attemptId, { kind: 'operator-events', attemptId, operatorId, events })
      return ACCEPTED
    })
  }
  drain(): Accepted {
    return this.#turn(() => {
      this.options.onDrainRequested?.()
      return ACCEPTED
    })
  }
  heartbeat(): Promise<TaskExecutorHeartbeat> {
    return this.#turn(() => {
      this.#leader.alive()
      for (const slot of this.#slots) if (slot.state === 'ACTIVE') this.#workers.post(slot.slotIndex, { kind: 'report-metrics' })
      const main = this.options.mainMemory?.()
      return {
        slots: this.#slotReports(),
        attempts: this.#attempts.reports(),
        metrics: Object.fromEntries(this.#metrics),
        process: this.options.processMetrics(),
        ...(main ? { memory: this.#slotMemory.with(main) } : {}),
        network: this.#wiring.use(),
      }
    })
  }
  describeAttempts({ jobId }: Request<'describeAttempts'>): Promise<{ attempts: readonly AttemptReport[]; slots: readonly SlotReport[] }> {
    return this.#turn(() => {
      const isOfJob = (report: { readonly jobId?: string }) => report.jobId === jobId
      return { attempts: this.#attempts.fullReports(this.#metrics).filter(isOfJob), slots: this.#slotReports().filter(isOfJob) }
    })
  }

  #turn<T>(turn: () => T): Promise<T> {
    return this.#mailbox.call(turn)
  }

  // Deployment.

  async #deploy(jobGraph: JobGraph, record: DeploymentRecord, tasks: readonly TaskDeploymentDescriptor[]): Promise<void> {
    let artifactDirectory: string | undefined
    try {
      artifactDirectory = await this.#artifacts?.acquire(jobGraph)
    } catch (error) {
      return this.#mailbox.run(() => this.#failAll(tasks, error))
    }
    this.options.logger.debug('program is here', { jobId: jobGraph.jobId })
    this.#mailbox.run(() => {
      const wanted = tasks.filter(({ attemptId }) => this.#attempts.get(attemptId)?.state === 'DEPLOYING')
      try {
        const job = { jobGraph, ...(artifactDirectory === undefined ? {} : { artifactDirectory }) }
        for (const { slotIndex } of wanted) this.#doorbellOf(slotIndex) // Its worker may have died meanwhile.
        for (const [slotIndex, workerTasks] of this.#wire(jobGraph, record, wanted)) {
          for (const { descriptor } of workerTasks) this.#posted.add(descriptor.attemptId)
          this.#workers.post(slotIndex, { kind: 'deploy', job, tasks: workerTasks })
        }
        this.#chunks.expect(wanted)
      } catch (error) {
        this.#failAll(wanted, error)
      }
    })
  }
  #wire(jobGraph: JobGraph, record: DeploymentRecord, tasks: readonly TaskDeploymentDescriptor[]): Map<number, WorkerTask[]> {
    const bySlot = new Map<number, WorkerTask[]>()
    const locate = locator(record)
    for (const task of tasks) {
      const workerTask = this.#wiring.wire(jobGraph, locate, task)
      bySlot.set(task.slotIndex, [...(bySlot.get(task.slotIndex) ?? []), workerTask])
    }
    return bySlot
  }
  #failAll(tasks: readonly TaskDeploymentDescriptor[], error: unknown): void {
    for (const { attemptId } of tasks) this.#end(attemptId, error)
  }
  #cancel(attemptId: string): void {
    if (!this.#posted.has(attemptId)) return void this.#enter(attemptId, 'CANCELED')
    const attempt = this.#attempts.apply(attemptId, { kind: 'cancel-requested' })
    if (!attempt) return
    this.#postTo(attemptId, { kind: 'cancel', attemptIds: [attemptId] })
    const { cancellationTimeoutMs, clock } = this.options
    clock.setTimer(cancellationTimeoutMs, () => this.#mailbox.run(() => this.#cancellationTimedOut(attemptId)), { unref: true })
  }
  #cancellationTimedOut(attemptId: string): void {
    const attempt = this.#attempts.get(attemptId)
    if (!attempt || isTerminal(attempt.state)) return
    const text = `${attemptId} did not end within ${this.options.cancellationTimeoutMs} ms of its cancellation`
    this.#workers.discard(attempt.descriptor.slotIndex, new FlottError('TASK_LOST', text))
  }

  // What becomes of attempts.

  /** The first report of a state that is news; terminal states are final. */
  #enter(attemptId: string, state: ExecutionState, details: Omit<TaskExecutionReport, 'attemptId' | 'state'> = {}): void {
    const attempt = this.#attempts.apply(attemptId, { kind: 'state-reported', state, outcome: details })
    if (!attempt) return
    this.options.logger.debug('task state', { attempt: attemptId, state })
    this.#reports.report(attempt.jobId, attemptId, { method: 'updateTaskExecutionState', request: { attemptId, state, ...details } })
    if (state === 'RUNNING' || isTerminal(state)) this.#chunks.expectNoMore(attemptId)
    if (!isTerminal(state)) return
    this.options.logger.info('attempt ended', { attempt: attemptId, state, error: details.error?.message })
    this.#posted.delete(attemptId)
    this.#metrics.delete(attemptId)
    this.#wiring.release(attemptId, state === 'FINISHED')
  }
  /** The TaskManager itself ends it: CANCELED where that was asked for, else FAILED. */
  #end(attemptId: string, cause: unknown): void {
    const canceling = this.#attempts.get(attemptId)?.state === 'CANCELING'
    if (canceling) this.#enter(attemptId, 'CANCELED')
    else this.#enter(attemptId, 'FAILED', { error: serializeError(cause) })
  }
  #free(allocationId: string, cause: FlottError): void {
    const slot = this.#slots.find((s) => s.allocationId === allocationId)
    const attempts = this.#attempts.of(allocationId)
    for (const { descriptor } of attempts) this.#end(descriptor.attemptId, cause)
    this.#stepSlots({ kind: 'slot-freed', allocationId })
    for (const { descriptor } of attempts) {
      this.#wiring.release(descriptor.attemptId, false)
      this.#attempts.forget(descriptor.attemptId)
    }
    const jobId = slot?.jobId
    if (jobId === undefined || this.#slots.some((s) => s.jobId === jobId && s.state !== 'RELEASING')) return
    void this.#artifacts?.release(jobId)
    this.#localBackup?.jobLeft(jobId)
  }

  // Slots and workers.

  /** All events, or none when one is refused. */
  #stepSlots(...events: readonly SlotEvent[]): void {
    const effects = []
    let slots = this.#slots
    for (const event of events) {
      const step = stepSlots(slots, event)
      slots = step.slots
      effects.push(...step.effects)
    }
    this.#slots = slots
    for (const effect of effects) {
      if (effect.kind === 'assign-worker') this.#workers.assign(effect.slotIndex)
      else if (effect.kind === 'discard-worker') this.#discard(effect.slotIndex)
      else this.#reportSlots()
    }
  }
  #discard(slotIndex: number): void {
    if (this.#workers.doorbellOf(slotIndex)) this.#workers.discard(slotIndex)
    else this.#stepSlots({ kind: 'worker-exited', slotIndex }) // It had died before.
  }
  #doorbellOf(slotIndex: number): SharedArrayBuffer {
    const doorbell = this.#workers.doorbellOf(slotIndex)
    if (!doorbell) throw new FlottError('SLOT_NOT_AVAILABLE', `slot ${slotIndex} has no worker`)
    return doorbell
  }
  #workerExited(slotIndex: number, cause: FlottError | undefined): void {
    const allocationId = this.#slots[slotIndex]?.allocationId
    const loss = cause ?? new FlottError('TASK_LOST', 'the slot worker was discarded')
    this.#slotMemory.workerGone(slotIndex)
    if (cause) this.options.logger.error('slot worker lost', { slot: slotIndex, error: cause })
    this.#stepSlots({ kind: 'worker-exited', slotIndex })
    if (allocationId === undefined) return
    for (const { descriptor } of this.#attempts.of(allocationId))
      if (this.#posted.has(descriptor.attemptId)) this.#end(descriptor.attemptId, loss)
  }
  #workerSaid(slotIndex: number, said: FromSlotWorker): void {
    const { logger, print } = this.options
    if (said.kind === 'task-state') {
      const { kind: _, attemptId, state, ...details } = said
      this.#enter(attemptId, state, details)
    } else if (said.kind === 'put-chunk') {
      this.#chunks.put(said.request, said.blob, said.bytes, (answer) => this.#workers.post(slotIndex, answer))
    } else if (said.kind === 'get-chunk') {
      this.#chunks.get(said.request, said.ref, (answer, transfer) => this.#workers.post(slotIndex, answer, transfer))
    } else if (said.kind === 'metrics') {
      for (const [attemptId, metrics] of Object.entries(said.tasks)) if (this.#posted.has(attemptId)) this.#metrics.set(attemptId, metrics)
      if (said.memory) this.#slotMemory.reported(slotIndex, said.memory)
    } else if (said.kind === 'print') print(said.line)
    else if (said.kind === 'log') logger[said.level](said.text, { slot: slotIndex, ...said.fields })
    else this.#forward(taskMessageOf(said))
  }
  #forward(told: TaskMessage | undefined): void {
    const attempt = told && this.#attempts.get(told.attemptId)
    if (!attempt) return
    if (told.event) this.#attempts.apply(told.attemptId, told.event)
    const { method, request } = told.message
    if (method === 'acknowledgeCheckpoint') this.#localBackup?.acknowledged(attempt.jobId, request.checkpointId, request.snapshot)
    this.#reports.report(attempt.jobId, told.attemptId, told.message)
  }
  #postTo(attemptId: string, message: ToSlotWorker): void {
    const attempt = this.#attempts.get(attemptId)
    if (attempt && this.#posted.has(attemptId)) this.#workers.post(attempt.descriptor.slotIndex, message)
  }
  /** One message a slot, with the attempts that run there. */
  #postEach(attemptIds: readonly string[], message: (attemptIds: readonly string[]) => ToSlotWorker): void {
    const bySlot = new Map<number, string[]>()
    for (const attemptId of attemptIds) {
      const attempt = this.#attempts.get(attemptId)
      if (!attempt || !this.#posted.has(attemptId)) continue
      const { slotIndex } = attempt.descriptor
      bySlot.set(slotIndex, [...(bySlot.get(slotIndex) ?? []), attemptId])
    }
    for (const [slotIndex, ids] of bySlot) this.#workers.post(slotIndex, message(ids))
  }

  // The leader.

  #registration(): TaskManagerRegistration {
    this.#reports.registrationMade()
    const { taskManagerId, host, dataPort, hardware, version, managedBytes, slotCount } = this.options
    return {
      taskManagerId,
      processId: this.#processId,
      life: this.#life,
      host,
      dataPort,
      hardware,
      version,
      slots: this.#slotReports(),
      memory: { managedBytes, slotBytes: Math.floor(managedBytes / slotCount) },
      attempts: this.#attempts.fullReports(this.#metrics),
      ...(this.#departure.begun ? { draining: true } : {}),
    }
  }
  #slotReports(): readonly SlotReport[] {
    const tasks = this.#attempts.runningByAllocation()
    return this.#slots.map((slot) => {
      const count = slot.allocationId === undefined ? undefined : tasks.get(slot.allocationId)
      return count === undefined ? slot : { ...slot, tasks: count }
    })
  }
  #reportSlots(): void {
    const { taskManagerId, logger } = this.options
    this.#leader.resourceManager?.reportSlots({ taskManagerId, slots: this.#slotReports() }).catch((error: unknown) => {
      logger.debug('slots not reported; the next heartbeat tells them', { error })
    })
  }
  /** Nobody can tell whether the tasks are still wanted: they end. */
  #leaderless(silentMs: number): void {
    const cause = new FlottError('LEADER_UNKNOWN', `neither leader nor ZooKeeper for ${Math.round(silentMs)} ms`)
    this.#freeAll(cause)
  }
  /** A leader that this process may not reach runs its tasks elsewhere by now. A mark of an earlier life was heeded before. */
  #marked({ processId, life, cause }: GivenUpMark): void {
    if (processId !== this.#processId || life < this.#life) return
    this.#stopTasks(new FlottError('TASK_MANAGER_GIVEN_UP', cause))
  }
  #stopTasks(cause: FlottError): void {
    this.options.logger.warn('given up by the leader: all tasks end', { cause: cause.message })
    this.#life++
    this.#freeAll(new FlottError('TASK_LOST', cause.message))
  }
  #freeAll(cause: FlottError): void {
    for (const { allocationId } of this.#slots) if (allocationId !== undefined) this.#free(allocationId, cause)
  }
}
