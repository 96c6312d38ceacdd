/** A TaskManager without tasks: it obeys the leader, and attempts do what the test says. */
import { type Epoch, NO_EPOCH } from '#core/epoch.js'
import { FlottError, isFlottError, serializeError } from '#core/errors.js'
import { type ExecutionState, type JobMasterGateway, jobMasterGateway } from '#protocol/gateways/job-master-gateway.js'
import {
  type AttemptReport,
  type DrainProgress,
  resourceManagerGateway,
  type SlotReport,
} from '#protocol/gateways/resource-manager-gateway.js'
import { type TaskExecutorGateway, type TaskExecutorHeartbeat, taskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { DeploymentRecord, TaskDeployment } from '#protocol/graph/deployment.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { CallContext, Endpoint, EndpointRegistry, RpcConnection } from '#rpc/rpc.js'

const ENDED: readonly ExecutionState[] = ['FINISHED', 'CANCELED', 'FAILED']

/** What it needs of a network: LoopbackNetwork has it. */
export interface TaskManagerNetwork {
  process(address: string): {
    readonly address: string
    readonly endpoints: EndpointRegistry
    dial(address: string): Promise<RpcConnection>
  }
  crash(address: string): void
}

interface FakeAttempt {
  readonly jobId: string
  readonly allocationId: string
  readonly deploymentNumber: number
  state: ExecutionState
}

/** Decoded when someone looks. */
class SentDeployment {
  constructor(private readonly sent: TaskDeployment) {}
  get deployment(): DeploymentRecord {
    return decodeDeployment(this.sent.deployment)
  }
  get tasks(): TaskDeployment['tasks'] {
    return this.sent.tasks
  }
}

export class FakeTaskManager implements Endpoint<TaskExecutorGateway> {
  readonly process: ReturnType<TaskManagerNetwork['process']>
  readonly attempts = new Map<string, FakeAttempt>()
  readonly deployments: SentDeployment[] = []
  slots: SlotReport[]
  /** What an attempt does by itself once deployed. */
  onSubmit: (attemptId: string) => 'run' | 'stay' = () => 'run'
  onCancel: (attemptId: string) => 'end' | 'stay' = () => 'end'
  /** 'slow': a freed slot stays RELEASING until `slotsAreFree`. */
  freeing: 'at once' | 'slow' = 'at once'
  refuseTasks: FlottError | undefined
  /** Submissions never arrive. */
  loseTasks = false
  draining = false
  drainRequests = 0
  /** Made anew when the process is. */
  processId: string
  life = 0
  /** What a report says beyond its state. */
  details: (attemptId: string) => Partial<AttemptReport> = () => ({})
  #connection: RpcConnection | undefined
  #epoch: Epoch = NO_EPOCH

  constructor(
    readonly id: string,
    private readonly network: TaskManagerNetwork,
    slotCount: number,
  ) {
    this.processId = `process of ${id}`
    this.slots = Array.from({ length: slotCount }, (_, slotIndex) => ({ slotIndex, state: 'FREE' }))
    this.process = network.process(`${id}:1`)
    this.process.endpoints.register(taskExecutorGateway, this)
  }

  /** Like a real one, it stops what it has when it hears that it was given up, and comes again. */
  async connect(address: string, epoch: Epoch): Promise<void> {
    this.#epoch = epoch
    this.#connection = await this.process.dial(address)
    await this.#register(epoch).catch((error: unknown) => {
      if (!isFlottError(error, 'TASK_MANAGER_GIVEN_UP')) throw error
      this.life++
      this.#forgetAll()
      return this.#register(epoch)
    })
  }
  async #register(epoch: Epoch): Promise<void> {
    await this.#connection!.gateway(resourceManagerGateway, { epoch: () => epoch }).registerTaskManager({
      taskManagerId: this.id,
      processId: this.processId,
      life: this.life,
      host: this.id,
      dataPort: 1,
      slots: this.slots,
      hardware: { cpuCores: 1, physicalMemoryBytes: 1, freeMemoryBytes: 1, cpuModel: '', os: '' },
      memory: { managedBytes: 1, slotBytes: 1 },
      attempts: this.#reports(),
      version: '0',
      ...(this.draining ? { draining: true as const } : {}),
    })
  }
  crash(): void {
    this.network.crash(this.process.address)
  }
  disconnect(): void {
    this.#connection?.close('cut by the test')
  }
  /** A new process in its place: it knows nothing. */
  replace(): void {
    this.processId = `${this.processId}'`
    this.#forgetAll()
  }
  #forgetAll(): void {
    this.attempts.clear()
    this.slots = this.slots.map(({ slotIndex }) => ({ slotIndex, state: 'FREE' }))
  }
  /** Attempts that have not ended. */
  running(): string[] {
    return [...this.attempts].filter(([, { state }]) => !ENDED.includes(state)).map(([id]) => id)
  }
  report(attemptId: string, state: ExecutionState, error?: Error): Promise<unknown> {
    return this.#report([attemptId], state, error)
  }
  /** Of one job. */
  #report(attemptIds: readonly string[], state: ExecutionState, error?: Error): Promise<unknown> {
    for (const attemptId of attemptIds) this.attempts.get(attemptId)!.state = state
    const reports = attemptIds.map((attemptId) => ({ attemptId, state, ...(error ? { error: serializeError(error) } : {}) }))
    return this.jobMaster(this.attempts.get(attemptIds[0]!)!.jobId)
      .updateTaskExecutionStates({ reports })
      .catch(() => {})
  }
  jobMaster(jobId: string): JobMasterGateway {
    return this.#connection!.gateway(jobMasterGateway, { epoch: () => this.#epoch, target: jobId })
  }

  async requestSlot({ slotIndex, allocationId, jobId }: { slotIndex: number; allocationId: string; jobId: string }) {
    if (this.slots[slotIndex]!.state !== 'FREE') throw new FlottError('SLOT_NOT_AVAILABLE', `slot ${slotIndex}`)
    this.slots = this.slots.map((slot) => (slot.slotIndex === slotIndex ? { slotIndex, state: 'ALLOCATED', jobId, allocationId } : slot))
    return { accepted: true } as const
  }
  async freeSlot({ allocationId }: { allocationId: string }) {
    const state = this.freeing === 'slow' ? 'RELEASING' : 'FREE'
    this.slots = this.slots.map((slot) => (slot.allocationId === allocationId ? { ...slot, state } : slot))
    if (this.freeing === 'at once') this.slotsAreFree()
    for (const [id, attempt] of this.attempts) if (attempt.allocationId === allocationId) this.attempts.delete(id)
    return { accepted: true } as const
  }
  slotsAreFree(): void {
    this.slots = this.slots.map((slot) => (slot.state === 'ALLOCATED' ? slot : { slotIndex: slot.slotIndex, state: 'FREE' }))
    void this.#connection!.gateway(resourceManagerGateway, { epoch: () => this.#epoch })
      .reportSlots({ taskManagerId: this.id, slots: this.slots })
      .catch(() => {})
  }
  async submitTasks(deployment: TaskDeployment) {
    if (this.refuseTasks) throw this.refuseTasks
    if (this.loseTasks) return new Promise<never>(() => {})
    const { jobId, tasks } = deployment
    this.deployments.push(new SentDeployment(deployment))
    const run: string[] = []
    for (const { attemptId, allocationId, attemptNumber: deploymentNumber } of tasks) {
      if (this.attempts.has(attemptId)) continue
      this.attempts.set(attemptId, { jobId, allocationId, deploymentNumber, state: 'DEPLOYING' })
      if (this.onSubmit(attemptId) === 'run') run.push(attemptId)
    }
    if (run.length > 0) void this.#run(run)
    return { accepted: true } as const
  }
  async cancelTasks({ attemptIds }: { attemptIds: readonly string[] }) {
    for (const id of attemptIds) {
      const attempt = this.attempts.get(id)
      if (!attempt || ENDED.includes(attempt.state)) continue
      attempt.state = 'CANCELING'
      if (this.onCancel(id) === 'end') void this.report(id, 'CANCELED')
    }
    return { accepted: true } as const
  }
  async heartbeat(): Promise<TaskExecutorHeartbeat> {
    const process = { rssBytes: 0, heapUsedBytes: 0, cpuSeconds: 0 }
    const network = { segmentsTotal: 16, segmentsUsed: 3, segmentBytes: 32_768 }
    return { slots: this.slots, attempts: this.#reports(), metrics: {}, process, network }
  }
  async describeAttempts({ jobId }: { jobId: string }) {
    const isOfJob = (report: { jobId?: string }) => report.jobId === jobId
    return { attempts: this.#reports().filter(isOfJob), slots: this.slots.filter(isOfJob) }
  }
  async drain() {
    this.drainRequests++
    return { accepted: true } as const
  }
  /** Says that it wants to go. */
  wantsToGo(): Promise<DrainProgress> {
    return this.#connection!.gateway(resourceManagerGateway, { epoch: () => this.#epoch }).drainTaskManager({ taskManagerId: this.id })
  }
  goodbye(drained: boolean): Promise<unknown> {
    const gateway = this.#connection!.gateway(resourceManagerGateway, { epoch: () => this.#epoch })
    return gateway.disconnectTaskManager({ taskManagerId: this.id, cause: 'it goes', drained })
  }
  async failTasks() {
    return { accepted: true } as const
  }
  async triggerCheckpoint() {
    return { accepted: true } as const
  }
  async notifyCheckpointComplete() {
    return { accepted: true } as const
  }
  async notifyCheckpointAborted() {
    return { accepted: true } as const
  }
  async sendOperatorEvents(_request: unknown, _context: CallContext) {
    return { accepted: true } as const
  }

  async #run(attemptIds: readonly string[]): Promise<void> {
    await this.#report(attemptIds, 'INITIALIZING')
    const initialized = attemptIds.filter((attemptId) => this.attempts.get(attemptId)?.state === 'INITIALIZING')
    if (initialized.length > 0) await this.#report(initialized, 'RUNNING')
  }
  #reports(): AttemptReport[] {
    return [...this.attempts].map(([attemptId, { jobId, state, deploymentNumber }]) => {
      const [, vertexId, subtask, number] = attemptId.split('_') as [string, string, string, string]
      return {
        jobId,
        vertexId,
        subtaskIndex: Number(subtask),
        attemptNumber: Number(number),
        attemptId,
        state,
        lastCheckpointCompleted: 0,
        pendingCheckpoints: [],
        assignmentsReceived: {},
        deploymentNumber,
        ...this.details(attemptId),
      }
    })
  }
}
