/** Messages between the TaskExecutor (main thread) and a slot worker. Plain data, so that a worker can be a thread, a process, or (simulated) the same thread. */
import type { SerializedError } from '#core/errors.js'
import type { MemoryUsage } from '#metrics/thread-memory.js'
import type { ChunkRef, SubtaskSnapshot } from '#protocol/checkpoint/manifest.js'
import type { CheckpointMetrics, ExecutionState, ReaderEvent } from '#protocol/gateways/job-master-gateway.js'
import type { AccumulatorSnapshot, NumberedEvent, TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ChannelDescriptor } from '../exchange/exchange.js'
import type { WorkerFrame } from './worker-stack.js'

export interface SlotWorkerData {
  /** -1 in a spare worker, started ahead of time: its tasks' descriptors say which slot it became. */
  readonly slotIndex: number
  readonly taskManagerId: string
  /** Soft limit of the slot's memory in bytes. */
  readonly memoryBytes: number
  /** This worker's own doorbell: Int32Array(1), 1 while it sleeps. */
  readonly doorbell: SharedArrayBuffer
  /** Where it says which operator it entered last (task/slot-sites.ts); it makes its own when absent. */
  readonly sites?: SharedArrayBuffer
  readonly logLevel: string
}

export type ToSlotWorker =
  | { readonly kind: 'deploy'; readonly job: JobContext; readonly tasks: readonly WorkerTask[] }
  | { readonly kind: 'cancel'; readonly attemptIds: readonly string[] }
  | { readonly kind: 'fail'; readonly attemptIds: readonly string[]; readonly cause: SerializedError }
  | {
      readonly kind: 'trigger-checkpoint'
      readonly attemptIds: readonly string[]
      readonly checkpointId: number
      readonly epoch: string
      readonly timestamp: number
      readonly assigned: Readonly<Record<string, Readonly<Record<number, number>>>>
      readonly savepoint?: { readonly terminate: boolean; readonly drain: boolean }
    }
  | { readonly kind: 'checkpoint-complete'; readonly attemptIds: readonly string[]; readonly checkpointId: number }
  | { readonly kind: 'checkpoint-aborted'; readonly attemptIds: readonly string[]; readonly checkpointId: number }
  | { readonly kind: 'operator-events'; readonly attemptId: string; readonly operatorId: string; readonly events: readonly NumberedEvent[] }
  /** Answer to 'put-chunk' and 'get-chunk'. */
  | { readonly kind: 'chunk-stored'; readonly request: number; readonly error?: SerializedError }
  | { readonly kind: 'chunk'; readonly request: number; readonly bytes?: Uint8Array; readonly error?: SerializedError }
  /** A ring's far end is gone before end-of-partition. */
  | { readonly kind: 'channel-broken'; readonly attemptId: string; readonly channel: number; readonly cause: SerializedError }
  | { readonly kind: 'report-metrics' }
  | { readonly kind: 'ping'; readonly sequence: number }

/** What all tasks of a job share. */
export interface JobContext {
  readonly jobGraph: JobGraph
  /** Directory on this machine with the unpacked artifact (artifact.mjs, its source map, node_modules/flott); undefined in simulation. */
  readonly artifactDirectory?: string
}

export interface WorkerTask {
  readonly descriptor: TaskDeploymentDescriptor
  /** In the order of protocol/graph/wiring.ts. */
  readonly inputs: readonly ChannelDescriptor[]
  readonly outputs: readonly ChannelDescriptor[]
}

export type FromSlotWorker =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'task-state'
      readonly attemptId: string
      readonly state: ExecutionState
      readonly error?: SerializedError
      readonly accumulators?: Readonly<Record<string, AccumulatorSnapshot>>
      readonly metrics?: TaskMetrics
    }
  | {
      readonly kind: 'checkpoint-acknowledged'
      readonly attemptId: string
      readonly checkpointId: number
      readonly snapshot: SubtaskSnapshot
      readonly metrics: CheckpointMetrics
      /** The newest checkpoint whose completion the task had been told by then. */
      readonly lastCheckpointCompleted?: number
    }
  /** The task has come to the end of its data and waits for a checkpoint begun after it (JobMasterGateway.awaitFinalCheckpoint). */
  | { readonly kind: 'awaiting-final-checkpoint'; readonly attemptId: string }
  | { readonly kind: 'checkpoint-declined'; readonly attemptId: string; readonly checkpointId: number; readonly cause: SerializedError }
  /** Bytes of a chunk, to be made durable on the in-sync set; the buffer is transferred. Answered by 'chunk-stored'. */
  | { readonly kind: 'put-chunk'; readonly request: number; readonly blob: string; readonly bytes: Uint8Array }
  | { readonly kind: 'get-chunk'; readonly request: number; readonly ref: ChunkRef }
  | {
      readonly kind: 'reader-event'
      readonly attemptId: string
      readonly operatorId: string
      readonly reader: number
      readonly event: ReaderEvent
    }
  | {
      readonly kind: 'collected'
      readonly attemptId: string
      readonly operatorId: string
      readonly subtaskIndex: number
      readonly checkpointId: number
      readonly records: readonly unknown[]
    }
  | {
      readonly kind: 'metrics'
      readonly tasks: Readonly<Record<string, TaskMetrics>>
      readonly assignmentsReceived: Readonly<Record<string, Readonly<Record<string, number>>>>
      /** Of the worker's thread, where it has one. */
      readonly memory?: MemoryUsage
    }
  /** Output of the print sink, for the TaskManager's stdout. */
  | { readonly kind: 'print'; readonly line: string }
  | { readonly kind: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly text: string; readonly fields?: object }
  | { readonly kind: 'pong'; readonly sequence: number }

/** A running worker, whatever it is made of. Messages arrive in order, or not at all once `onExit` was called. */
export interface SlotWorker {
  post(message: ToSlotWorker, transfer?: readonly ArrayBuffer[]): void
  terminate(): Promise<void>
  /**
   * What its thread is doing, innermost frame first, also while it answers nothing; undefined where that can not be told before the
   * signal aborts. Absent where there is no thread. terminate() ends it.
   */
  stack?(signal: AbortSignal): Promise<readonly WorkerFrame[] | undefined>
}
export interface SlotWorkerHost {
  /** Starts a worker; `onExit` is called exactly once, also after terminate(). */
  start(data: SlotWorkerData, handlers: { onMessage(message: FromSlotWorker): void; onExit(cause: Error | undefined): void }): SlotWorker
}
