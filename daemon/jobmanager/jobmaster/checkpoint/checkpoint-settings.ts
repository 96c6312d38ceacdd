export type CheckpointRetention = 'RETAIN_ON_CANCELLATION' | 'DELETE_ON_CANCELLATION' | 'NO_EXTERNALIZED_CHECKPOINTS'

/** execution.checkpointing.* of one job. */
export interface CheckpointSettings {
  /** How often a checkpoint begins; 0: never. */
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Between the end of one and the beginning of the next. */
  readonly minPauseMs: number
  /** Failures in a row that the job endures. */
  readonly tolerableFailures: number
  /** Completed ones that are kept. */
  readonly maxRetained: number
  /** How a job may end that leaves them to others. */
  readonly retention: CheckpointRetention
  /** More than one at a time is not supported: a task walks its state for one snapshot at a time. */
  readonly maxConcurrent: 1
  readonly mode: 'exactly-once' | 'at-least-once'
}

export const DEFAULT_CHECKPOINT_SETTINGS: CheckpointSettings = {
  intervalMs: 0,
  timeoutMs: 600_000,
  minPauseMs: 0,
  tolerableFailures: 0,
  maxRetained: 3,
  retention: 'RETAIN_ON_CANCELLATION',
  maxConcurrent: 1,
  mode: 'exactly-once',
}
