/**
 * Carries deployments out. The order is what makes a takeover possible: the record of who runs where is a blob on the in-sync set, and
 * named in the job's fact together with the attempt number, before any TaskManager hears of it. One deployment at a time, so that each
 * record holds what the one before it left untouched.
 */
import { createHash } from 'node:crypto'
import { sleep } from '#core/clock.js'
import { FlottError, isFlottError, isStorageTrouble, serializeError } from '#core/errors.js'
import { attemptIdOf } from '#core/ids.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { AttemptLocation, DeploymentRecord, TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import { encodeDeployment } from '#protocol/graph/deployment-format.js'
import type { JobFact } from '#protocol/ha/facts.js'
import type { AllocatedSlot } from '../executiongraph/execution.js'
import type { ExecutionGraph, ExecutionVertex } from '../executiongraph/execution-graph.js'
import type { CheckpointCoordinatorApi, CompletedCheckpoint, JobMasterContext, SourceCoordinatorsApi } from '../job-master-context.js'
import type { RecordedAttempt, Scheduler } from './scheduler.js'

const RETRY_MS = 500

export interface DeployerOptions {
  readonly context: JobMasterContext
  readonly graph: ExecutionGraph
  readonly scheduler: Scheduler
  readonly checkpoints: CheckpointCoordinatorApi
  readonly sources: SourceCoordinatorsApi
  /** The slot that the job holds for a subtask. */
  slotOf(vertex: ExecutionVertex): AllocatedSlot | undefined
}

export class Deployer {
  #last: Promise<void> = Promise.resolve()
  #takenOver: () => void = () => {}
  /** The newest record, as TaskManagers receive it. */
  #deployment: Uint8Array | undefined
  #restored: CompletedCheckpoint | undefined
  /** The enumerators have to begin anew, from the checkpoint that the next deployment restores. */
  #sourcesStale = true
  readonly #failedReaders = new Set<ExecutionVertex>()

  constructor(private readonly options: DeployerOptions) {}

  /** A region stops: its readers' splits go back, or, with the whole job, all enumerators begin anew. */
  regionsStopped(regions: readonly number[], wholeJob: boolean): void {
    if (wholeJob) this.#sourcesStale = true
    for (const region of regions)
      for (const vertex of this.options.graph.regions[region]!) if (isSource(vertex)) this.#failedReaders.add(vertex)
  }

