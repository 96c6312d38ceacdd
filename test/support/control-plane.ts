/** A JobManager on a fake clock, over the loopback network, with memory for ZooKeeper and disks, and doubles for checkpoints and sources. */
import { configOf } from '#core/config/resolve-config.js'
import type { Epoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { seededRandom } from '#core/random.js'
import type { Application } from '#jobmanager/application/application.js'
import { JobManager } from '#jobmanager/job-manager.js'
import type { CheckpointCoordinatorApi, JobMasterContext, SourceCoordinatorsApi } from '#jobmanager/jobmaster/job-master-context.js'
import { jobMasterSettings } from '#jobmanager/jobmaster/job-master-settings.js'
import type { StorageOperations } from '#jobmanager/replication/storage-operations.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { LeaderElection, Reign } from '#protocol/ha/leadership.js'
import { type Registrations, registrationName, type TaskManagerProcess } from '#protocol/ha/registrations.js'
import { LoopbackNetwork, type LoopbackProcess } from '#rpc/loopback.js'
import { FakeClock } from './fake-clock.js'
import { FakeTaskManager } from './fake-task-manager.js'
import { MemoryBlobs, MemoryFacts } from './memory-storage.js'

/** What tests say that is registered in ZooKeeper; nothing is known until they do. */
export class FakeRegistrations implements Registrations {
  listed: ReadonlySet<string> | undefined
  readonly #listeners: (() => void)[] = []
  watch(onListed: () => void): void {
    this.#listeners.push(onListed)
  }
  list(...processes: readonly TaskManagerProcess[]): void {
    this.listed = new Set(processes.map(registrationName))
    for (const tell of this.#listeners) tell()
  }
}

export class FakeReign implements Reign {
  readonly registrations = new FakeRegistrations()
  readonly ending = new AbortController()
  suspended = false
  published = false
  #waiting: (() => void)[] = []
  constructor(
    readonly epoch: Epoch,
    readonly facts: MemoryFacts,
  ) {}
  get signal(): AbortSignal {
    return this.ending.signal
  }
  holds(): boolean {
    return !this.signal.aborted
  }
  async whenConfirmed(): Promise<void> {
    while (this.suspended && !this.signal.aborted) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (this.signal.aborted) throw new FlottError('NOT_LEADER', 'the reign has ended')
  }
  suspend(): void {
    this.suspended = true
  }
  confirm(): void {
    this.suspended = false
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
  end(): void {
    this.ending.abort(new FlottError('NOT_LEADER', 'the reign has ended'))
    this.confirm()
  }
  async publish(): Promise<void> {
    this.published = true
  }
}

export const NO_OPERATIONS: StorageOperations = {
  check: async () => ({ healthy: true, disks: [], unreadable: [] }),
  collect: async ({ dryRun }) => ({ 'dry-run': dryRun, removed: [], 'removed-bytes': 0, waiting: [] }),
}

/** What a job's coordinators were told. */
export interface CoordinatorLog {
  readonly calls: string[]
  restorePoint: { id: number; blob: string; manifest: CheckpointManifest } | undefined
  /** The checkpoint that was asked for. */
  completeCheckpoint: () => void
  context: JobMasterContext | undefined
  /** Awaited before the sources have started. */
  beforeSources: () => Promise<void>
  /** Awaited before the sources are closed. */
  beforeClosed: () => Promise<void>
}

export class ControlPlane {
  readonly clock = new FakeClock()
  readonly network = new LoopbackNetwork(this.clock)
  readonly facts = new MemoryFacts()
  readonly blobs = new MemoryBlobs()
  readonly coordinators: CoordinatorLog = {
    calls: [],
    restorePoint: undefined,
    completeCheckpoint: () => {},
    context: undefined,
    beforeSources: async () => {},
    beforeClosed: async () => {},
  }
  reign!: FakeReign
  jobManager!: JobManager
  /** Of all leaders from then on. */
  application: Application | undefined
  #process: LoopbackProcess | undefined
  #reigns = 0

  /** A new leader; the one before is gone. */
  async lead(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#reigns++
    const address = `jm${this.#reigns}:1`
    this.#process = this.network.process(address)
    this.reign = new FakeReign({ incarnation: 0, czxid: this.#reigns.toString(16).padStart(16, '0') }, this.facts)
    const { reign } = this
    const election: LeaderElection = {
      start: (candidate) => candidate.onGranted(reign),
      stepDown: async () => reign.end(),
      stop: async () => reign.end(),
    }
    this.jobManager = new JobManager({
      election,
      storage: {
        persistEpoch: async () => {},
        lead: async () => ({ blobs: this.blobs, clusterUuid: 'uuid', operations: NO_OPERATIONS, stop: async () => {} }),
      },
      address: { jobManagerId: `jm${this.#reigns}`, rpcAddress: address, restUrl: '' },
      logger: silentLogger,
      parts: {
        endpoints: this.#process.endpoints,
        clock: this.clock,
        random: seededRandom(this.#reigns),
        logger: silentLogger,
        settings: {
          heartbeatIntervalMs: 1_000,
          heartbeatTimeoutMs: 5_000,
          completed: { capacity: 2, expirationMs: 3_600_000 },
          marksGivenUp: true,
        },
        settingsOf: (graph: JobGraph) => jobMasterSettings(configOf({ ...settings, ...graph.settings }).config),
        createCoordinators: (context) => this.#doubles(context),
        ...(this.application ? { application: this.application } : {}),
      },
    })
    await this.jobManager.start()
  }
  get address(): string {
    return this.#process!.address
  }
  get dispatcher() {
    return this.jobManager.leading()!.dispatcher
  }
  /** The leader's process is gone; its TaskManagers see their connections closed. */
  async crashLeader(): Promise<void> {
    this.network.crash(this.address)
    this.reign.end()
    await this.clock.advance(0)
  }
  async taskManager(id: string, slots: number): Promise<FakeTaskManager> {
    const taskManager = new FakeTaskManager(id, this.network, slots)
    await this.connect(taskManager)
    return taskManager
  }
  async connect(taskManager: FakeTaskManager): Promise<void> {
    const connected = taskManager.connect(this.address, this.reign.epoch)
    await this.clock.advance(1)
    await connected
  }
  async status(jobId: string): Promise<string> {
    return (await this.dispatcher.describeJob({ jobId })).status
  }
  /** Lets time pass until the job has the status. */
  async until(jobId: string, status: string, withinMs = 60_000): Promise<void> {
    let seen = ''
    const look = () =>
      void this.status(jobId)
        .then((s) => (seen = s))
        .catch(() => {})
    for (let ms = 0; ms <= withinMs; ms += 10) {
      look()
      await this.clock.advance(10)
      if (seen === status) return
    }
    throw new Error(`the job is ${seen}, not ${status}, after ${withinMs} ms of fake time`)
  }

  #doubles(context: JobMasterContext) {
    const { coordinators } = this
    coordinators.context = context
    const log = (call: string) => void coordinators.calls.push(call)
    const checkpoints: CheckpointCoordinatorApi = {
      startTriggering: () => log('startTriggering'),
      stopTriggering: () => log('stopTriggering'),
      takeNow: (onCompleted) => {
        log('takeNow')
        coordinators.completeCheckpoint = onCompleted
      },
      acknowledge: () => {},
      decline: () => {},
      awaitFinalCheckpoint: () => {},
      executionFinished: () => log('executionFinished'),
      loadRestorePoint: async () => coordinators.restorePoint,
      newest: async () => coordinators.restorePoint,
      restoreOf: (manifest, _vertexId, _subtask, parallelism) => ({ checkpointId: manifest.checkpointId, operators: {}, parallelism }),
      resume: (attempts) => log(`resume ${attempts.length}`),
      statistics: () => ({ counts: { restored: 0, total: 0, inProgress: 0, completed: 0, failed: 0 }, history: [] }),
      importStatistics: () => {},
      close: () => log('close'),
    }
    const sources: SourceCoordinatorsApi = {
      prepare: () => {},
      start: async (states, adopted = []) => {
        log(`sources.start ${states === undefined ? 'fresh' : 'restored'}${adopted.length > 0 ? ` with ${adopted.length} adopted` : ''}`)
        await coordinators.beforeSources()
      },
      handleReaderEvent: (attemptId) => log(`readerEvent ${attemptId}`),
      readerFailed: (_operatorId, reader) => log(`readerFailed ${reader}`),
      snapshot: async () => ({}),
      notifyCheckpointComplete: () => {},
      mergeAccumulators: async () => ({}),
      resumeAssignments: () => log('resumeAssignments'),
      close: () => coordinators.beforeClosed(),
    }
    return { checkpoints, sources }
  }
}
