/**
 * What a task waits for between the end of its data and the end of its partitions: with checkpoints on, a completed checkpoint that
 * began here after the data had ended, so that sinks commit their last part; after a savepoint that stops the job, that savepoint.
 */
import type { Barrier } from './barrier-aligner.js'

export class FinalCheckpoint {
  #isDataEnded = false
  #needsCheckpoint = false
  #isComplete = false
  /** Begun after the end of data. */
  readonly #candidates = new Set<number>()
  /** A savepoint without drain that stops the job when it is complete. */
  #stopping: number | undefined

  constructor(private readonly checkpointing: boolean) {}

  begun(barrier: Barrier): void {
    if (this.#isDataEnded) this.#candidates.add(barrier.checkpointId)
    if (!barrier.savepoint?.terminate) return
    if (!barrier.savepoint.drain) this.#stopping = barrier.checkpointId
  }
  /** True when a source that was stopped by a savepoint may end now. */
  completed(checkpointId: number): boolean {
    for (const candidate of this.#candidates) if (candidate <= checkpointId) this.#isComplete = true
    if (this.#stopping === undefined || this.#stopping > checkpointId) return false
    this.#stopping = undefined
    return true
  }
  aborted(checkpointId: number): void {
    this.#candidates.delete(checkpointId)
    if (this.#stopping !== undefined && this.#stopping <= checkpointId) this.#stopping = undefined
  }
  /** True when the task now has to wait for a checkpoint; `isTriggered`: one is asked for already (a savepoint that drains). */
  dataEnded(drain: boolean, isTriggered: boolean): boolean {
    this.#isDataEnded = true
    this.#needsCheckpoint = drain && (this.checkpointing || isTriggered)
    return this.#needsCheckpoint
  }
  /** Between such a savepoint and its completion no input is taken from a source. */
  get isStopping(): boolean {
    return this.#stopping !== undefined
  }
  get isReached(): boolean {
    if (this.isStopping) return false
    return !this.#needsCheckpoint || this.#isComplete
  }
}
