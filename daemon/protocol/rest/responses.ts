/** What the REST API answers: Flink's paths and field names (`/v1/…` and without the prefix). Times are ms since the epoch, durations ms, -1: not yet. */
import type { ErrorCode } from '#core/errors.js'
import type { ExecutionState } from '../gateways/job-master-gateway.js'
import type { JobStatus } from '../ha/facts.js'

/** Any status >= 400. `errors` are for people; `code` is stable. */
export interface ErrorResponse {
  readonly errors: readonly string[]
  readonly code: ErrorCode
}
export interface ClusterOverviewResponse {
  readonly taskmanagers: number
  /** Being drained: their free slots are not among 'slots-available'. */
  readonly 'taskmanagers-blocked': number
  readonly 'slots-free-and-blocked': number
  readonly 'slots-total': number
  readonly 'slots-available': number
  readonly 'jobs-running': number
  readonly 'jobs-finished': number
  readonly 'jobs-cancelled': number
  readonly 'jobs-failed': number
  readonly 'flott-version': string
  /** Flink's name for the same, for tools that read it. */
  readonly 'flink-version': string
  readonly 'flink-commit': string
  readonly leader: { readonly 'jobmanager-id': string; readonly epoch: string; readonly address: string }
}
export interface JobIdsResponse {
  readonly jobs: readonly { readonly id: string; readonly status: JobStatus }[]
}
export interface JobOverviewItem {
  readonly jid: string
  readonly name: string
  readonly state: JobStatus
  readonly jobType: 'STREAMING'
  readonly schedulerType: 'Default'
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly 'last-modification': number
  readonly tasks: Readonly<Record<string, number>>
  readonly 'pending-operators': number
  readonly 'waiting-for'?: string
}
export interface JobsOverviewResponse {
  readonly jobs: readonly JobOverviewItem[]
}
export interface IoMetrics {
  readonly 'read-bytes': number
  readonly 'read-records': number
  readonly 'write-bytes': number
  readonly 'write-records': number
  readonly 'read-bytes-complete': boolean
  readonly 'read-records-complete': boolean
  readonly 'write-bytes-complete': boolean
  readonly 'write-records-complete': boolean
  readonly 'accumulated-backpressured-time': number
  readonly 'accumulated-busy-time': number
  readonly 'accumulated-idle-time': number
}
export interface JobVertexItem {
  readonly id: string
  readonly name: string
  readonly slotSharingGroupId: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly status: ExecutionState
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly tasks: Readonly<Record<ExecutionState, number>>
  readonly metrics: IoMetrics
}
export interface PlanNode {
  readonly id: string
  readonly parallelism: number
  readonly operator: string
  readonly operator_strategy: string
  readonly description: string
  readonly optimizer_properties: Readonly<Record<string, never>>
  readonly inputs?: readonly {
    readonly num: number
    readonly id: string
    readonly ship_strategy: string
    readonly exchange: 'pipelined_bounded'
  }[]
}
export interface Plan {
  readonly jid: string
  readonly name: string
  readonly type: 'STREAMING'
  readonly nodes: readonly PlanNode[]
}
export interface PlanResponse {
  readonly plan: Plan
}
/** Without Flink's application-id and stream-graph: jobs belong to no application, and programs send job graphs only. */
export interface JobDetailsResponse extends Omit<JobOverviewItem, 'jobType' | 'tasks'> {
  readonly 'job-type': 'STREAMING'
  readonly isStoppable: boolean
  readonly now: number
  readonly maxParallelism: number
  readonly timestamps: Readonly<Record<JobStatus, number>>
  readonly vertices: readonly JobVertexItem[]
  readonly 'status-counts': Readonly<Record<ExecutionState, number>>
  readonly plan: Plan
  readonly restarts: number
}
export interface SubtaskItem {
  readonly subtask: number
  readonly status: ExecutionState
  readonly attempt: number
  readonly endpoint: string
  readonly 'taskmanager-id': string
  readonly 'start-time': number
  readonly 'end-time': number
  readonly duration: number
  readonly 'status-duration': Readonly<Partial<Record<ExecutionState, number>>>
  readonly metrics: IoMetrics
  readonly 'current-input-watermark': number | null
  readonly user: Readonly<Record<string, number>>
  /** No subtask has more than one attempt at a time. */
  readonly 'other-concurrent-attempts': readonly never[]
}
export type Aggregate = Readonly<Record<'min' | 'max' | 'avg' | 'sum' | 'median' | 'p25' | 'p75' | 'p95', number>>
export interface AggregatedTaskDetails {
  /** By name: those of IoMetrics that are numbers. */
  readonly metrics: Readonly<Record<string, Aggregate>>
  /** By state, over all subtasks; -1 counts for those that are not in it. */
  readonly 'status-duration': Readonly<Record<string, Aggregate>>
}
export interface VertexDetailsResponse {
  readonly id: string
  readonly name: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly now: number
  readonly subtasks: readonly SubtaskItem[]
  readonly aggregated: AggregatedTaskDetails
}
export interface JobConfigResponse {
  readonly jid: string
  readonly name: string
  readonly 'execution-config': {
    readonly 'restart-strategy': string
    readonly 'job-parallelism': number
    readonly 'object-reuse-mode': boolean
    readonly 'user-config': Readonly<Record<string, string>>
  }
}
export interface ExceptionsResponse {
  readonly exceptionHistory: {
    readonly entries: readonly {
      readonly exceptionName: string
      readonly stacktrace: string
      readonly timestamp: number
      readonly taskName?: string
      readonly endpoint?: string
      readonly taskManagerId?: string
      readonly failureLabels: Readonly<Record<string, string>>
      readonly concurrentExceptions: readonly never[]
    }[]
    readonly truncated: boolean
  }
}
export interface AccumulatorsResponse {
  readonly 'job-accumulators': readonly never[]
  readonly 'user-task-accumulators': readonly { readonly name: string; readonly type: string; readonly value: string }[]
  readonly 'serialized-user-task-accumulators': Readonly<Record<string, unknown>>
}
export interface ExecutionResultResponse {
  readonly status: { readonly id: 'COMPLETED' | 'IN_PROGRESS' }
  readonly 'job-execution-result'?: {
    readonly id: string
    readonly name: string
    readonly 'application-status': 'SUCCEEDED' | 'FAILED' | 'CANCELED'
    readonly 'start-time': number
    readonly 'end-time': number
    readonly 'net-runtime': number
    /** Intermediate values by name, as tagged JSON (protocol/rest/tagged-json.ts); the client applies the accumulator's getResult. */
    readonly 'accumulator-results': unknown
    readonly 'failure-cause'?: { readonly class: string; readonly 'stack-trace': string; readonly error: unknown }
  }
}
export interface CheckpointItem {
  readonly className: 'completed' | 'failed' | 'in_progress'
  readonly id: number
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED'
  readonly is_savepoint: boolean
  readonly checkpoint_type: 'CHECKPOINT' | 'SAVEPOINT'
  readonly trigger_timestamp: number
  readonly latest_ack_timestamp: number
  readonly end_to_end_duration: number
  readonly checkpointed_size: number
  readonly state_size: number
  readonly alignment_buffered: number
  /** Bytes of records that subtasks took between the first barrier and the last; records within a slot have none. -1: not known. */
  readonly processed_data: number
  readonly persisted_data: number
  readonly num_subtasks: number
  readonly num_acknowledged_subtasks: number
  /** Of a savepoint. */
  readonly savepointFormat: null
  readonly tasks: Readonly<Record<string, unknown>>
  readonly external_path?: string
  /** Completed, and not retained any more: a newer one has taken its place, or it was disposed of. */
  readonly discarded?: boolean
  readonly failure_message?: string
  readonly failure_timestamp?: number
}
export interface CheckpointsResponse {
  readonly counts: {
    readonly restored: number
    readonly total: number
    readonly in_progress: number
    readonly completed: number
    readonly failed: number
  }
  readonly summary: Readonly<Record<string, Readonly<Record<'min' | 'max' | 'avg' | 'p50' | 'p90' | 'p95' | 'p99' | 'p999', number>>>>
  readonly latest: {
    readonly completed: CheckpointItem | null
    readonly savepoint: CheckpointItem | null
    readonly failed: CheckpointItem | null
    readonly restored: {
      readonly id: number
      readonly restore_timestamp: number
      readonly is_savepoint: boolean
      readonly external_path: string
    } | null
  }
  readonly history: readonly CheckpointItem[]
}
/**
 * In MiB, as Flink's. A slot is one thread, so it has one core at most. Its share of the managed memory holds all that its tasks have:
 * heap, buffers and the channels that it reads. So there is nothing beside managedMemory.
 */
