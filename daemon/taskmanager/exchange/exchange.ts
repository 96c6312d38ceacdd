/**
 * What the task sees of the exchange. Records within a slot go by reference; to another slot of the TaskManager through a ring in
 * shared memory; to another TaskManager through a ring to the main thread, which moves the same frames over TCP. None of the calls
 * waits: what can't go out is kept in an overflow list, and the task looks at `isBackPressured` before it takes more input.
 */
import type { EdgeDefinition } from '#core/functions/operator-definition.js'
import type { AnyType } from '#core/serialization/types.js'
import type { StreamEvent } from '#protocol/frames/stream-event.js'
import type { JobEdge } from '#protocol/graph/job-graph.js'

/** Records of one frame (or of one local hand-over). Valid, its arrays too, until the next poll of the gate; the records may be kept. */
export interface RecordBatch {
  count: number
  readonly values: unknown[]
  /** The key's hash (keyHash in core/serialization/key-hash.ts), where the edge is partitioned by hash. */
  readonly hashes: Int32Array
  /** ms since the epoch; NaN where a record has none. */
  readonly timestamps: Float64Array
  /** False: no record of the batch has a time stamp, `timestamps` was not filled. */
  hasTimestamps: boolean
}

export type { StreamEvent }

export type Polled =
  | { readonly kind: 'records'; readonly channel: number; readonly batch: RecordBatch }
  | { readonly kind: 'event'; readonly channel: number; readonly event: StreamEvent }

/** The consumer's end: all channels of all edges into one task. */
export interface InputGate {
  /** Channels are numbered edge by edge, producer by producer (protocol/graph/wiring.ts). */
  readonly channelCount: number
  /** The input of the head operator that a channel feeds. */
  inputIndexOf(channel: number): number
  /** The next frame or event of any channel that is not blocked, round robin; undefined when there is none now. The objects are reused. */
  poll(): Polled | undefined
  /** Whether poll() would return something. */
  readonly hasInput: boolean
  /** An alignment holds the channel back until unblocked. */
  block(channel: number): void
  unblock(channel: number): void
  /** Bytes received, for metrics. What stays in the slot comes by reference and has none. */
  readonly numBytesIn: number
  /** Of these, those of records: without barriers, watermarks and other events. */
  readonly numRecordBytesIn: number
  close(): void
}

/** The producer's end of one edge. */
export interface ResultPartition {
  readonly edgeId: string
  /**
   * Sends one record to the channel(s) that the partitioner says. `timestamp` NaN where there is none. For partitioner hash the key's
   * hash is computed here and travels with the record. Generated code: the hot path of every exchange.
   */
  emit(value: unknown, timestamp: number): void
  /** In order behind all records so far, to all channels; flushes. */
  broadcastEvent(event: StreamEvent): void
  /** Hands half-filled frames over (execution.buffer-timeout.interval). */
  flush(): void
  /** True while some channel's overflow list is not empty: the task takes no input and fires no timer. */
  readonly isBackPressured: boolean
  /** Tries to move overflow into the rings; true when it is empty again. Called by the slot's loop when a consumer freed space. */
  drain(): boolean
  readonly numBytesOut: number
  readonly numRecordsOut: number
  close(): void
}

/** One end of a channel, as the TaskExecutor hands it to a slot worker. `ring` is undefined for a channel within the slot. */
export interface ChannelDescriptor {
  readonly edgeId: string
  readonly producerAttempt: string
  readonly producerSubtask: number
  readonly consumerAttempt: string
  readonly consumerSubtask: number
  /** SharedArrayBuffer of the ring (exchange/ring.ts); absent: both ends are in this slot. */
  readonly ring?: SharedArrayBuffer
  /** Doorbell of the other end: rung after a frame was published or a slot of the ring was freed. */
  readonly peerDoorbell?: SharedArrayBuffer
}

export interface InputGateSpec {
  /** The edges into the task in the job graph's order, each with its channels in producer order. */
  readonly edges: readonly { readonly edge: JobEdge; readonly channels: readonly ChannelDescriptor[] }[]
  readonly attemptId: string
}
export interface ResultPartitionSpec {
  readonly edge: JobEdge
  /** Channels in consumer order; for forward and rescale only those that exist (protocol/graph/wiring.ts). */
  readonly channels: readonly ChannelDescriptor[]
  /** Of the consumer vertex. */
  readonly consumers: number
  readonly maxParallelism: number
  readonly functions: EdgeDefinition
  /** Declared record type, where the operator has one; otherwise the codec is inferred. */
  readonly type?: AnyType
  readonly attemptId: string
  readonly subtaskIndex: number
}

/** One per slot worker: knows the slot's own doorbell and links channels whose both ends are in the slot. */
export interface ExchangeFactory {
  inputGate(spec: InputGateSpec): InputGate
  resultPartition(spec: ResultPartitionSpec): ResultPartition
}