  /** Nothing is recorded before `takeOver` is done. */
  waitForTakeover(): void {
    this.#last = new Promise((resolve) => (this.#takenOver = resolve))
  }
  /** The tasks of this record go on: enumerators begin from the newest checkpoint, and from what the readers that go on have. */
  async takeOver(record: DeploymentRecord, newest: CompletedCheckpoint | undefined, goOn: readonly AttemptReport[]): Promise<void> {
    this.#deployment = encodeDeployment(record)
    this.#restored = newest
    try {
      if (goOn.length > 0) await this.#startSources(newest, goOn)
    } finally {
      this.#takenOver()
    }
  }
  async #startSources(restored: CompletedCheckpoint | undefined, goOn: readonly AttemptReport[]): Promise<void> {
    this.#sourcesStale = false
    this.#failedReaders.clear()
    try {
      await this.options.sources.start(restored?.manifest.coordinators, goOn)
    } catch (error) {
      this.#sourcesStale = true
      throw error
    }
  }

  record(region: number, run: number): void {
    const { context, scheduler } = this.options
    this.#last = this.#last.then(() =>
      this.#recordNow(region, run).catch((error: unknown) => {
        const cause = error instanceof Error ? error : new Error(String(error))
        if (!context.signal.aborted) context.run(() => scheduler.deploymentFailed(region, run, cause))
      }),
    )
  }

  async #recordNow(region: number, run: number): Promise<void> {
    const { context, graph, scheduler, checkpoints, sources } = this.options
    const wanted = () => !context.signal.aborted && scheduler.wants(region, run)
    if (!wanted()) return
    context.logger.debug('deployment begins', { region, run })
    const loaded = await this.#patiently('reading the checkpoint to restore', wanted, () => checkpoints.loadRestorePoint())
    if (!loaded || !wanted()) return
    const restored = loaded.value
    if (this.#sourcesStale) {
      await this.#startSources(restored, [])
      if (!wanted()) return
    }
    for (const vertex of graph.regions[region]!)
      if (this.#failedReaders.delete(vertex)) for (const { id } of sourcesOf(vertex)) sources.readerFailed(id, vertex.subtaskIndex)
    const attempts = this.#place(graph.regions[region]!)
    const record = this.#makeRecord(attempts, restored)
    const bytes = encodeDeployment(record)
    const name = `deployment/${record.jobId}/${record.deploymentNumber}-${createHash('sha256').update(bytes).digest('hex')}`
    if (!(await this.#patiently('storing the deployment', wanted, () => context.blobs.put(name, bytes)))) return
    const before = context.fact.deployment
    await context.updateFact((fact) => (wanted() ? this.#deployed(fact, name, record) : fact))
    const unnamed = context.fact.deployment === name ? before : name
    if (unnamed !== undefined)
      context.blobs.delete([unnamed]).catch((error: unknown) => context.logger.warn('a deployment record was not deleted', { error }))
    if (unnamed === name) return
    context.logger.debug('deployment recorded', { region, run })
    context.run(() => {
      this.#deployment = bytes
      this.#restored = restored
      scheduler.deploymentRecorded(region, run, attempts)
    })
  }

  /** Trouble of a disk is no failure of the job's, and no restart of the job mends it: it waits. Undefined when it is not wanted any more. */
  async #patiently<T>(what: string, wanted: () => boolean, attempt: () => Promise<T>): Promise<{ readonly value: T } | undefined> {
    const { context } = this.options
    for (;;) {
      try {
        return { value: await attempt() }
      } catch (error) {
        if (!isStorageTrouble(error)) throw error
        if (!wanted()) return undefined
        context.logger.warn(`${what}: the storage can not do it yet`, { error })
        await sleep(context.clock, RETRY_MS, context.signal)
      }
    }
  }

  /** Numbered one above all attempts that any record ever named, so that a number never comes back. */
  #place(vertices: readonly ExecutionVertex[]): ReadonlyMap<ExecutionVertex, RecordedAttempt> {
    const attemptNumber = this.options.context.fact.attemptNumber + 1
    return new Map(
      vertices.map((vertex) => {
        const slot = this.options.slotOf(vertex)
        if (!slot) throw new FlottError('TASK_LOST', `the slot for ${vertex.taskName} is gone`)
        const attempt = attemptIdOf(this.options.graph.jobGraph.jobId, vertex.vertexId, vertex.subtaskIndex, attemptNumber)
        return [vertex, { attempt, attemptNumber, slot }] as const
      }),
    )
  }

  #makeRecord(placed: ReadonlyMap<ExecutionVertex, RecordedAttempt>, restored: CompletedCheckpoint | undefined): DeploymentRecord {
    const { context, graph } = this.options
    const locate = (vertex: ExecutionVertex, { attempt, attemptNumber, slot }: RecordedAttempt): AttemptLocation => ({
      vertexId: vertex.vertexId,
      subtaskIndex: vertex.subtaskIndex,
      attemptNumber,
      attemptId: attempt,
      taskManagerId: slot.taskManagerId,
      slotIndex: slot.slotIndex,
      allocationId: slot.allocationId,
      dataHost: slot.host,
      dataPort: slot.dataPort,
      ...(slot.processId === undefined ? {} : { processId: slot.processId }),
    })
    const attempts = graph.vertices.flatMap((vertex) => {
      const recorded = placed.get(vertex)
      if (recorded) return [locate(vertex, recorded)]
      const { attempt, attemptNumber, slot } = vertex.execution
      if (!slot || (vertex.ended && vertex.state !== 'FINISHED')) return []
      const location = locate(vertex, { attempt, attemptNumber, slot })
      return [vertex.ended ? { ...location, finished: true } : location]
    })
    return {
      jobId: context.jobGraph.jobId,
      deploymentNumber: context.fact.attemptNumber + 1,
      epoch: context.epoch,
      attempts,
      ...(restored ? { restoredCheckpoint: { id: restored.id, manifest: restored.blob } } : {}),
    }
  }

  #deployed(fact: JobFact, deployment: string, record: DeploymentRecord): JobFact {
    const { restartCount: count, restartState: state } = this.options.scheduler
    return { ...fact, deployment, attemptNumber: record.deploymentNumber, restarts: { count, state } }
  }

  submit(vertices: readonly ExecutionVertex[]): void {
    for (const [taskManagerId, tasks] of byTaskManager(vertices)) this.#submit(taskManagerId, this.#deployment!, tasks, this.#restored)
  }

  #submit(
    taskManagerId: string,
    deployment: Uint8Array,
    vertices: readonly ExecutionVertex[],
    restored: CompletedCheckpoint | undefined,
  ): void {
    const { context, scheduler } = this.options
    const attempts = vertices.map((vertex) => vertex.execution.attempt)
    const current = () => vertices.filter((vertex, i) => vertex.execution.attempt === attempts[i] && !vertex.ended)
    const taskManager = context.taskManager(taskManagerId)
    if (!taskManager) return // Its loss is told to the scheduler by itself.
    const tasks = vertices.map((vertex) => this.#descriptor(vertex, restored))
    taskManager.submitTasks({ jobGraph: context.jobGraph, deployment, tasks }).then(
      () =>
        context.run(() => {
          for (const vertex of current()) vertex.submittedMs = context.clock.monotonicMs()
        }),
      (error: unknown) =>
        context.run(() => {
          if (current().length === 0) return
          context.logger.warn('tasks not submitted', { taskManagerId, error })
          if (isTransient(error)) return this.#later(() => this.#submit(taskManagerId, deployment, current(), restored))
          scheduler.tasksLost(
            current().map((vertex) => vertex.execution.attempt),
            error as Error,
          )
        }),
    )
  }

  #descriptor(vertex: ExecutionVertex, restored: CompletedCheckpoint | undefined): TaskDeploymentDescriptor {
    const { vertexId, subtaskIndex, jobVertex, execution } = vertex
    const { attempt: attemptId, attemptNumber } = execution
    const { allocationId, slotIndex } = execution.slot!
    const restore = restored && this.options.checkpoints.restoreOf(restored.manifest, vertexId, subtaskIndex, jobVertex.parallelism)
    return { attemptId, vertexId, subtaskIndex, attemptNumber, allocationId, slotIndex, ...(restore ? { restore } : {}) }
  }

  /** Until the TaskManager has taken it; the end of the tasks is reported, or the TaskManager is lost. */
  cancel(vertices: readonly ExecutionVertex[]): void {
    const { context } = this.options
    for (const [taskManagerId, tasks] of byTaskManager(vertices)) {
      const attemptIds = tasks.map((vertex) => vertex.execution.attempt)
      const taskManager = context.taskManager(taskManagerId)
      if (!taskManager) continue
      const waiting = () => tasks.filter((vertex, i) => vertex.execution.attempt === attemptIds[i] && !vertex.ended)
      taskManager.cancelTasks({ jobId: context.jobGraph.jobId, attemptIds }).then(
        () =>
          context.run(() => {
            // A task that it never had is not reported: the next heartbeat tells.
            for (const vertex of waiting()) vertex.submittedMs ??= context.clock.monotonicMs()
          }),
        (error: unknown) =>
          context.run(() => {
            context.logger.warn('tasks not cancelled yet', { taskManagerId, error: serializeError(error) })
            if (waiting().length > 0) this.#later(() => this.cancel(waiting()))
          }),
      )
    }
  }

  #later(turn: () => void): void {
    const { context } = this.options
    context.clock.setTimer(RETRY_MS, () => context.run(turn), { unref: true })
  }
}

function isTransient(error: unknown): boolean {
  return isFlottError(error, 'RPC_TIMEOUT', 'CONNECTION_LOST', 'RPC_OVERLOADED')
}
function sourcesOf(vertex: ExecutionVertex): readonly { readonly id: string }[] {
  return vertex.jobVertex.operators.filter((operator) => operator.kind === 'source')
}
function isSource(vertex: ExecutionVertex): boolean {
  return sourcesOf(vertex).length > 0
}
function byTaskManager(vertices: readonly ExecutionVertex[]): ReadonlyMap<string, readonly ExecutionVertex[]> {
  const groups = new Map<string, ExecutionVertex[]>()
  for (const vertex of vertices) {
    const id = vertex.execution.slot?.taskManagerId
    if (id === undefined) continue
    const group = groups.get(id)
    if (group) group.push(vertex)
    else groups.set(id, [vertex])
  }
  return groups
}
