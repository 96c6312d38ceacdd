import type { SerializedError } from '#core/errors.js'
import type { JobGraph } from '../graph/job-graph.js'
import type { JobFact, JobStatus } from '../ha/facts.js'
import type { CheckpointMetrics, ExecutionState } from './job-master-gateway.js'
import type { DrainProgress, HardwareDescription, SlotReport } from './resource-manager-gateway.js'
import type { MemoryMetrics, NetworkMetrics, ProcessMetrics, TaskMetrics } from './task-executor-gateway.js'

/** Served by the leading JobManager; called by the REST handlers (of the leader itself, in process). Snapshots are plain data. */
export interface DispatcherGateway {
  /** Idempotent by job id: acknowledged once the job's fact is durable. The artifact and graph blobs are stored on the in-sync set before. */
  submitJob(request: { jobGraph: JobGraph }): Promise<{ accepted: true }>
  /** JOB_NOT_FOUND, JOB_ALREADY_TERMINATED. Acknowledged once the intent is durable. */
  cancelJob(request: { jobId: string }): Promise<{ accepted: true }>
  listJobs(request: Record<string, never>): Promise<readonly JobOverview[]>
  /** JOB_NOT_FOUND. */
  describeJob(request: { jobId: string }): Promise<JobDetails>
  /** From `after` (exclusive, a running number) on: records that a collect sink has sent. */
  fetchCollected(request: {
    jobId: string
    operatorId: string
    after: number
  }): Promise<{ records: readonly unknown[]; next: number; ended: boolean }>
  clusterOverview(request: Record<string, never>): Promise<ClusterOverview>
  listTaskManagers(request: Record<string, never>): Promise<readonly TaskManagerDetails[]>
  /** Asks it to go: acknowledged once that is durable. NOT_FOUND where it is not registered. */
  drainTaskManager(request: { taskManagerId: string }): Promise<DrainStatus>
  /**
   * Also of one that has gone, for some minutes; where an earlier leader was asked to drain it, too. Another process of the same id is
   * another one: `processId` names the one that is meant. NOT_FOUND.
   */
  drainStatus(request: { taskManagerId: string; processId?: string }): Promise<DrainStatus>
  /** Of jobs that have ended, also of those that are forgotten otherwise. */
  listRetainedCheckpoints(request: Record<string, never>): Promise<readonly RetainedCheckpoint[]>
  /** Begins to dispose of a retained checkpoint, or of all of a job. INVALID_ARGUMENT; everything else is said by `disposalStatus`. */
  triggerDisposal(request: { path: string }): Promise<{ requestId: string }>
  /** Also of what an earlier leader was asked, for some minutes. NOT_FOUND. */
  disposalStatus(request: { requestId: string }): Promise<DisposalStatus>
}

export interface RetainedCheckpoint {
  readonly jobId: string
  readonly jobName: string
  readonly jobStatus: JobStatus
  readonly jobEndTime: number
  readonly checkpointId: number
  /** As a new job takes it. */
  readonly path: string
  readonly completedTimestamp?: number
  /** Bytes that it refers to in all. */
  readonly stateSize?: number
  /** Why nobody can start from it. */
  readonly unreadable?: string
}
export interface DisposalStatus {
  readonly state: 'IN_PROGRESS' | 'COMPLETED'
  /** What was disposed of. */
  readonly paths?: readonly string[]
  readonly failure?: SerializedError
}

export interface DrainStatus extends DrainProgress {
  readonly taskManagerId: string
  /** Another one of the same id is not the one that was to be drained. */
  readonly processId: string
  /** REGISTERED: nobody wants it gone. DRAINED, NOT_DRAINED: it has gone, with all slots free or not. LOST: it went otherwise. */
  readonly state: 'REGISTERED' | 'DRAINING' | 'DRAINED' | 'NOT_DRAINED' | 'LOST'
}

