/**
 * The shell around checkpoint-steps.ts: timers, blobs, RPC and the job's fact. A checkpoint is complete exactly when the fact names its
 * manifest; everything before that can be repeated or given up, everything after it is telling others.
 */

import type { Timer } from '#core/clock.js'
import { formatEpoch } from '#core/epoch.js'
import { ERRORS, FlottError, isFlottError } from '#core/errors.js'
import { checkpointPath } from '#protocol/checkpoint/checkpoint-path.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import type { CheckpointStatistics } from '#protocol/gateways/dispatcher-gateway.js'
import type { CheckpointAcknowledgement } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { TaskRestore } from '#protocol/graph/deployment.js'
import type {
  CheckpointCoordinatorApi,
  CompletedCheckpoint,
  ExecutionView,
  JobMasterContext,
  SourceCoordinatorsApi,
} from '../job-master-context.js'
import type { CheckpointSettings } from './checkpoint-settings.js'
import { CheckpointStatisticsRecorder } from './checkpoint-statistics.js'
import {
  type CheckpointEffect,
  type CheckpointEvent,
  type CheckpointState,
  initialCheckpointState,
  type PendingCheckpoint,
  step,
} from './checkpoint-steps.js'
import { checkChunks } from './checkpoint-store.js'
import { CheckpointSweeper } from './checkpoint-sweeper.js'
import { buildManifest } from './manifest-builder.js'
import { restoreOf } from './restore.js'
import { restorePointOf, withCheckpoint } from './restore-point.js'
import { triggerTargets } from './trigger-targets.js'

type Sources = Pick<SourceCoordinatorsApi, 'snapshot' | 'resumeAssignments' | 'notifyCheckpointComplete'>

export function createCheckpointCoordinator(
  ctx: JobMasterContext,
  settings: CheckpointSettings,
  sources: Sources,
): CheckpointCoordinatorApi {
  return new CheckpointCoordinator(ctx, settings, sources)
}

class CheckpointCoordinator implements CheckpointCoordinatorApi {
  #state: CheckpointState
  readonly #queue: CheckpointEvent[] = []
  #stepping = false
  #trigger: Timer | undefined
  #expiry: Timer | undefined
  readonly #statistics = new CheckpointStatisticsRecorder()
  readonly #sweeper: CheckpointSweeper
  /** Settles once no `set` of the fact is under way any more. */
  #committing: Promise<void> = Promise.resolve()
  /** The last two at least, in order, retained or not. */
  #completedIds: readonly number[]
  #stored: { readonly id: number; readonly manifest: CheckpointManifest; readonly blob: string } | undefined
  /** Of the newest completed checkpoint, when this reign began. */
  #newestFound: CheckpointManifest | undefined
  /** The same, from the adoption of its tasks until they all run. */
  #takenOver: CheckpointManifest | undefined
  #onCompleted: (() => void) | undefined

  constructor(
    private readonly ctx: JobMasterContext,
    private readonly settings: CheckpointSettings,
    private readonly sources: Sources,
  ) {
    this.#state = initialCheckpointState(settings, ctx.fact.checkpointIdReserved)
    this.#completedIds = ctx.fact.checkpoints.map(({ id }) => id)
    this.#sweeper = new CheckpointSweeper(ctx, () => this.#state.closed)
    ctx.signal.addEventListener('abort', () => this.close(), { once: true })
  }

  startTriggering(): void {
    const dueMs = this.#dueMs()
    this.#takenOver = undefined
    this.#apply({ kind: 'start', now: this.ctx.clock.monotonicMs(), targets: this.#targets(), ...(dueMs === undefined ? {} : { dueMs }) })
  }
  /** Tasks that go on under another leader need no pause: the next checkpoint is due when it would have been. By two hosts' clocks, so bounded. */
  #dueMs(): number | undefined {
    if (!this.#takenOver) return undefined
    const { triggerTimestamp, completedTimestamp } = this.#takenOver
    const { intervalMs, minPauseMs } = this.settings
    const now = this.ctx.clock.now()
    const left = (since: number, pauseMs: number) => Math.min(Math.max(since + pauseMs - now, 0), pauseMs)
    return Math.max(left(triggerTimestamp, intervalMs), left(completedTimestamp, minPauseMs))
  }
  takeNow(onCompleted: () => void): void {
    this.#onCompleted = onCompleted
    this.#apply({ kind: 'asked' })
  }
  stopTriggering(cause: Error): void {
    this.#takenOver = undefined
    this.#onCompleted = undefined
    this.#apply({ kind: 'stop', cause })
  }
  acknowledge(ack: CheckpointAcknowledgement): void {
    // A task that does not say what it was told has been told, at the latest one whole checkpoint later.
    const told = ack.lastCheckpointCompleted ?? this.#completedIds.at(-2)
    if (told !== undefined) this.#sweeper.told.told(ack.attemptId, told)
    this.#apply({ kind: 'acknowledged', ack, timestamp: this.ctx.clock.now() })
  }
  decline(attemptId: string, checkpointId: number, cause: Error): void {
    this.ctx.logger.info('checkpoint declined', { checkpointId, attemptId, cause })
    this.#apply({ kind: 'declined', attemptId, checkpointId, cause, now: this.ctx.clock.monotonicMs() })
  }
  executionFinished(attemptId: string): void {
    this.#apply({ kind: 'execution-finished', attemptId, timestamp: this.ctx.clock.now() })
  }
  awaitFinalCheckpoint(attemptId: string): void {
    this.#apply({ kind: 'awaiting-final', attemptId, targets: this.#targets() })
  }

