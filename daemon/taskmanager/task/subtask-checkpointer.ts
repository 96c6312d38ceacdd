/**
 * A checkpoint in one task: operators prepare in order (sinks may wait), the barrier goes out, each operator's state is fixed in the
 * same turn, and what was fixed is uploaded while records flow again. Then the task acknowledges, or declines with the cause.
 */
import { FlottError, serializeError } from '#core/errors.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { CheckpointMetrics } from '#protocol/gateways/job-master-gateway.js'
import type { OperatorSnapshotResult } from '../operators/operator.js'
import { operatorError } from '../operators/operator-error.js'
import type { FromSlotWorker } from '../slotworker/protocol.js'
import type { AlignmentMeasure } from './alignment.js'
import type { Barrier } from './barrier-aligner.js'
import type { Site } from './chain-generator.js'
import { type UploadTarget, uploadSnapshot } from './snapshot-upload.js'
import type { TaskIo } from './task-io.js'

export interface CheckpointerOptions {
  readonly io: TaskIo
  readonly site: Site
  readonly target: UploadTarget
  readonly monotonicMs: () => number
  readonly now: () => number
  readonly post: (message: FromSlotWorker) => void
  /** It had FINISHED when it was restored: it still has. */
  readonly finished: boolean
  /** False once the task has ended: nothing is reported any more. */
  readonly isAlive: () => boolean
}

export class SubtaskCheckpointer {
  #abortedId = -1
  /** The newest checkpoint whose completion the task was told. */
  lastCompleted = 0

  constructor(private readonly options: CheckpointerOptions) {}

  isAborted(checkpointId: number): boolean {
    return checkpointId <= this.#abortedId
  }
  /**
   * Calls `taken` once the state is fixed and the barrier is out (or the checkpoint was aborted meanwhile): records may flow again.
   * What throws or rejects until then has lost data, and fails the task; later failures decline.
   */
  take(barrier: Barrier, alignment: AlignmentMeasure, taken: () => void, failed: (error: unknown) => void): void {
    const startDelayMs = Math.max(0, this.options.now() - barrier.timestamp)
    const started = this.options.monotonicMs()
    this.#prepare(
      0,
      barrier,
      () => {
        const results = this.isAborted(barrier.checkpointId) ? undefined : this.#fix(barrier)
        taken()
        if (!results) return
        const syncMs = this.options.monotonicMs() - started
        void this.#upload(barrier, results, {
          checkpointStartDelayMs: startDelayMs,
          alignmentDurationMs: alignment.durationMs,
          syncDurationMs: syncMs,
          processedBytes: alignment.processedBytes,
        })
      },
      failed,
    )
  }
  #prepare(from: number, barrier: Barrier, prepared: () => void, failed: (error: unknown) => void): void {
    const operators = this.options.io.chain.operators
    try {
      for (let i = from; i < operators.length; i++) {
        const [index, operator] = operators[i]!
        this.options.site.operator = index
        const waiting = operator.prepareSnapshot(barrier.checkpointId)
        if (waiting === undefined) continue
        void waiting.then(() => this.options.isAlive() && this.#prepare(i + 1, barrier, prepared, failed), failed)
        return
      }
      prepared()
    } catch (error) {
      failed(error)
    }
  }
  #fix(barrier: Barrier): readonly { operatorId: string; result: Promise<OperatorSnapshotResult> }[] {
    const { chain, layout } = this.options.io
    for (const { partition } of layout.partitions) partition.broadcastEvent(barrier)
    return chain.operators.map(([index, operator]) => {
      this.options.site.operator = index
      const result = operator.snapshot(barrier.checkpointId)
      result.catch(() => {}) // Looked at when its turn comes in #upload.
      return { operatorId: layout.nodes[index]!.spec.id, result }
    })
  }
  async #upload(
    barrier: Barrier,
    results: readonly { operatorId: string; result: Promise<OperatorSnapshotResult> }[],
    measured: Pick<CheckpointMetrics, 'checkpointStartDelayMs' | 'alignmentDurationMs' | 'syncDurationMs' | 'processedBytes'>,
  ): Promise<void> {
    const { target, post, monotonicMs, finished } = this.options
    const { checkpointId } = barrier
    const lastCheckpointCompleted = this.lastCompleted
    const started = monotonicMs()
    try {
      const operators: Record<string, SubtaskState> = {}
      let checkpointedBytes = 0
      let stateBytes = 0
      for (const { operatorId, result } of results) {
        const fixed = await result
        operators[operatorId] = await uploadSnapshot(target, checkpointId, operatorId, fixed)
        checkpointedBytes += fixed.checkpointedBytes
        stateBytes += fixed.stateBytes
      }
      if (!this.#isWanted(checkpointId)) return
      post({
        kind: 'checkpoint-acknowledged',
        attemptId: target.attemptId,
        checkpointId,
        snapshot: { subtaskIndex: target.subtaskIndex, finished, operators: finished ? {} : operators },
        metrics: { ...measured, asyncDurationMs: monotonicMs() - started, checkpointedBytes, stateBytes, unaligned: false },
        lastCheckpointCompleted,
      })
    } catch (error) {
      this.decline(checkpointId, error)
    }
  }
  decline(checkpointId: number, error: unknown): void {
    if (!this.#isWanted(checkpointId)) return
    const cause = error instanceof FlottError ? error : new FlottError('CHECKPOINT_FAILED', 'the snapshot failed', { cause: error })
    this.options.post({
      kind: 'checkpoint-declined',
      attemptId: this.options.target.attemptId,
      checkpointId,
      cause: serializeError(cause),
    })
  }
  #isWanted(checkpointId: number): boolean {
    return this.options.isAlive() && !this.isAborted(checkpointId)
  }
  aborted(checkpointId: number): void {
    this.#abortedId = Math.max(this.#abortedId, checkpointId)
    for (const [, operator] of this.options.io.chain.operators) operator.notifyCheckpointAborted(checkpointId)
  }
  /** Resolves when all that the checkpoint allows is committed. */
  async completed(checkpointId: number): Promise<void> {
    if (checkpointId > this.lastCompleted) this.lastCompleted = checkpointId
    const { chain, layout } = this.options.io
    await Promise.all(
      chain.operators.map(async ([index, operator]) => {
        try {
          await operator.notifyCheckpointComplete(checkpointId)
        } catch (error) {
          throw operatorError(error, layout.nodes[index]!.spec)
        }
      }),
    )
  }
}