export interface JobOverview {
  readonly jobId: string
  readonly jobName: string
  readonly status: JobStatus
  readonly startTime: number
  /** -1 while it runs. */
  readonly endTime: number
  readonly lastModification: number
  readonly tasks: Readonly<Record<ExecutionState, number>>
  /** Why it waits, where it does: 'needs 4 slots of group default, 2 are free'. */
  readonly waitingFor?: string
}

export interface JobDetails extends JobOverview {
  readonly jobGraph: JobGraph
  readonly fact: JobFact
  /** Time of entering each job status. */
  readonly timestamps: Readonly<Partial<Record<JobStatus, number>>>
  readonly vertices: readonly VertexDetails[]
  readonly restarts: number
  /** Newest first, at most 16. */
  readonly exceptions: readonly ExceptionEntry[]
  readonly exceptionsTruncated: boolean
  /** By name: type and result so far (merged over subtasks). */
  readonly accumulators: Readonly<Record<string, { readonly type: string; readonly value: unknown }>>
  readonly checkpoints: CheckpointStatistics
  readonly failure?: SerializedError
}

export interface VertexDetails {
  readonly vertexId: string
  readonly subtasks: readonly SubtaskDetails[]
}
export interface SubtaskDetails {
  readonly subtaskIndex: number
  readonly attemptNumber: number
  readonly attemptId: string
  readonly state: ExecutionState
  /** host:port of the TaskManager. */
  readonly endpoint?: string
  readonly taskManagerId?: string
  readonly timestamps: Readonly<Partial<Record<ExecutionState, number>>>
  readonly metrics?: TaskMetrics
}
export interface ExceptionEntry {
  readonly error: SerializedError
  readonly timestamp: number
  readonly taskName?: string
  readonly endpoint?: string
  readonly taskManagerId?: string
}

export interface CheckpointStatistics {
  readonly counts: {
    readonly restored: number
    readonly total: number
    readonly inProgress: number
    readonly completed: number
    readonly failed: number
  }
  /** Newest first, at most 10. */
  readonly history: readonly CheckpointStatisticsEntry[]
  readonly latestRestored?: { readonly id: number; readonly restoreTimestamp: number; readonly externalPath: string }
}
export interface CheckpointStatisticsEntry {
  readonly id: number
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED'
  readonly isSavepoint: boolean
  readonly triggerTimestamp: number
  readonly latestAckTimestamp: number
  readonly endToEndDurationMs: number
  readonly checkpointedSize: number
  readonly stateSize: number
  readonly subtasksTotal: number
  readonly subtasksAcknowledged: number
  readonly failureMessage?: string
  readonly externalPath?: string
  readonly tasks: Readonly<
    Record<
      string,
      {
        readonly acknowledged: number
        readonly total: number
        readonly subtasks: Readonly<Record<number, CheckpointMetrics & { readonly ackTimestamp: number }>>
      }
    >
  >
}

export interface ClusterOverview {
  readonly taskManagers: number
  /** Of these: being drained. Their free slots are not available. */
  readonly taskManagersBlocked: number
  readonly slotsFreeAndBlocked: number
  readonly slotsTotal: number
  readonly slotsAvailable: number
  readonly jobsRunning: number
  readonly jobsFinished: number
  readonly jobsCancelled: number
  readonly jobsFailed: number
}

export interface TaskManagerDetails {
  readonly taskManagerId: string
  readonly host: string
  readonly dataPort: number
  readonly timeSinceLastHeartbeat: number
  readonly slots: readonly SlotReport[]
  /** Nothing new is allocated there: it is being drained. */
  readonly blocked: boolean
  readonly hardware: HardwareDescription
  readonly managedBytes: number
  readonly slotBytes: number
  /** As the newest heartbeat said; absent before the first. */
  readonly process?: ProcessMetrics
  readonly memory?: MemoryMetrics
  readonly network?: NetworkMetrics
}
