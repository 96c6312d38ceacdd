/**
 * Records deployments. The order is what makes a takeover possible: the record of who runs where is a blob on the in-sync set, and
 * named in the job's fact together with the attempt number, before any TaskManager hears of it. One record at a time, so that each
 * holds what the one before it left untouched.
 */
import { createHash } from 'node:crypto'
import { sleep } from '#core/clock.js'
import { FlottError, isStorageTrouble } from '#core/errors.js'
import { attemptIdOf } from '#core/ids.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { AttemptLocation, DeploymentRecord } from '#protocol/graph/deployment.js'
import { encodeDeployment } from '#protocol/graph/deployment-format.js'
import type { JobFact } from '#protocol/ha/facts.js'
import type { AllocatedSlot } from '../executiongraph/execution.js'
import type { ExecutionGraph, ExecutionVertex } from '../executiongraph/execution-graph.js'
import type { CheckpointCoordinatorApi, CompletedCheckpoint, JobMasterContext, SourceCoordinatorsApi } from '../job-master-context.js'
import type { RecordedAttempt, RegionRun, Scheduler } from './scheduler.js'
import type { SentDeployment, TaskSubmission } from './task-submission.js'

const RETRY_MS = 500

export interface DeployerOptions {
  readonly context: JobMasterContext
  readonly graph: ExecutionGraph
  readonly scheduler: Scheduler
  readonly checkpoints: CheckpointCoordinatorApi
  readonly sources: SourceCoordinatorsApi
  readonly submission: TaskSubmission
  /** The slot that the job holds for a subtask. */
  slotOf(vertex: ExecutionVertex): AllocatedSlot | undefined
}

export class Deployer {
  #last: Promise<void> = Promise.resolve()
  #takenOver: () => void = () => {}
  readonly #due: RegionRun[] = []
  #newest: SentDeployment | undefined
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
  /**
   * The tasks of this record go on: enumerators begin from the newest checkpoint, and from what the readers that go on have; there may be
   * none, where all tasks are still to be sent. `goOn` is undefined when no task of the record goes on.
   */
  async takeOver(
    record: DeploymentRecord,
    newest: CompletedCheckpoint | undefined,
    goOn: readonly AttemptReport[] | undefined,
  ): Promise<void> {
    this.#newest = { deployment: encodeDeployment(record), restored: newest }
    try {
      if (goOn) await this.#startSources(newest, goOn)
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

  /** Regions that become due while a record is being made share the next one. */
  record(region: number, run: number): void {
    this.#due.push({ region, run })
    if (this.#due.length === 1) this.#last = this.#last.then(() => this.#recordDue())
  }
  async #recordDue(): Promise<void> {
    const { context, scheduler } = this.options
    const due = this.#due.splice(0)
    try {
      await this.#recordNow(due)
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      if (!context.signal.aborted) context.run(() => scheduler.deploymentFailed(due, cause))
    }
  }

  /** As soon as one of them is not wanted any more, it begins anew for the others. */
  async #recordNow(due: readonly RegionRun[]): Promise<void> {
    const { context, graph, scheduler, checkpoints, sources } = this.options
    const wanted = () => !context.signal.aborted && due.every((run) => scheduler.wants(run))
    if (!wanted()) return this.#recordAgain(due)
    context.logger.debug('deployment begins', { regions: due.length })
    const loaded = await this.#patiently('reading the checkpoint to restore', wanted, () => checkpoints.loadRestorePoint())
    if (!loaded || !wanted()) return this.#recordAgain(due)
    const restored = loaded.value
    if (this.#sourcesStale) {
      await this.#startSources(restored, [])
      if (!wanted()) return this.#recordAgain(due)
    }
    const vertices = due.flatMap(({ region }) => graph.regions[region]!)
    for (const vertex of vertices)
      if (this.#failedReaders.delete(vertex)) for (const { id } of sourcesOf(vertex)) sources.readerFailed(id, vertex.subtaskIndex)
    const attempts = this.#place(vertices)
    const record = this.#makeRecord(attempts, restored)
    const bytes = encodeDeployment(record)
    const name = `deployment/${record.jobId}/${record.deploymentNumber}-${createHash('sha256').update(bytes).digest('hex')}`
    const stored = await this.#patiently('storing the deployment', wanted, () => context.blobs.put(name, bytes))
    if (!stored) return this.#recordAgain(due)
    const before = context.fact.deployment
    await context.updateFact((fact) => (wanted() ? this.#deployed(fact, name, record) : fact))
    const unnamed = context.fact.deployment === name ? before : name
    if (unnamed !== undefined)
      context.blobs.delete([unnamed]).catch((error: unknown) => context.logger.warn('a deployment record was not deleted', { error }))
    if (unnamed === name) return this.#recordAgain(due)
    context.logger.debug('deployment recorded', { regions: due.length })
    context.run(() => {
      this.#newest = { deployment: bytes, restored }
      scheduler.deploymentRecorded(due, attempts)
    })
  }
  async #recordAgain(due: readonly RegionRun[]): Promise<void> {
    const { context, scheduler } = this.options
    const left = due.filter((run) => scheduler.wants(run))
    if (!context.signal.aborted && left.length > 0 && left.length < due.length) await this.#recordNow(left)
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
    if (!this.#newest) throw new Error('no deployment was recorded')
    this.options.submission.submit(vertices, this.#newest)
  }
}

function sourcesOf(vertex: ExecutionVertex): readonly { readonly id: string }[] {
  return vertex.jobVertex.operators.filter((operator) => operator.kind === 'source')
}
function isSource(vertex: ExecutionVertex): boolean {
  return sourcesOf(vertex).length > 0
}
