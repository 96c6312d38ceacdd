/** What a completed checkpoint consists of: names and small values. A blob, named in the job's fact. */
export interface CheckpointManifest {
  readonly version: 1
  readonly jobId: string
  readonly checkpointId: number
  readonly triggerTimestamp: number
  readonly completedTimestamp: number
  readonly kind: 'checkpoint' | 'savepoint'
  readonly vertices: readonly VertexManifest[]
  /** Enumerator snapshots by operator id. */
  readonly coordinators: Readonly<Record<string, CoordinatorState>>
  /** Bytes newly written for this checkpoint, and bytes it refers to in all. */
  readonly checkpointedSize: number
  readonly stateSize: number
}

export interface VertexManifest {
  readonly vertexId: string
  readonly parallelism: number
  /** Of those of its operators that were taken at another one; only where a graph of today has been given the state of another. */
  readonly operatorParallelism?: Readonly<Record<string, number>>
  readonly maxParallelism: number
  readonly operatorIds: readonly string[]
  /** By subtask index. */
  readonly subtasks: readonly SubtaskSnapshot[]
}

/** What one subtask acknowledged. */
export interface SubtaskSnapshot {
  readonly subtaskIndex: number
  /** FINISHED before the barrier: its operators hold nothing more. */
  readonly finished: boolean
  /** By operator id. */
  readonly operators: Readonly<Record<string, SubtaskState>>
}

/** One operator's state in one subtask. */
export interface SubtaskState {
  readonly subtaskIndex: number
  /**
   * Keyed state: the base chunk, then deltas in order; restoring applies them one after the other. Names of blobs
   * (protocol/ha/blobs.ts). Empty when the operator has no keyed state.
   */
  readonly keyed: readonly ChunkRef[]
  /** Operator state, splits, committables, watermarks: encoded by the operator, at most 16 KiB; larger ones become `operatorChunk`. */
  readonly inline?: Uint8Array
  readonly operatorChunk?: ChunkRef
  /** Every subtask needs the operator state of all (union redistribution), also at unchanged parallelism. */
  readonly union?: true
}

export interface ChunkRef {
  readonly blob: string
  readonly bytes: number
  readonly crc32: number
  /** Key groups it may hold: [from, to). */
  readonly keyGroups?: readonly [number, number]
}

export interface CoordinatorState {
  readonly bytes: Uint8Array
  /** Highest split assignment number handed to each reader that this snapshot covers. */
  readonly assigned: Readonly<Record<number, number>>
}