  async loadRestorePoint(): Promise<CompletedCheckpoint | undefined> {
    await this.#committing // Its outcome decides which one is the newest.
    const point = await restorePointOf(this.ctx)
    if (point) await checkChunks(this.ctx.blobs, point.manifest)
    this.#sweeper.told.restoredFrom(point && !point.isForeign ? point.id : 0) // No delta builds on another job's.
    if (!point) return undefined
    this.#statistics.restored(point.id, this.ctx.clock.now(), point.path)
    this.ctx.historyChanged()
    return point
  }
  async newest(): Promise<CompletedCheckpoint | undefined> {
    const point = await restorePointOf(this.ctx)
    if (point && !point.isForeign) this.#newestFound = point.manifest
    return point
  }
  restoreOf(manifest: CheckpointManifest, vertexId: string, subtaskIndex: number, parallelism: number): TaskRestore | undefined {
    const restore = restoreOf(manifest, vertexId, subtaskIndex, parallelism)
    const { startsFrom } = this.ctx.fact
    const isLenient = startsFrom?.allowNonRestoredState && startsFrom.id === manifest.checkpointId
    return restore && isLenient ? { ...restore, allowNonRestoredState: true } : restore
  }

  resume(attempts: readonly AttemptReport[]): void {
    this.#takenOver = this.#newestFound
    const { checkpoints, checkpointIdReserved } = this.ctx.fact
    for (const { attemptId, lastCheckpointCompleted } of attempts) this.#sweeper.told.told(attemptId, lastCheckpointCompleted)
    const adopted = this.#running().filter((task) => attempts.some((report) => report.attemptId === task.attemptId))
    const newest = checkpoints.at(-1)?.id
    if (newest !== undefined) this.#notify('notifyCheckpointComplete', newest, adopted)
    // Tasks ignore barriers up to an aborted one: this ends whatever earlier reigns have begun, also what no task has seen yet.
    const pending = new Set(attempts.flatMap((report) => report.pendingCheckpoints))
    const completed = new Set(checkpoints.map(({ id }) => id))
    for (const id of [...pending].sort((a, b) => a - b)) if (!completed.has(id)) this.#notify('notifyCheckpointAborted', id, adopted)
    if (checkpointIdReserved > 0 && !completed.has(checkpointIdReserved))
      this.#notify('notifyCheckpointAborted', checkpointIdReserved, adopted)
    for (const report of attempts) if (report.awaitingFinalCheckpoint) this.awaitFinalCheckpoint(report.attemptId)
  }

