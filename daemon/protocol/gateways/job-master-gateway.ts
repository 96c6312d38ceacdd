import type { SerializedError } from '#core/errors.js'
import type { SubtaskSnapshot } from '../checkpoint/manifest.js'
import { defineGateway } from '../gateway.js'
import type { AccumulatorSnapshot, NumberedEvent } from './task-executor-gateway.js'

export type ExecutionState =
  | 'CREATED'
  | 'SCHEDULED'
  | 'DEPLOYING'
  | 'INITIALIZING'
  | 'RUNNING'
  | 'FINISHED'
  | 'CANCELING'
  | 'CANCELED'
  | 'FAILED'

/** Served by the JobMaster of one job (Call.target = job id); called by TaskManagers. Reports about older attempts are late, not wrong. */
export interface JobMasterGateway {
  /**
   * Attempts of one TaskManager, each of them once: what many say at the same time costs one call. An attempt reports in order: each report
   * awaits the acknowledgement of the last. Repeated until acknowledged.
   */
  updateTaskExecutionStates(request: { reports: readonly TaskExecutionReport[] }): Promise<{ accepted: true }>
  /** All chunks of the snapshot are durable on the in-sync set before this is called. */
  acknowledgeCheckpoint(request: CheckpointAcknowledgement): Promise<{ accepted: true }>
  /**
   * The attempt has come to the end of its data and waits for the notification of a checkpoint begun after that. A hint: once all
   * sources wait, the next checkpoint begins at once. Sent again after a takeover.
   */
  awaitFinalCheckpoint(request: { attemptId: string }): Promise<{ accepted: true }>
  declineCheckpoint(request: { attemptId: string; checkpointId: number; cause: SerializedError }): Promise<{ accepted: true }>
  /** A reader registers, asks for a split, or (after a restore) says what it holds. */
  sendReaderEvent(request: { attemptId: string; operatorId: string; reader: number; event: ReaderEvent }): Promise<{ accepted: true }>
  /** Records of a collect sink; numbered per attempt. */
  sendCollected(request: {
    attemptId: string
    operatorId: string
    subtaskIndex: number
    checkpointId: number
    records: readonly unknown[]
  }): Promise<{ accepted: true }>
}

export type ReaderEvent =
  | {
      readonly kind: 'reader-registered'
      /** Number of the last event that it (or, restored, the snapshot) holds; the next one gets the number after it. */
      readonly received: number
      /** After a takeover: the events received since the newest checkpoint whose completion it was told, so that none is assigned twice. */
      readonly events?: readonly NumberedEvent[]
    }
  /** Sent again after a takeover while it is not answered. */
  | { readonly kind: 'split-requested' }

export interface TaskExecutionReport {
  readonly attemptId: string
  readonly state: ExecutionState
  readonly error?: SerializedError
  /** With a terminal state: the final accumulators. */
  readonly accumulators?: Readonly<Record<string, AccumulatorSnapshot>>
  readonly metrics?: import('./task-executor-gateway.js').TaskMetrics
}

export interface CheckpointAcknowledgement {
  readonly attemptId: string
  readonly checkpointId: number
  readonly snapshot: SubtaskSnapshot
  readonly metrics: CheckpointMetrics
  /** The newest checkpoint whose completion the task had been told when it took the snapshot: deltas of later ones refer to nothing older. */
  readonly lastCheckpointCompleted?: number
}

export interface CheckpointMetrics {
  readonly checkpointStartDelayMs: number
  readonly alignmentDurationMs: number
  readonly syncDurationMs: number
  readonly asyncDurationMs: number
  readonly checkpointedBytes: number
  readonly stateBytes: number
  /** Of records that the task took between the first barrier and the last; absent in what earlier versions recorded. */
  readonly processedBytes?: number
  readonly unaligned: boolean
}

export const jobMasterGateway = defineGateway<JobMasterGateway>('JobMaster', {
  updateTaskExecutionStates: { timeoutMs: 10_000, idempotent: true },
  acknowledgeCheckpoint: { timeoutMs: 10_000, idempotent: true },
  awaitFinalCheckpoint: { timeoutMs: 10_000, idempotent: true },
  declineCheckpoint: { timeoutMs: 10_000, idempotent: true },
  sendReaderEvent: { timeoutMs: 10_000, idempotent: true },
  sendCollected: { timeoutMs: 10_000, idempotent: true },
})
