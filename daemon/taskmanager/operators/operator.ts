/**
 * The contract between a task and its operators. The head of a chain gets frames, the others single records; watermarks, barriers and
 * the end of input reach each operator in chain order. All calls but those that say so are synchronous.
 */

import type { Clock } from '#core/clock.js'
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { ReaderEvent } from '#protocol/gateways/job-master-gateway.js'
import type { FinishedSubtask } from '#protocol/graph/deployment.js'
import type { OperatorSpec } from '#protocol/graph/job-graph.js'
import type { RecordBatch } from '../exchange/exchange.js'
import type { ChunkStore, KeyedStateBackend, MemoryBudget } from '../state/keyed-state-backend.js'

/** Where an operator emits to: generated per operator instance, so that calls stay monomorphic. `timestamp` NaN where there is none. */
export interface Output {
  collect(value: unknown, timestamp: number): void
  /** To the side output of this tag id; dropped when nothing reads it. */
  side(tag: string, value: unknown, timestamp: number): void
}

export interface OperatorContext {
  readonly spec: OperatorSpec
  readonly definition: OperatorDefinition
  readonly runtime: RuntimeContext
  readonly clock: Clock
  readonly output: Output
  readonly chunks: ChunkStore
  readonly memory: MemoryBudget
  /** Key groups of the subtask: [from, to). */
  readonly keyGroups: readonly [number, number]
  readonly maxParallelism: number
  /** Present when restored; the states of all earlier subtasks that this one draws from. */
  readonly restored?: {
    readonly checkpointId: number
    readonly states: readonly SubtaskState[]
    readonly parallelism: number
    /** What the operator does not declare of them is dropped. */
    readonly allowNonRestoredState: boolean
  }
  /** The subtask had FINISHED in the checkpoint that it is restored from. */
  readonly finished?: FinishedSubtask
  /** To be called before user code that is not run within a call of the task, but after a promise of the engine: it is to blame from here on. */
  entering(): void
  /** Makes (and restores, when `restored` is present) the keyed backend. At most once an operator. */
  createKeyedState(): Promise<KeyedStateBackend>
}

/** What the task offers to the operators that reach beyond records: sources, sinks, watermark assigners. */
export interface TaskServices {
  /** Asks for a turn: a promise that held input back has settled, a source has data. */
  wake(): void
  /** Fails the task; for what goes wrong outside a call. */
  fail(error: unknown): void
  /** A watermark, or idleness, that begins at this operator and concerns what is behind it. */
  emitWatermark(operatorIndex: number, timestamp: number): void
  emitIdle(operatorIndex: number, idle: boolean): void
  sendReaderEvent(operatorId: string, event: ReaderEvent): void
  sendCollected(operatorId: string, subtaskIndex: number, checkpointId: number, records: readonly unknown[]): void
  /** execution.checkpointing.interval is above 0: what a sink prepared is committed once its checkpoint is complete. */
  readonly checkpointingEnabled: boolean
  /** pipeline.auto-watermark-interval. */
  readonly watermarkIntervalMs: number
}

/** An operator's answer to a barrier: what it holds was fixed when `snapshot` returned; the promise brings it to disk. */
export interface OperatorSnapshotResult {
  readonly keyed?: readonly ChunkRef[]
  /** Encoded operator state; the task puts it inline or into a chunk by its size. */
  readonly operator?: Uint8Array
  /** The operator bytes are needed by all subtasks (union redistribution). */
  readonly union?: true
  readonly checkpointedBytes: number
  readonly stateBytes: number
}

export interface Operator {
  /** Restores state and opens the user function. */
  open(): Promise<void>
  /** One record from the operator before it in the chain. */
  processElement(value: unknown, timestamp: number): void
  /** A frame from the gate, for heads. Keyed operators take the key's hash from it. */
  processBatch(batch: RecordBatch, input: number): void
  /** Fires what is due; the chain then passes the watermark on. */
  processWatermark(timestamp: number): void
  /** Fires processing-time timers due at `now`. */
  processProcessingTime(now: number): void
  /** When processProcessingTime is next needed; undefined for never. */
  readonly nextProcessingTime: number | undefined
  /** True while no further input may be given (a sink's write is pending). Absent: never. */
  readonly holdsInput?: boolean
  /** Before the barrier is passed on: emits or flushes what must be in the checkpoint (sinks). May wait. */
  prepareSnapshot(checkpointId: number): void | Promise<void>
  /** Fixes the state at the barrier synchronously. */
  snapshot(checkpointId: number): Promise<OperatorSnapshotResult>
  notifyCheckpointComplete(checkpointId: number): void | Promise<void>
  notifyCheckpointAborted(checkpointId: number): void
  /** All input has come: emit what is left. */
  endOfData(): void | Promise<void>
  /** Also after a failure; must not emit. */
  close(): Promise<void>
}
