import type { SerializedError } from '#core/errors.js'
import { defineGateway } from '../gateway.js'
import type { TaskDeployment } from '../graph/deployment.js'
import type { AttemptReport, SlotReport } from './resource-manager-gateway.js'

/** Served by each TaskManager; called by the leader over the connection that the TaskManager opened. Every method is idempotent. */
export interface TaskExecutorGateway {
  /** Reserves the slot for the job. SLOT_NOT_AVAILABLE when another allocation holds it. */
  requestSlot(request: { slotIndex: number; allocationId: string; jobId: string }): Promise<{ accepted: true }>
  /** Frees the slot; its tasks fail with the cause. The worker is discarded. */
  freeSlot(request: { allocationId: string; cause: string }): Promise<{ accepted: true }>
  /** Starts attempts in their slots; by attempt id. SLOT_NOT_AVAILABLE when a slot is not this job's. Reports follow by JobMasterGateway. */
  submitTasks(request: TaskDeployment): Promise<{ accepted: true }>
  cancelTasks(request: { jobId: string; attemptIds: readonly string[] }): Promise<{ accepted: true }>
  /** Fails attempts from outside (for instance: a peer they talk to is gone). */
  failTasks(request: { jobId: string; attemptIds: readonly string[]; cause: SerializedError }): Promise<{ accepted: true }>
  /**
   * To the tasks of the job on this TaskManager that get no barrier from a running producer: the sources, and tasks all of whose producers
   * have FINISHED (these begin once all their channels have ended). `assigned`: by operator id and reader, the assignment number that the enumerator's snapshot covers.
   */
  triggerCheckpoint(request: {
    jobId: string
    checkpointId: number
    timestamp: number
    attemptIds: readonly string[]
    assigned: Readonly<Record<string, Readonly<Record<number, number>>>>
    savepoint?: { terminate: boolean; drain: boolean }
  }): Promise<{ accepted: true }>
  notifyCheckpointComplete(request: { jobId: string; checkpointId: number; attemptIds: readonly string[] }): Promise<{ accepted: true }>
  notifyCheckpointAborted(request: { jobId: string; checkpointId: number; attemptIds: readonly string[] }): Promise<{ accepted: true }>
  /** From a source's enumerator to its reader; numbered from 1 per operator and reader, applied in order, repeats ignored. */
  sendOperatorEvents(request: {
    jobId: string
    attemptId: string
    operatorId: string
    events: readonly NumberedEvent[]
  }): Promise<{ accepted: true }>
  heartbeat(request: { sequence: number }): Promise<TaskExecutorHeartbeat>
  /** What a registration says of one job, for a JobMaster that comes after it. */
  describeAttempts(request: { jobId: string }): Promise<{ attempts: readonly AttemptReport[]; slots: readonly SlotReport[] }>
  /** An operator wants it gone: it asks to be drained (ResourceManagerGateway.drainTaskManager), and ends its process then. */
  drain(request: Record<string, never>): Promise<{ accepted: true }>
}

export interface NumberedEvent {
  readonly number: number
  readonly event: EnumeratorEvent
}
export type EnumeratorEvent =
  | { readonly kind: 'splits-assigned'; readonly splits: readonly unknown[] }
  | { readonly kind: 'no-more-splits' }

export interface TaskExecutorHeartbeat {
  readonly slots: readonly SlotReport[]
  readonly attempts: readonly AttemptReport[]
  /** By attempt id: counters that the UI and the CLI show, and user accumulators as their intermediate values. */
  readonly metrics: Readonly<Record<string, TaskMetrics>>
  readonly process: ProcessMetrics
  /** Absent where there are no threads of its own (simulation). */
  readonly memory?: MemoryMetrics
  readonly network: NetworkMetrics
}

export interface TaskMetrics {
  readonly numRecordsIn: number
  readonly numRecordsOut: number
  readonly numBytesIn: number
  readonly numBytesOut: number
  readonly busyTimeMs: number
  readonly backPressuredTimeMs: number
  readonly idleTimeMs: number
  readonly currentInputWatermark: number
  /** Accumulator name -> { kind, intermediate value }. */
  readonly accumulators: Readonly<Record<string, AccumulatorSnapshot>>
  /** User metrics by name: counters and gauges. */
  readonly user: Readonly<Record<string, number>>
}
export interface AccumulatorSnapshot {
  /** uid of the operator that declared it, so that the JobManager can merge by the user's function in the usercode worker, or by `kind`. */
  readonly kind: 'sum' | 'count' | 'min' | 'max' | 'list' | 'custom'
  readonly value: unknown
}

export interface ProcessMetrics {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  readonly cpuSeconds: number
}

/** Of the main thread and of all slots with tasks together. */
export interface MemoryMetrics {
  readonly heapUsedBytes: number
  readonly heapCommittedBytes: number
  readonly heapMaxBytes: number
  readonly nonHeapBytes: number
  readonly directBytes: number
  readonly collections: Readonly<Record<string, { readonly count: number; readonly timeMs: number }>>
}

/** Segments of the rings of all channels that leave a slot. Used: a frame is in it that its consumer has not released. */
export interface NetworkMetrics {
  readonly segmentsTotal: number
  readonly segmentsUsed: number
  readonly segmentBytes: number
}

export const taskExecutorGateway = defineGateway<TaskExecutorGateway>('TaskExecutor', {
  requestSlot: { timeoutMs: 10_000, idempotent: true },
  freeSlot: { timeoutMs: 10_000, idempotent: true },
  submitTasks: { timeoutMs: 10_000, idempotent: true },
  cancelTasks: { timeoutMs: 10_000, idempotent: true },
  failTasks: { timeoutMs: 10_000, idempotent: true },
  triggerCheckpoint: { timeoutMs: 10_000, idempotent: true },
  notifyCheckpointComplete: { timeoutMs: 10_000, idempotent: true },
  notifyCheckpointAborted: { timeoutMs: 10_000, idempotent: true },
  sendOperatorEvents: { timeoutMs: 10_000, idempotent: true },
  heartbeat: { timeoutMs: 10_000, idempotent: true },
  describeAttempts: { timeoutMs: 10_000, idempotent: true },
  drain: { timeoutMs: 10_000, idempotent: true },
})
