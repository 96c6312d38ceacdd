/**
 * The control plane with more TaskManagers than a machine has room for: a real JobManager (JobMaster, checkpoints, enumerators, slots) in
 * this thread and on the real clock; TaskManagers in another; memory for ZooKeeper and disks.
 */
import { discardSink, generatorSource, StreamExecutionEnvironment } from '#client/index.js'
import { systemClock } from '#core/clock.js'
import { configOf } from '#core/config/resolve-config.js'
import { HighestEpoch } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { seededRandom } from '#core/random.js'
import { JobManager } from '#jobmanager/job-manager.js'
import { coordinatorFactory } from '#jobmanager/jobmaster/coordinator-factory.js'
import { jobMasterSettings } from '#jobmanager/jobmaster/job-master-settings.js'
import { InlineEnumeratorHost } from '#jobmanager/jobmaster/sources/inline-enumerator-host.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { LeaderElection } from '#protocol/ha/leadership.js'
import { Endpoints } from '#rpc/endpoint-registry.js'
import { FunctionLoader } from '#usercode/program-loader.js'
import { FakeReign, NO_OPERATIONS } from '../support/control-plane.js'
import { graphOf } from '../support/graph.js'
import { MemoryBlobs, MemoryFacts } from '../support/memory-storage.js'
import { SimulatedTaskManagers } from './simulated-task-managers.js'

const TURN_MS = 1
const WITHIN_MS = 120_000

export class SimulatedCluster {
  readonly #facts = new MemoryFacts()
  readonly #blobs = new MemoryBlobs()
  readonly #taskManagers: SimulatedTaskManagers
  #jobManager: JobManager | undefined
  #reign: FakeReign | undefined
  #reigns = 0
  #loader: FunctionLoader | undefined

  constructor(options: { readonly taskManagers: number; readonly slots: number }) {
    this.#taskManagers = new SimulatedTaskManagers(options)
  }

  /** Grants leadership to a new JobManager; TaskManagers come as soon as it has published its address. */
  async lead(): Promise<void> {
    const address = `jm-${++this.#reigns}:1`
    const endpoints = new Endpoints(new HighestEpoch())
    const reign = new FakeReign({ incarnation: 0, czxid: this.#reigns.toString(16).padStart(16, '0') }, this.#facts)
    this.#reign = reign
    const election: LeaderElection = {
      start: (candidate) => candidate.onGranted(reign),
      stepDown: async () => reign.end(),
      stop: async () => reign.end(),
    }
    const host = new InlineEnumeratorHost((graph) => this.#loader!.load(graph), systemClock)
    this.#jobManager = new JobManager({
      election,
      storage: {
        persistEpoch: async () => {},
        lead: async () => ({ blobs: this.#blobs, clusterUuid: 'uuid', operations: NO_OPERATIONS, stop: async () => {} }),
      },
      address: { jobManagerId: address, rpcAddress: address, restUrl: '' },
      logger: silentLogger,
      parts: {
        endpoints,
        clock: systemClock,
        random: seededRandom(this.#reigns),
        logger: silentLogger,
        settings: {
          heartbeatIntervalMs: 1_000,
          heartbeatTimeoutMs: 30_000,
          completed: { capacity: 2, expirationMs: 3_600_000 },
          marksGivenUp: true,
        },
        settingsOf: (graph) => jobMasterSettings(configOf(graph.settings).config),
        createCoordinators: coordinatorFactory(host),
      },
    })
    await this.#jobManager.start()
    await this.#taskManagers.connectTo(endpoints, reign.epoch)
  }
  /** The leader's process is gone. */
  crashLeader(): void {
    this.#taskManagers.leaderCrashed()
    this.#reign!.end()
  }
  async stop(): Promise<void> {
    await this.#jobManager?.stop()
    await this.#taskManagers.stop()
  }
  async submit(program: () => unknown): Promise<JobGraph> {
    const jobGraph = await graphOf(program)
    this.#loader = new FunctionLoader(program)
    await this.#leading.dispatcher.submitJob({ jobGraph })
    return jobGraph
  }
  /** Until all its tasks run, and no restart was needed. */
  async untilRunning({ jobId, vertices }: JobGraph): Promise<void> {
    const tasks = vertices.reduce((sum, { parallelism }) => sum + parallelism, 0)
    for (const end = systemClock.monotonicMs() + WITHIN_MS; systemClock.monotonicMs() < end; await pause()) {
      const job = (await this.#jobManager?.leading()?.dispatcher.listJobs({}))?.find((overview) => overview.jobId === jobId)
      if (job?.status === 'RUNNING' && job.tasks.RUNNING === tasks) return
    }
    const { status, failure } = await this.#leading.dispatcher.describeJob({ jobId })
    throw new Error(`the job is ${status} after ${WITHIN_MS} ms`, { cause: failure })
  }
  deployments(): Promise<number> {
    return this.#taskManagers.deployments()
  }
  get #leading() {
    return this.#jobManager!.leading()!
  }
}

/** Vertices of one parallelism, linked one to one but for one exchange by key in the middle. */
export function pipeline(vertices: number, parallelism: number): () => unknown {
  return async () => {
    const env = StreamExecutionEnvironment.getExecutionEnvironment({
      'parallelism.default': parallelism,
      'execution.checkpointing.interval': '1 s',
    })
    let stream = env.fromSource(
      generatorSource((i) => i, { count: 1_000_000 }),
      'numbers',
    )
    for (let i = 2; i <= vertices; i++) {
      if (i === Math.ceil(vertices / 2) + 1) stream = stream.keyBy((n) => n).reduce((a, b) => a + b, `step ${i}`)
      else stream = stream.rescale().map((n) => n + 1, `step ${i}`)
    }
    stream.sinkTo(discardSink(), 'sink')
    await env.execute('pipeline')
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => void systemClock.setTimer(TURN_MS, resolve))
}
