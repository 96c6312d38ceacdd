/**
 * The world around one job's checkpoint coordinators, reign after reign: tasks that snapshot, decline and lose messages by chance, blobs
 * that fail, a fact whose set may be the last thing that a reign did. It checks what must hold at each step.
 */
import type { ExecutionContext } from 'ava'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { createCheckpointCoordinator } from '#jobmanager/jobmaster/checkpoint/checkpoint-coordinator.js'
import type { CheckpointSettings } from '#jobmanager/jobmaster/checkpoint/checkpoint-settings.js'
import { chunksOfManifest } from '#jobmanager/jobmaster/checkpoint/manifest-builder.js'
import type { CheckpointCoordinatorApi, ExecutionView, JobMasterContext } from '#jobmanager/jobmaster/job-master-context.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import { decodeManifest, encodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { FakeClock } from '../../../../support/fake-clock.js'
import { executionsOf, jobFact, linearGraph, MapBlobStore } from '../../../../support/job-master-fixture.js'

export interface Chances {
  readonly decline: number
  readonly silent: number
  readonly lostNotification: number
  readonly lostTrigger: number
  readonly blobFails: number
  readonly factRefused: number
  /** What a task says of the completion that it was told. */
  readonly tellsTold: boolean
}
export const NO_FAULTS: Chances = {
  decline: 0,
  silent: 0,
  lostNotification: 0,
  lostTrigger: 0,
  blobFails: 0,
  factRefused: 0,
  tellsTold: true,
}

interface ModelTask {
  readonly view: ExecutionView
  told: number
  /** Chunk chains by checkpoint, as in a state backend: what a delta may be put behind. */
  readonly chains: Map<number, readonly ChunkRef[]>
  readonly pending: Set<number>
}

const OTHER_JOB = 'b'.repeat(32)
const graph = linearGraph([
  { name: 'source', kind: 'source', parallelism: 2 },
  { name: 'count', kind: 'keyedProcess', parallelism: 2 },
])
const METRICS = {
  checkpointStartDelayMs: 0,
  alignmentDurationMs: 0,
  syncDurationMs: 0,
  asyncDurationMs: 0,
  checkpointedBytes: 1,
  stateBytes: 1,
  unaligned: false,
}

export class CheckpointWorld {
  readonly clock = new FakeClock()
  readonly random: Random
  readonly blobs = new MapBlobStore()
  fact: JobFact = jobFact(graph)
  chances: Chances
  completed = 0
  failures = 0
  coordinator!: CheckpointCoordinatorApi
  #tasks: ModelTask[] = []
  #attempt = 0
  #reign = new AbortController()
  /** What tasks have acknowledged, by checkpoint. */
  readonly #acknowledged = new Map<number, Set<string>>()
  readonly #aborted = new Set<number>()
  readonly #begun: number[] = []

  constructor(
    private readonly t: ExecutionContext,
    seed: number,
    private readonly settings: CheckpointSettings,
    chances: Chances,
    /** It starts from this checkpoint of another job. */
    private readonly start = 0,
  ) {
    this.random = seededRandom(seed)
    if (start > 0) this.#beginFrom(start)
    this.chances = chances
    this.blobs.failing = (operation, name) =>
      this.#by(this.chances.blobFails) ? new FlottError('STORAGE_FAILED', `${operation} ${name}`) : undefined
    this.blobs.onDelete = (name) => {
      t.false(name.includes(OTHER_JOB), 'what belongs to another job is deleted')
      for (const { manifest } of this.fact.checkpoints) {
        t.not(name, manifest, 'a retained manifest is deleted')
        t.false(chunksOfManifest(decodeManifest(this.blobs.blobs.get(manifest)!)).has(name), `${name} is deleted, ${manifest} names it`)
      }
    }
    this.#deploy(start)
    this.#beginReign()
    this.coordinator.startTriggering()
  }

