/**
 * What a keyed operator sees of its state: handles that refer to the current key, timers, and the snapshot that a barrier starts.
 * One backend per keyed operator and subtask. Everything is synchronous but snapshot uploads and restore.
 */
import type { Clock } from '#core/clock.js'
import type { Key, TimeDomain } from '#core/functions/functions.js'
import type { StateDescriptor } from '#core/state/state.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { NamespacedTables } from './table-family.js'

/** Chunks leave and enter the slot worker through this; bytes are on the in-sync disks when `put` resolves. */
export interface ChunkStore {
  /** Takes over the buffer. Fails with STORAGE_FULL, REPLICATION_FAILED, … : the checkpoint is declined. */
  put(blob: string, bytes: Uint8Array): Promise<void>
  /** As the manifest has it: BLOB_CORRUPT where size or checksum differ. */
  get(ref: ChunkRef): Promise<Uint8Array>
}

/** The slot's share of taskmanager.memory.managed.size. */
export interface MemoryBudget {
  /** Called before a table grows by this much; MEMORY_EXCEEDED (naming the operator last entered and the line that declared it) when it does not fit. */
  reserve(bytes: number): void
}

export interface KeyedStateBackendOptions {
  readonly jobId: string
  readonly operatorId: string
  readonly attemptId: string
  readonly subtaskIndex: number
  /** Key groups of this subtask: [from, to). */
  readonly keyGroups: readonly [number, number]
  readonly maxParallelism: number
  readonly clock: Clock
  readonly chunks: ChunkStore
  readonly memory: MemoryBudget
  /** State in a snapshot that the operator no longer declares is given up instead of an error. */
  readonly allowNonRestoredState?: boolean
  /** Restored state could not be brought in between two records, so that no call can throw it: the task is to fail. */
  fail(error: unknown): void
}

/** `namespace` is what the timer was registered with: '' for users' timers, windows have others. */
export type TimerCallback = (timestamp: number, domain: TimeDomain, namespace: string) => void

export interface KeyedTimers {
  /** For the current key; one timer a key, namespace and time stamp. */
  registerEventTime(timestamp: number, namespace?: string): void
  deleteEventTime(timestamp: number, namespace?: string): void
  registerProcessingTime(timestamp: number, namespace?: string): void
  deleteProcessingTime(timestamp: number, namespace?: string): void
  /** Fires, in order of time stamps, all event-time timers <= watermark: sets the current key, then calls back. Timers may be registered meanwhile. */
  advanceWatermark(watermark: number, fire: TimerCallback): void
  advanceProcessingTime(now: number, fire: TimerCallback): void
  /** Due time of the earliest processing-time timer; undefined when there is none. */
  readonly nextProcessingTime: number | undefined
}

/** What a barrier started. The walk goes on in turns (clock.defer) while records are processed. */
export interface KeyedSnapshot {
  /** Base and delta chunks, all durable. Rejects when an upload failed or the snapshot was dropped (a newer one, abort, close). */
  readonly done: Promise<{ readonly chunks: readonly ChunkRef[]; readonly checkpointedBytes: number; readonly stateBytes: number }>
}

export interface KeyedStateBackend {
  /** The key that all handles and timers refer to until the next call. `hash` is keyHash(key). CHECKPOINT_NOT_RESTORABLE, MEMORY_EXCEEDED. */
  setCurrentKey(key: Key, hash: number): void
  readonly currentKey: Key
  readonly currentKeyHash: number
  /** Touches the entries of a frame's keys before they are processed, so that the misses overlap. A hint: may do nothing. */
  prefetch(hashes: Int32Array, count: number): void
  /** The handle of a declared state, the same object at each call. */
  state<S>(descriptor: StateDescriptor<S>): S
  readonly timers: KeyedTimers
  /** For the engine's own operators: a table a namespace (a window), which is dropped as a whole. Once a name. */
  namespacedTables(name: string): NamespacedTables
  /** The operator has declared all its states (called `state` for each). STATE_NOT_RESTORED where a restored snapshot has others. */
  declared(): void
  /** Synchronous part: the epoch rises, nothing else. Only one walk at a time; a running one is finished or dropped first. */
  snapshot(checkpointId: number): KeyedSnapshot
  /** Deltas of later snapshots are taken since this one. */
  notifyCheckpointComplete(checkpointId: number): void
  notifyCheckpointAborted(checkpointId: number): void
  /**
   * Before the first record. Picks its key groups out of the states of all given subtasks. When it resolves their bytes are here and
   * their checksums right; a key's entries are decoded when it is set, the others in turns. STATE_INCOMPATIBLE, CHECKPOINT_NOT_RESTORABLE.
   */
  restore(states: readonly SubtaskState[]): Promise<void>
  /** Entries in all tables, for metrics; of what is not decoded yet, about. */
  readonly entryCount: number
  close(): void
}
