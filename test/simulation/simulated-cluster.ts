/**
 * A whole cluster in one thread: real JobManagers, TaskManagers and slot workers over a simulated network, ZooKeeper and disk, under a
 * fake clock. All chance comes from one seed, so that a seed is a whole history.
 */
import { configOf } from '#core/config/load-config.js'
import { HighestEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { between, type Random, seededRandom } from '#core/random.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import { ZooKeeperLeaderElection } from '#ha/zookeeper/zookeeper-leader-election.js'
import { ZooKeeperLeaderRetrieval } from '#ha/zookeeper/zookeeper-leader-retrieval.js'
import { JobManager, type Leading } from '#jobmanager/job-manager.js'
import { coordinatorFactory } from '#jobmanager/jobmaster/coordinator-factory.js'
import { jobMasterSettings } from '#jobmanager/jobmaster/job-master-settings.js'
import { InlineEnumeratorHost } from '#jobmanager/jobmaster/sources/inline-enumerator-host.js'
import type { JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import { ChannelNetworkEnvironment } from '#taskmanager/network/channel-network-environment.js'
import { LoopbackDataPorts } from '#taskmanager/network/loopback-transport.js'
import { TaskExecutor } from '#taskmanager/task-executor.js'
import { FunctionLoader } from '#usercode/program-loader.js'
import { FakeClock } from '../support/fake-clock.js'
import { graphOf } from '../support/graph.js'
import { MemoryBlobs } from '../support/memory-storage.js'
import { InPlaceSlotWorkerHost } from './in-place-workers.js'

export interface SimulationOptions {
  readonly seed: number
  readonly jobManagers: number
  readonly taskManagers: number
  readonly slotsEach: number
  /** Chance that a message is lost, and its connection with it. */
  readonly dropRate?: number
  readonly delayMs?: readonly [number, number]
  /** What the job is; evaluated anew in each slot and for each enumerator, like an artifact. */
  readonly program: () => unknown
  readonly settings?: Readonly<Record<string, string>>
}

interface Process {
  readonly name: string
  readonly kind: 'jobmanager' | 'taskmanager'
  readonly jobManager?: JobManager
  /** Without a goodbye. */
  crash(): void
}

const ZOOKEEPER_RETRY_MS = 500

export class SimulatedCluster {
  readonly clock = new FakeClock()
  readonly random: Random
  readonly zookeeper: SimulatedZooKeeper
  readonly network: LoopbackNetwork
  /** What all JobManagers have on disk: the in-sync set never diverges here. */
  readonly blobs = new MemoryBlobs()
  /** 'time process text {fields}': the history that a seed is. */
  readonly log: string[] = []
  /** Faults of the network happen only while it is true. */
  faulty = true
  readonly #processes = new Map<string, Process>()
  readonly #dataPorts: LoopbackDataPorts
  readonly #paths = new ClusterPaths('simulated')
  readonly #loader: FunctionLoader

  constructor(readonly options: SimulationOptions) {
    this.random = seededRandom(options.seed)
    this.zookeeper = new SimulatedZooKeeper(this.clock, this.random)
    const [from, to] = options.delayMs ?? [0, 5]
    this.network = new LoopbackNetwork(this.clock, {
      delayMs: () => between(this.random, from, to + 1),
      drops: () => this.faulty && this.random.next() < (options.dropRate ?? 0),
    })
    this.#dataPorts = new LoopbackDataPorts(this.network)
    this.#loader = new FunctionLoader(options.program)
  }

  async start(): Promise<void> {
    for (let i = 1; i <= this.options.jobManagers; i++) this.startJobManager(`jm-${i}`)
    for (let i = 1; i <= this.options.taskManagers; i++) await this.startTaskManager(`tm-${i}`)
    await this.clock.runUntil(() => this.leading !== undefined, { withinMs: 60_000 })
  }
  get processes(): readonly string[] {
    return [...this.#processes.keys()]
  }
  get leading(): Leading | undefined {
    for (const { jobManager } of this.#processes.values()) if (jobManager?.leading()) return jobManager.leading()
    return undefined
  }
  get leader(): string | undefined {
    return this.leading?.info.jobManagerId
  }

  /** Submits the program's job, whatever happens to leaders meanwhile. */
  async submit(): Promise<JobGraph> {
    const jobGraph = await graphOf(this.options.program, this.options.settings)
    const graphs: Promise<unknown>[] = []
    let accepted = false
    const attempt = () => {
      const { leading } = this
      if (leading)
        graphs.push(
          leading.dispatcher
            .submitJob({ jobGraph })
            .then(() => (accepted = true))
            .catch(() => {}),
        )
      if (!accepted) this.clock.setTimer(1_000, () => accepted || attempt())
    }
    attempt()
    await this.clock.runUntil(() => accepted, { withinMs: 120_000 })
    return jobGraph
  }
  /** undefined while nobody leads. */
  async describe(jobId: string): Promise<JobDetails | undefined> {
    let details: JobDetails | undefined
    this.leading?.dispatcher
      .describeJob({ jobId })
      .then((answer) => (details = answer))
      .catch(() => {})
    await this.clock.advance(0)
    return details
  }
  /** Lets time pass until the job is in the state, in steps, and returns what it is then. */
  async untilStatus(jobId: string, status: JobDetails['status'], withinMs: number): Promise<JobDetails> {
    const end = this.clock.monotonicMs() + withinMs
    for (;;) {
      const details = await this.describe(jobId)
      if (details?.status === status) return details
      if (this.clock.monotonicMs() >= end)
        throw new Error(
          `seed ${this.options.seed}: job is ${details?.status}, not ${status}, in ${withinMs} ms\n${this.log.slice(-40).join('\n')}`,
        )
      await this.clock.advance(100)
    }
  }

  /** The process is gone at once. A JobManager's supervisor ends its ZooKeeper session. */
  crash(name: string): void {
    const process = this.#processes.get(name)
    if (!process) throw new Error(`no process ${name}`)
    this.#note(name, 'crashed')
    this.#processes.delete(name)
    process.crash()
  }
  async restart(name: string): Promise<void> {
    this.#note(name, 'starts again')
    this.zookeeper.restart(name)
    if (name.startsWith('jm')) this.startJobManager(name)
    else await this.startTaskManager(name)
  }

  startJobManager(name: string): void {
    const address = `${name}:6123`
    const seen = new HighestEpoch()
    const endpoint = this.network.process(address, seen)
    endpoint.serveBlobs(this.blobs)
    const logger = this.#logger(name)
    const { clock, random } = this
    const election = new ZooKeeperLeaderElection({
      zookeeper: this.zookeeper.client(name),
      paths: this.#paths,
      jobManagerId: name,
      clock,
      random,
      logger,
      isMember: async (facts) => {
        await facts.createCluster({ clusterId: 'simulated', uuid: 'simulated', incarnation: 0 })
        return true
      },
      persistEpoch: async (epoch) => {
        if (!seen.adopt(epoch)) throw new FlottError('NOT_LEADER', 'a higher epoch was seen')
      },
      retryWaitMs: ZOOKEEPER_RETRY_MS,
    })
    const jobManager = new JobManager({
      election,
      storage: {
        persistEpoch: async () => {},
        lead: async () => ({ blobs: this.blobs, clusterUuid: 'simulated', stop: async () => {} }),
      },
      address: { jobManagerId: name, rpcAddress: address, restUrl: '' },
      logger,
      parts: {
        endpoints: endpoint.endpoints,
        clock,
        random,
        logger,
        settings: { heartbeatIntervalMs: 1_000, heartbeatTimeoutMs: 5_000, completed: { capacity: 10, expirationMs: 3_600_000 } },
        settingsOf: (graph) => jobMasterSettings(configOf({ ...this.options.settings, ...graph.settings }).config),
        createCoordinators: coordinatorFactory(new InlineEnumeratorHost((graph) => this.#loader.load(graph), clock)),
      },
    })
    this.#processes.set(name, {
      name,
      kind: 'jobmanager',
      jobManager,
      crash: () => {
        this.network.crash(address)
        this.zookeeper.release(name)
        void election.stop().catch(() => {})
      },
    })
    jobManager.start().catch((error: unknown) => this.#note(name, 'did not start', { error }))
  }

  async startTaskManager(name: string): Promise<void> {
    const { clock, random } = this
    const endpoint = this.network.process(`${name}:6122`)
    const logger = this.#logger(name)
    const retrieval = new ZooKeeperLeaderRetrieval({
      zookeeper: this.zookeeper.client(name),
      paths: this.#paths,
      clock,
      logger,
      retryWaitMs: ZOOKEEPER_RETRY_MS,
    })
    const network = new ChannelNetworkEnvironment({
      transport: this.#dataPorts.transport(endpoint),
      oneThread: true,
      taskManagerId: name,
      clock,
      logger,
    })
    const workerHost = new InPlaceSlotWorkerHost(clock, random, this.#loader)
    const dataPort = await network.start(name, 0)
    const taskExecutor = new TaskExecutor({
      taskManagerId: name,
      host: name,
      dataPort,
      slotCount: this.options.slotsEach,
      managedBytes: 1e9,
      version: 'simulated',
      hardware: { cpuCores: 1, physicalMemoryBytes: 1e9, freeMemoryBytes: 1e9, cpuModel: 'simulated', os: 'simulated' },
      logLevel: 'info',
      leaderlessTimeoutMs: 60_000,
      watchdogMs: 0,
      cancellationTimeoutMs: 30_000,
      ring: { slotBytes: 4096, slots: 4 },
      keepSpareWorker: false,
      clock,
      random,
      logger,
      rpc: endpoint,
      retrieval,
      network,
      workerHost,
      blobs: endpoint.blobTransfer(),
      processMetrics: () => ({ rssBytes: 0, heapUsedBytes: 0, cpuSeconds: 0 }),
      print: (line) => this.#note(name, line),
    })
    this.#processes.set(name, {
      name,
      kind: 'taskmanager',
      crash: () => {
        workerHost.crash()
        this.network.crash(endpoint.address)
        this.zookeeper.crash(name)
        void taskExecutor.stop().catch(() => {})
      },
    })
    retrieval.start().catch((error: unknown) => this.#note(name, 'retrieval did not start', { error }))
    taskExecutor.start().catch((error: unknown) => this.#note(name, 'did not start', { error }))
  }

  #logger(name: string): Logger {
    const at = (level: string, bound: object): Logger => {
      const write = (l: string) => (text: string, fields?: object) => this.#note(name, `${l} ${text}`, { ...bound, ...fields })
      return {
        debug: () => {},
        info: write('info'),
        warn: write('warn'),
        error: write('error'),
        child: (fields) => at(level, { ...bound, ...fields }),
      }
    }
    return at('info', {})
  }
  #note(name: string, text: string, fields: object = {}): void {
    const plain = JSON.stringify(fields, (_, value: unknown) =>
      value instanceof Error ? `${value.message}${value.cause ? ` <- ${String(value.cause)}` : ''}` : value,
    )
    this.log.push(`${this.clock.monotonicMs()} ${name} ${text} ${plain}`)
  }
}