  statistics(): CheckpointStatistics {
    return this.#statistics.snapshot(this.#state.pending, this.ctx.clock.now())
  }
  importStatistics(statistics: CheckpointStatistics | undefined): void {
    if (statistics) this.#statistics.import(statistics)
    void this.#sweeper.found.then((found) =>
      this.ctx.run(() => {
        for (const { manifest } of found) this.#statistics.found(manifest, this.#pathOf(manifest.checkpointId))
      }),
    )
  }
  close(): void {
    this.#apply({ kind: 'close' })
  }

  /** An effect may bring the next event at once (a job that fails stops the triggering): one event after the other. */
  #apply(event: CheckpointEvent): void {
    this.#queue.push(event)
    if (this.#stepping) return
    this.#stepping = true
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
        const { state, effects } = step(this.#state, next)
        this.#state = state
        for (const effect of effects) this.#perform(effect)
      }
    } finally {
      this.#stepping = false
    }
  }

  #perform(effect: CheckpointEffect): void {
    const { clock } = this.ctx
    switch (effect.kind) {
      case 'schedule-trigger':
        this.#trigger?.cancel()
        this.#trigger = clock.setTimer(effect.delayMs, () => this.ctx.run(() => this.#triggerDue()))
        break
      case 'cancel-trigger':
        this.#trigger?.cancel()
        break
      case 'schedule-expiry': {
        this.#expiry?.cancel()
        const expire = () => this.#apply({ kind: 'expired', checkpointId: effect.checkpointId, now: clock.monotonicMs() })
        this.#expiry = clock.setTimer(effect.delayMs, () => this.ctx.run(expire))
        break
      }
      case 'cancel-expiry':
        this.#expiry?.cancel()
        break
      case 'reserve-ids':
        this.#reserve(effect.upTo)
        break
      case 'snapshot-sources':
        this.#snapshotSources(effect.checkpointId)
        break
      case 'send-triggers':
        this.#sendTriggers(effect.pending)
        break
      case 'store-manifest':
        this.#store(effect.pending)
        break
      case 'set-fact':
        this.#commit(effect.pending)
        break
      case 'completed':
        this.#completed(effect.pending)
        break
      case 'aborted':
        this.#aborted(effect.pending, effect.cause)
        break
      case 'fail-job':
        this.ctx.failGlobally(effect.cause)
        break
    }
  }

  #triggerDue(): void {
    const { clock } = this.ctx
    const tasks = this.ctx.executions()
    this.#apply({ kind: 'trigger-due', now: clock.monotonicMs(), timestamp: clock.now(), tasks, targets: this.#targets() })
  }

  #reserve(upTo: number): void {
    this.#after(
      this.ctx.updateFact((fact) => ({ ...fact, checkpointIdReserved: Math.max(fact.checkpointIdReserved, upTo) })),
      () => ({ kind: 'ids-reserved', upTo }),
      () => ({ kind: 'reservation-failed' }),
    )
  }

  #snapshotSources(checkpointId: number): void {
    this.#after(
      this.sources.snapshot(checkpointId),
      (coordinators) => ({ kind: 'sources-snapshotted', checkpointId, coordinators }),
      (cause) => ({ kind: 'sources-failed', checkpointId, cause, now: this.ctx.clock.monotonicMs() }),
    )
  }

  #sendTriggers(pending: PendingCheckpoint): void {
    this.ctx.logger.debug('checkpoint triggered', { checkpointId: pending.id, epoch: formatEpoch(this.ctx.epoch) })
    const { jobId } = this.ctx.jobGraph
    const assigned = Object.fromEntries(Object.entries(pending.coordinators).map(([id, coordinator]) => [id, coordinator.assigned]))
    const failed = (cause: Error) => {
      this.#apply({ kind: 'trigger-failed', checkpointId: pending.id, cause, now: this.ctx.clock.monotonicMs() })
    }
    const targets = pending.tasks.filter((task) => pending.targets.includes(task.attemptId))
    const sent = [...byTaskManager(targets)].map(async ([taskManagerId, attemptIds]) => {
      const gateway = this.ctx.taskManager(taskManagerId)
      if (!gateway) throw new FlottError('CONNECTION_LOST', `TaskManager ${taskManagerId} is not connected`)
      await gateway.triggerCheckpoint({ jobId, checkpointId: pending.id, timestamp: pending.timestamp, attemptIds, assigned })
    })
    Promise.all(sent).then(
      () => this.ctx.run(() => this.sources.resumeAssignments(pending.id)),
      (cause: unknown) => this.ctx.run(() => failed(asError(cause))),
    )
  }

  #store(pending: PendingCheckpoint): void {
    const manifest = buildManifest(this.ctx.jobGraph, pending, this.ctx.clock.now())
    this.#after(
      this.#sweeper.store(manifest),
      (blob) => {
        this.#stored = { id: pending.id, manifest, blob }
        return { kind: 'manifest-stored', checkpointId: pending.id }
      },
      (cause) => this.#storeFailed(pending.id, cause),
    )
  }

  #commit(pending: PendingCheckpoint): void {
    const { blob } = this.#storedOf(pending)
    const { maxRetained } = this.settings
    const set = this.ctx.updateFact((fact) => {
      if (fact.terminal || (fact.checkpoints.at(-1)?.id ?? 0) >= pending.id)
        throw new FlottError('ILLEGAL_TRANSITION', `checkpoint ${pending.id} is too late for job ${fact.jobId}`)
      return withCheckpoint(fact, pending.id, blob, maxRetained)
    })
    this.#committing = this.#after(
      set,
      () => ({ kind: 'fact-set', checkpointId: pending.id, now: this.ctx.clock.monotonicMs() }),
      (cause) => this.#commitFailed(pending.id, cause),
    )
  }

  /** When the reign has ended, nobody knows here whether the fact was set: whoever leads next finds out. */
  #storeFailed(checkpointId: number, cause: Error): CheckpointEvent {
    if (this.ctx.signal.aborted || isFlottError(cause, 'NOT_LEADER')) return { kind: 'close' }
    return { kind: 'store-failed', checkpointId, cause, now: this.ctx.clock.monotonicMs() }
  }
  /** updateFact settles unknown outcomes itself; should one come through all the same, nothing that the fact may name is deleted. */
  #commitFailed(checkpointId: number, cause: Error): CheckpointEvent {
    if (!isFlottError(cause) || ERRORS[cause.code].outcome === 'not-applied') return this.#storeFailed(checkpointId, cause)
    if (!this.ctx.signal.aborted) this.ctx.failGlobally(cause)
    return { kind: 'close' }
  }

  #completed(pending: PendingCheckpoint): void {
    const { manifest } = this.#storedOf(pending)
    this.ctx.logger.info('checkpoint completed', { checkpointId: pending.id, stateSize: manifest.stateSize })
    this.#completedIds = [...this.#completedIds.slice(-1), pending.id]
    this.#statistics.completed(pending, manifest, this.#pathOf(pending.id))
    this.ctx.historyChanged()
    this.#sweeper.completed(manifest)
    const told = new Set(pending.tasks.map((task) => task.attemptId))
    this.#notify(
      'notifyCheckpointComplete',
      pending.id,
      this.#running().filter((task) => told.has(task.attemptId)),
    )
    this.sources.notifyCheckpointComplete(pending.id)
    this.#sweeper.sweep(pending.id)
    const onCompleted = this.#onCompleted
    this.#onCompleted = undefined
    onCompleted?.()
  }

  #aborted(pending: PendingCheckpoint, cause: Error): void {
    this.ctx.logger.warn('checkpoint aborted', { checkpointId: pending.id, cause })
    this.#statistics.aborted(pending, cause, this.ctx.clock.now())
    this.ctx.historyChanged()
    this.sources.resumeAssignments(pending.id)
    this.#notify('notifyCheckpointAborted', pending.id, pending.tasks)
    this.#sweeper.sweep(pending.id)
  }

  #storedOf(pending: PendingCheckpoint): { readonly manifest: CheckpointManifest; readonly blob: string } {
    if (this.#stored?.id !== pending.id) throw new Error(`the manifest of checkpoint ${pending.id} was not stored`)
    return this.#stored
  }

  #notify(method: 'notifyCheckpointComplete' | 'notifyCheckpointAborted', checkpointId: number, tasks: readonly ExecutionView[]): void {
    const { jobId } = this.ctx.jobGraph
    for (const [taskManagerId, attemptIds] of byTaskManager(tasks)) {
      const gateway: TaskExecutorGateway | undefined = this.ctx.taskManager(taskManagerId)
      // A notification that is lost is made up for by the next one: each covers all before it.
      gateway?.[method]({ jobId, checkpointId, attemptIds }).catch((cause: unknown) => {
        this.ctx.logger.debug('checkpoint notification failed', { method, checkpointId, taskManagerId, cause })
      })
    }
  }

  #pathOf(checkpointId: number): string {
    return checkpointPath(this.ctx.jobGraph.jobId, checkpointId)
  }
  #running(): readonly ExecutionView[] {
    return this.ctx.executions().filter((task) => task.state === 'RUNNING' || task.state === 'INITIALIZING')
  }
  #targets(): readonly string[] {
    return triggerTargets(this.ctx.jobGraph, this.ctx.executions())
  }

  /** What comes back from I/O comes back as an event of its own turn. */
  #after<T>(work: Promise<T>, done: (result: T) => CheckpointEvent, failed: (cause: Error) => CheckpointEvent): Promise<void> {
    return new Promise((resolve) => {
      const turn = (event: () => CheckpointEvent) =>
        this.ctx.run(() => {
          this.#apply(event())
          resolve()
        })
      work.then(
        (result) => turn(() => done(result)),
        (cause: unknown) => turn(() => failed(asError(cause))),
      )
    })
  }
}

function byTaskManager(tasks: readonly ExecutionView[]): ReadonlyMap<string, readonly string[]> {
  const attempts = new Map<string, string[]>()
  for (const { taskManagerId, attemptId } of tasks) {
    if (taskManagerId === undefined) continue
    const known = attempts.get(taskManagerId)
    if (known) known.push(attemptId)
    else attempts.set(taskManagerId, [attemptId])
  }
  return attempts
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