export interface ResourceProfile {
  readonly cpuCores: number
  readonly managedMemory: number
  readonly taskHeapMemory: 0
  readonly taskOffHeapMemory: 0
  readonly networkMemory: 0
  readonly extendedResources: Readonly<Record<string, never>>
}
/** In bytes. -1: there is no such limit or number. Of the process's main thread and of all slots with tasks together. */
export interface TaskManagerMetrics {
  readonly heapUsed: number
  readonly heapCommitted: number
  readonly heapMax: number
  /** What V8 has beside its heaps. */
  readonly nonHeapUsed: number
  readonly nonHeapCommitted: number
  readonly nonHeapMax: -1
  /** Buffers, and what else objects own outside of the heap. Node.js does not count them. */
  readonly directUsed: number
  readonly directCount: -1
  readonly directMax: -1
  /** Node.js maps no files into memory. */
  readonly mappedUsed: 0
  readonly mappedCount: 0
  readonly mappedMax: 0
  /** Of the channels that leave a slot; they come and go with their tasks. Memory in bytes. */
  readonly nettyShuffleMemorySegmentsTotal: number
  readonly nettyShuffleMemorySegmentsUsed: number
  readonly nettyShuffleMemorySegmentsAvailable: number
  readonly nettyShuffleMemoryTotal: number
  readonly nettyShuffleMemoryUsed: number
  readonly nettyShuffleMemoryAvailable: number
  /** V8's, since the process started. */
  readonly garbageCollectors: readonly { readonly name: string; readonly count: number; readonly time: number }[]
}
export interface TaskManagerItem {
  readonly id: string
  readonly path: string
  readonly dataPort: number
  /** There is none. */
  readonly jmxPort: -1
  readonly timeSinceLastHeartbeat: number
  readonly slotsNumber: number
  readonly freeSlots: number
  /** In all slots, without those that have ended. */
  readonly assignedTasks: number
  readonly totalResource: ResourceProfile
  readonly freeResource: ResourceProfile
  readonly hardware: {
    readonly cpuCores: number
    readonly physicalMemory: number
    readonly freeMemory: number
    readonly managedMemory: number
    readonly cpuModel: string
    readonly os: string
  }
  /** In bytes. null: Flink's other budgets do not exist here. */
  readonly memoryConfiguration: {
    readonly managedMemory: number
    /** A slot's share of it. */
    readonly slotMemory: number
    readonly frameworkHeap: null
    readonly taskHeap: null
    readonly frameworkOffHeap: null
    readonly taskOffHeap: null
    readonly networkMemory: null
    readonly jvmMetaspace: null
    readonly jvmOverhead: null
    readonly totalFlinkMemory: null
    readonly totalProcessMemory: null
  }
  readonly process: { readonly rss: number; readonly heapUsed: number; readonly cpuSeconds: number } | null
  /** It is being drained: its free slots are nobody's. */
  readonly blocked: boolean
}
export interface TaskManagersResponse {
  readonly taskmanagers: readonly TaskManagerItem[]
}
export interface TaskManagerDetailsResponse extends TaskManagerItem {
  readonly allocatedSlots: readonly { readonly jobId: string; readonly resource: ResourceProfile; readonly assignedTasks: number }[]
  /** null before its first heartbeat. */
  readonly metrics: TaskManagerMetrics | null
  readonly slots: readonly { readonly index: number; readonly state: string; readonly jobId: string | null }[]
}
export interface DashboardConfigResponse {
  readonly 'refresh-interval': number
  readonly 'timezone-name': string
  readonly 'timezone-offset': number
  readonly 'flink-version': string
  readonly 'flink-revision': string
  readonly features: {
    readonly 'web-submit': boolean
    readonly 'web-cancel': boolean
    readonly 'web-rescale': boolean
    readonly 'web-history': boolean
  }
}
export interface CollectedResponse {
  /** Tagged JSON, see protocol/rest/tagged-json.ts. */
  readonly records: unknown
  readonly next: number
  readonly ended: boolean
}
