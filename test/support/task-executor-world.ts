import type { Epoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { seededRandom } from '#core/random.js'
import { type JobMasterGateway, jobMasterGateway } from '#protocol/gateways/job-master-gateway.js'
import { type DrainProgress, resourceManagerGateway, type TaskManagerRegistration } from '#protocol/gateways/resource-manager-gateway.js'
import { type TaskExecutorGateway, taskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { TaskDeployment, TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import { encodeDeployment } from '#protocol/graph/deployment-format.js'
import type { JobEdge, JobGraph } from '#protocol/graph/job-graph.js'
import { encodeJobGraph } from '#protocol/graph/job-graph-format.js'
import type { GivenUpMark, LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { LoopbackNetwork, type LoopbackProcess } from '#rpc/loopback.js'
import type { RpcConnection } from '#rpc/rpc.js'
import { createDoorbell } from '#taskmanager/exchange/doorbell.js'
import type { ChannelDescriptor } from '#taskmanager/exchange/exchange.js'
import type { NetworkEnvironment } from '#taskmanager/network/network.js'
import type { FromSlotWorker, SlotWorkerHost, ToSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { TaskExecutor } from '#taskmanager/task-executor.js'
import { FakeClock } from './fake-clock.js'

/** A worker that does nothing but remember. */
export class ScriptedWorker {
  readonly received: ToSlotWorker[] = []
  ended = false
  constructor(
    readonly say: (message: FromSlotWorker) => void,
    readonly exit: (cause: Error | undefined) => void,
  ) {}
  kinds(): string[] {
    return this.received.map(({ kind }) => kind).filter((kind) => kind !== 'ping' && kind !== 'report-metrics')
  }
}

export class ScriptedWorkers implements SlotWorkerHost {
  readonly started: ScriptedWorker[] = []
  answersPings = true
  start(_: unknown, handlers: Parameters<SlotWorkerHost['start']>[1]) {
    const exit = (cause: Error | undefined) => {
      if (worker.ended) return
      worker.ended = true
      handlers.onExit(cause)
    }
    const worker = new ScriptedWorker(handlers.onMessage, exit)
    this.started.push(worker)
    queueMicrotask(() => handlers.onMessage({ kind: 'ready' }))
    return {
      post: (message: ToSlotWorker) => {
        worker.received.push(message)
        if (message.kind === 'ping' && this.answersPings) handlers.onMessage({ kind: 'pong', sequence: message.sequence })
      },
      terminate: async () => exit(undefined),
    }
  }
}

export class RecordingNetwork implements NetworkEnvironment {
  readonly doorbell = createDoorbell()
  readonly log: string[] = []
  readonly inputs: { channel: ChannelDescriptor; onBroken: (cause: Error) => void }[] = []
  async start(): Promise<number> {
    return 1
  }
  openOutput(channel: ChannelDescriptor): void {
    this.log.push(`output ${channel.producerAttempt} -> ${channel.consumerAttempt}`)
  }
  openInput(channel: ChannelDescriptor, producer: { host: string; port: number }, onBroken: (cause: Error) => void): void {
    this.log.push(`input ${channel.producerAttempt} -> ${channel.consumerAttempt} from ${producer.host}:${producer.port}`)
    this.inputs.push({ channel, onBroken })
  }
  closeAttempt(attemptId: string, options: { finished?: boolean } = {}): void {
    this.log.push(`close ${attemptId}${options.finished ? ' finished' : ''}`)
  }
  async stop(): Promise<void> {}
}

export class ScriptedRetrieval implements LeaderRetrieval {
  current: LeaderInfo | undefined
  connected = true
  #onChange: ((leader: LeaderInfo | undefined) => void) | undefined
  #onMark: (mark: GivenUpMark) => void = () => {}
  watch(onChange: (leader: LeaderInfo | undefined) => void): () => void {
    this.#onChange = onChange
    if (this.current) onChange(this.current)
    return () => {}
  }
  watchGivenUp(_: string, onMark: (mark: GivenUpMark) => void): void {
    this.#onMark = onMark
  }
  mark(processId: string, life: number): void {
    this.#onMark({ taskManagerId: 'tm', processId, life, cause: 'no heartbeat', time: 0 })
  }
  set(leader: LeaderInfo | undefined): void {
    this.current = leader
    this.#onChange?.(leader)
  }
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
}

export const epochOf = (n: number): Epoch => ({ incarnation: 0, czxid: n.toString(16).padStart(16, '0') })

/** A JobManager that takes everything and remembers it. */
export class ScriptedLeader {
  readonly registrations: TaskManagerRegistration[] = []
  readonly goodbyes: string[] = []
  /** 'method attempt detail', as far as acknowledged. */
  readonly told: string[] = []
  /** How many states each call told. */
  readonly reportsAtOnce: number[] = []
  /** Called before a report is taken; throws or waits instead of taking it. */
  beforeTaking: (line: string) => Promise<void> | void = () => {}
  connection: RpcConnection | undefined
  /** Registrations are refused, as of one that was given up, while it says so. */
  refuses: (registration: TaskManagerRegistration) => boolean = () => false
  /** How often it was told that the TaskManager wants to go, and what it answers. */
  wishes = 0
  progress: DrainProgress = { slots: 1, moving: true, missing: [] }
  readonly info: LeaderInfo

  constructor(
    readonly process: LoopbackProcess,
    readonly number: number,
    jobIds: readonly string[],
  ) {
    this.info = { jobManagerId: `jm-${number}`, rpcAddress: process.address, restUrl: '', epoch: epochOf(number) }
    process.endpoints.register(resourceManagerGateway, {
      registerTaskManager: async (registration, { connection }) => {
        this.registrations.push(registration)
        if (this.refuses(registration)) throw new FlottError('TASK_MANAGER_GIVEN_UP', 'no heartbeat')
        this.connection = connection
        return { clusterUuid: 'uuid', heartbeatIntervalMs: 1_000, heartbeatTimeoutMs: 5_000 }
      },
      reportSlots: async ({ slots }) => {
        this.told.push(`slots ${slots.map((slot) => slot.state).join(' ')}`)
        return { accepted: true }
      },
      drainTaskManager: async () => {
        this.wishes++
        return this.progress
      },
      disconnectTaskManager: async ({ cause, drained }) => {
        this.goodbyes.push(drained === undefined ? cause : `${drained ? '' : 'not '}drained: ${cause}`)
        return { accepted: true }
      },
    })
    for (const jobId of jobIds) this.serveJob(jobId)
  }
  serveJob(jobId: string): void {
    const take = async (line: string) => {
      await this.beforeTaking(line)
      this.told.push(line)
      return { accepted: true } as const
    }
    this.process.endpoints.register<JobMasterGateway>(
      jobMasterGateway,
      {
        updateTaskExecutionStates: async ({ reports }) => {
          this.reportsAtOnce.push(reports.length)
          await Promise.all(
            reports.map(({ attemptId, state, error }) => take(`${attemptId} ${state}${error?.code ? ` ${error.code}` : ''}`)),
          )
          return { accepted: true }
        },
        acknowledgeCheckpoint: ({ attemptId, checkpointId }) => take(`${attemptId} acknowledges ${checkpointId}`),
        declineCheckpoint: ({ attemptId, checkpointId }) => take(`${attemptId} declines ${checkpointId}`),
        sendReaderEvent: ({ attemptId, event }) => take(`${attemptId} ${event.kind}`),
        sendCollected: ({ attemptId, records }) => take(`${attemptId} collected ${records.length}`),
        awaitFinalCheckpoint: ({ attemptId }) => take(`${attemptId} awaits`),
      },
      jobId,
    )
  }
  taskExecutor(): TaskExecutorGateway {
    return this.connection!.gateway(taskExecutorGateway, { epoch: () => this.info.epoch })
  }
}

export class TaskExecutorWorld {
  readonly clock = new FakeClock()
  readonly network = new LoopbackNetwork(this.clock, { delayMs: () => 1, drops: () => false })
  readonly workers = new ScriptedWorkers()
  readonly data = new RecordingNetwork()
  readonly retrieval = new ScriptedRetrieval()
  readonly printed: string[] = []
  drainRequests = 0
  readonly process = this.network.process('tm:1')
  readonly taskExecutor = new TaskExecutor({
    taskManagerId: 'tm',
    host: 'tm',
    dataPort: 7,
    slotCount: 2,
    managedBytes: 100,
    version: '0',
    hardware: { cpuCores: 1, physicalMemoryBytes: 1, freeMemoryBytes: 1, cpuModel: '', os: '' },
    logLevel: 'info',
    leaderlessTimeoutMs: 60_000,
    watchdogMs: 30_000,
    cancellationTimeoutMs: 180_000,
    drainTimeoutMs: 30_000,
    onDrainRequested: () => void this.drainRequests++,
    clock: this.clock,
    random: seededRandom(1),
    logger: silentLogger,
    rpc: this.process,
    retrieval: this.retrieval,
    network: this.data,
    workerHost: this.workers,
    blobs: this.process.blobTransfer(),
    processMetrics: () => ({ rssBytes: 1, heapUsedBytes: 1, cpuSeconds: 1 }),
    print: (line) => this.printed.push(line),
  })

  /** Lets a leader reign and the TaskManager register with it. */
  async leader(number: number, jobIds: readonly string[] = ['job']): Promise<ScriptedLeader> {
    const leader = new ScriptedLeader(this.network.process(`jm:${number}`), number, jobIds)
    this.retrieval.set(leader.info)
    await this.clock.runUntil(() => leader.registrations.length > 0, { withinMs: 10_000 })
    await this.clock.advance(10)
    return leader
  }
  async call<T>(calling: Promise<T>): Promise<T> {
    calling.catch(() => {})
    await this.clock.advance(10)
    return calling
  }
  /** The worker that a slot has: they are taken in the order in which they were started. */
  worker(n: number): ScriptedWorker {
    return this.workers.started[n]!
  }
  async allocate(leader: ScriptedLeader, slotIndex: number, allocationId = `alloc-${slotIndex}`, jobId = 'job'): Promise<void> {
    await this.call(leader.taskExecutor().requestSlot({ slotIndex, allocationId, jobId }))
  }
}

const vertex = (id: string, parallelism: number) => ({
  id,
  name: id,
  parallelism,
  maxParallelism: 128,
  slotSharingGroup: 'default',
  operators: [],
})
const edge = (source: string, target: string, partitioner: JobEdge['partitioner']): JobEdge => ({
  id: `${source}->${target}#0`,
  source,
  sourceOperator: source,
  target,
  targetOperator: target,
  partitioner,
  targetInput: 0,
})
export const jobGraph: JobGraph = {
  jobId: 'job',
  jobName: 'job',
  program: { args: [], env: {}, clockMs: 0, randomSeed: 0, once: {}, executeIndex: 0, earlierResults: [] },
  fingerprint: '',
  settings: {},
  vertices: [vertex('s', 2), vertex('t', 2)],
  edges: [edge('s', 't', 'hash')],
}

/** Subtask i of each vertex in slot i; subtasks named in `elsewhere` are on another TaskManager. */
export function deploymentOf(options: { attemptNumber?: number; elsewhere?: readonly number[] } = {}): TaskDeployment {
  const { attemptNumber = 1, elsewhere = [] } = options
  const attempts = jobGraph.vertices.flatMap(({ id, parallelism }) =>
    Array.from({ length: parallelism }, (_, subtaskIndex) => ({
      vertexId: id,
      subtaskIndex,
      attemptNumber,
      attemptId: `${id}_${subtaskIndex}_${attemptNumber}`,
      taskManagerId: elsewhere.includes(subtaskIndex) ? 'other' : 'tm',
      slotIndex: subtaskIndex,
      allocationId: `alloc-${subtaskIndex}`,
      dataHost: elsewhere.includes(subtaskIndex) ? 'other' : 'tm',
      dataPort: 7,
    })),
  )
  const tasks: TaskDeploymentDescriptor[] = attempts
    .filter(({ taskManagerId }) => taskManagerId === 'tm')
    .map(({ attemptId, vertexId, subtaskIndex, allocationId, slotIndex }) => ({
      attemptId,
      vertexId,
      subtaskIndex,
      attemptNumber,
      allocationId,
      slotIndex,
    }))
  const deployment = encodeDeployment({ jobId: 'job', deploymentNumber: attemptNumber, epoch: epochOf(1), attempts })
  return { jobId: 'job', jobGraph: encodeJobGraph(jobGraph), deployment, tasks }
}