  #beginFrom(id: number): void {
    const manifest = `manifest/${OTHER_JOB}/${id}-x`
    const subtasks = [0, 1].map((subtaskIndex) => ({ subtaskIndex, finished: false, operators: {} }))
    this.blobs.blobs.set(
      manifest,
      encodeManifest({
        version: 1,
        jobId: OTHER_JOB,
        checkpointId: id,
        triggerTimestamp: 0,
        completedTimestamp: 0,
        kind: 'checkpoint',
        vertices: graph.vertices.map(({ id: vertexId, operators }) => {
          const operatorIds = operators.map((operator) => operator.id)
          return { vertexId, parallelism: 2, maxParallelism: 128, operatorIds, subtasks }
        }),
        coordinators: {},
        checkpointedSize: 0,
        stateSize: 0,
      }),
    )
    this.fact = { ...this.fact, startsFrom: { jobId: OTHER_JOB, id, manifest }, checkpointIdReserved: id }
  }

  /** The leader is gone, by chance in the middle of anything; the next one finds the tasks as they are. */
  endReign(): void {
    this.#reign.abort()
    this.#beginReign()
    if (this.#by(0.3)) {
      this.restart()
      return
    }
    this.coordinator.resume(this.#tasks.map((task) => this.#report(task)))
    this.coordinator.startTriggering()
  }
  /** The same, as a leader does it that finds all that it needs. */
  async takeOver(): Promise<void> {
    this.#reign.abort()
    this.#beginReign()
    await this.coordinator.newest()
    this.coordinator.resume(this.#tasks.map((task) => this.#report(task)))
    this.coordinator.startTriggering()
  }
  /** All tasks are lost and deployed anew from the newest checkpoint. */
  restart(): void {
    const { coordinator } = this
    coordinator.stopTriggering(new Error('a task was lost'))
    this.#tasks = []
    const deploy = () => {
      coordinator.loadRestorePoint().then(
        (point) => {
          if (coordinator !== this.coordinator) return
          const newest = this.fact.checkpoints.at(-1) ?? this.fact.startsFrom
          this.t.is(point?.id, newest?.id, 'the restore point is the newest completed checkpoint')
          this.#deploy(point?.id ?? 0)
          coordinator.startTriggering()
        },
        () => this.clock.setTimer(1_000, () => coordinator === this.coordinator && deploy()), // A blob could not be read by chance.
      )
    }
    deploy()
  }

  #deploy(restored: number): void {
    this.#attempt++
    this.#tasks = executionsOf(graph, this.#attempt).map((view) => {
      const isOwn = this.fact.checkpoints.some(({ id }) => id === restored)
      const chains = new Map(isOwn ? [[restored, this.#chainIn(restored, view)]] : [])
      return { view, told: restored, chains, pending: new Set() }
    })
  }
  #chainIn(checkpoint: number, view: ExecutionView): readonly ChunkRef[] {
    const { manifest: name } = this.fact.checkpoints.find(({ id }) => id === checkpoint)!
    const vertex = decodeManifest(this.blobs.blobs.get(name)!).vertices.find(({ vertexId }) => vertexId === view.vertexId)!
    return vertex.subtasks[view.subtaskIndex]!.operators[`op-${view.vertexId}`]!.keyed
  }

  #beginReign(): void {
    const reign = new AbortController()
    this.#reign = reign
    this.coordinator = createCheckpointCoordinator(this.#context(reign.signal), this.settings, {
      snapshot: async () => ({}),
      resumeAssignments: () => {},
      notifyCheckpointComplete: () => {},
    })
  }

  #context(signal: AbortSignal): JobMasterContext {
    const world = this
    let updating: Promise<unknown> = Promise.resolve()
    return {
      jobGraph: graph,
      epoch: { incarnation: 1, czxid: '0'.repeat(16) },
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      blobs: this.blobs,
      signal,
      get fact() {
        return world.fact
      },
      updateFact: (change) => {
        const update = updating.then(() => this.#updateFact(change, signal))
        updating = update.catch(() => {})
        return update
      },
      run: (turn) => signal.aborted || turn(),
      executions: () => this.#tasks.map((task) => task.view),
      taskManager: (id) => this.#taskManager(id, signal),
      failGlobally: (cause) => {
        this.t.is((cause as FlottError).code, 'CHECKPOINT_FAILED')
        this.failures++
        this.restart()
      },
      historyChanged: () => {},
    }
  }

  async #updateFact(change: (fact: JobFact) => JobFact, signal: AbortSignal): Promise<JobFact> {
    await this.#delay(20)
    if (signal.aborted) throw new FlottError('NOT_LEADER', 'the reign has ended')
    if (this.#by(this.chances.factRefused)) throw new FlottError('FACT_TOO_LARGE', 'by chance')
    const next = change(this.fact)
    this.#check(next)
    this.fact = next
    await this.#delay(20)
    // Set, but the reign ended before the answer came.
    if (signal.aborted) throw new FlottError('NOT_LEADER', 'the reign has ended')
    return next
  }

  #check(next: JobFact): void {
    const { t } = this
    t.true(next.checkpointIdReserved >= this.fact.checkpointIdReserved, 'reserved ids go back')
    const before = this.fact.checkpoints.at(-1)?.id ?? this.start
    for (const { id, manifest: name } of next.checkpoints) {
      if (id <= before) continue
      this.completed++
      t.true(id <= next.checkpointIdReserved && id > this.start, 'the id was reserved')
      t.false(this.#aborted.has(id), `aborted checkpoint ${id} is named`)
      const bytes = this.blobs.blobs.get(name)
      t.truthy(bytes, 'the manifest is durable before the fact names it')
      const manifest = decodeManifest(bytes!)
      for (const chunk of chunksOfManifest(manifest)) t.true(this.blobs.blobs.has(chunk), `${chunk} is durable`)
      const subtasks = manifest.vertices.flatMap((vertex) => vertex.subtasks)
      t.is(subtasks.length, 4)
      t.is(this.#acknowledged.get(id)?.size, 4, 'every subtask has acknowledged')
    }
    t.true(next.checkpoints.length <= this.settings.maxRetained)
    if (next.checkpoints.length === 0) t.is(next.startsFrom?.id ?? 0, this.start, 'pinned until there is a checkpoint')
    else t.is(next.startsFrom, undefined)
  }

  #taskManager(id: string, reign: AbortSignal): TaskExecutorGateway {
    const of = (attemptIds: readonly string[]) =>
      this.#tasks.filter(({ view }) => view.taskManagerId === id && attemptIds.includes(view.attemptId))
    const refuseOld = () => {
      if (reign.aborted) throw new FlottError('NOT_LEADER', 'an old epoch')
    }
    const accepted = { accepted: true } as const
    return {
      triggerCheckpoint: async ({ checkpointId, attemptIds }: { checkpointId: number; attemptIds: readonly string[] }) => {
        await this.#delay(10)
        refuseOld()
        if (this.#by(this.chances.lostTrigger)) throw new FlottError('CONNECTION_LOST', 'by chance')
        if (of(attemptIds).length > 0) this.#barrier(checkpointId, reign)
        return accepted
      },
      notifyCheckpointComplete: async ({ checkpointId, attemptIds }: { checkpointId: number; attemptIds: readonly string[] }) => {
        await this.#delay(10)
        refuseOld()
        if (this.#by(this.chances.lostNotification)) throw new FlottError('CONNECTION_LOST', 'by chance')
        await this.#delay(30) // Accepted by the TaskManager, not yet read by the slot.
        for (const task of of(attemptIds)) {
          task.pending.delete(checkpointId)
          if (!task.chains.has(checkpointId)) continue
          task.told = Math.max(task.told, checkpointId)
          for (const older of task.chains.keys()) if (older < task.told) task.chains.delete(older)
        }
        return accepted
      },
      notifyCheckpointAborted: async ({ checkpointId, attemptIds }: { checkpointId: number; attemptIds: readonly string[] }) => {
        this.t.false(
          this.fact.checkpoints.some(({ id }) => id === checkpointId),
          `completed checkpoint ${checkpointId} is aborted`,
        )
        this.#aborted.add(checkpointId)
        for (const task of of(attemptIds)) task.pending.delete(checkpointId)
        return accepted
      },
    } as Partial<TaskExecutorGateway> as TaskExecutorGateway
  }

  /** A barrier reaches all tasks, each at its own time; once per checkpoint. */
  #barrier(checkpointId: number, reign: AbortSignal): void {
    if (this.#begun.includes(checkpointId)) return
    this.t.true(checkpointId > (this.#begun.at(-1) ?? 0), 'ids rise')
    this.#begun.push(checkpointId)
    for (const task of this.#tasks) this.clock.setTimer(between(this.random, 0, 60), () => void this.#snapshot(task, checkpointId, reign))
  }

  async #snapshot(task: ModelTask, checkpointId: number, reign: AbortSignal): Promise<void> {
    const { attemptId, subtaskIndex, vertexId } = task.view
    if (this.#by(this.chances.silent) || !this.#tasks.includes(task)) return
    const { told } = task
    const chunk: ChunkRef = { blob: `chunk/${graph.jobId}/${checkpointId}/${attemptId}/op-${vertexId}-0`, bytes: 1, crc32: 0 }
    const earlier = this.#by(0.3) ? [] : (task.chains.get(told) ?? [])
    const keyed = [...earlier, chunk]
    await this.#delay(40)
    this.blobs.blobs.set(chunk.blob, new Uint8Array(1))
    if (reign.aborted || !this.#tasks.includes(task)) return // Nobody to tell.
    if (this.#by(this.chances.decline)) return this.coordinator.decline(attemptId, checkpointId, new Error('by chance'))
    task.chains.set(checkpointId, keyed)
    task.pending.add(checkpointId)
    this.#acknowledged.set(checkpointId, (this.#acknowledged.get(checkpointId) ?? new Set()).add(attemptId))
    const snapshot = { subtaskIndex, finished: false, operators: { [`op-${vertexId}`]: { subtaskIndex, keyed } } }
    this.coordinator.acknowledge({
      attemptId,
      checkpointId,
      snapshot,
      metrics: METRICS,
      ...(this.chances.tellsTold ? { lastCheckpointCompleted: told } : {}),
    })
  }

  #report(task: ModelTask): AttemptReport {
    const { vertexId, subtaskIndex, attemptNumber, attemptId, state } = task.view
    return {
      jobId: graph.jobId,
      vertexId,
      subtaskIndex,
      attemptNumber,
      attemptId,
      state,
      lastCheckpointCompleted: task.told,
      pendingCheckpoints: [...task.pending],
      assignmentsReceived: {},
      deploymentNumber: 1,
    }
  }

  #by(chance: number): boolean {
    return chance > 0 && this.random.next() < chance
  }
  #delay(atMost: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(between(this.random, 0, atMost), resolve))
  }
  /** What a fault-free run leaves on disk that nobody needs. */
  get garbage(): readonly string[] {
    const needed = new Set(
      this.fact.checkpoints.flatMap(({ manifest }) => [manifest, ...chunksOfManifest(decodeManifest(this.blobs.blobs.get(manifest)!))]),
    )
    return [...this.blobs.blobs.keys()].filter((name) => !needed.has(name))
  }
  pickFault(): void {
    pick(this.random, [() => this.endReign(), () => this.restart()])()
  }
}
