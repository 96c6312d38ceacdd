/** Sources: the enumerator lives in the JobManager, a reader in each slot. */
import type { Clock } from '../clock.js'
import type { RuntimeContext } from './runtime-context.js'

/** And its position: a plain record, saved in checkpoints. */
export interface SourceSplit {
  readonly splitId: string
}
export interface Source<T, S extends SourceSplit, E> {
  readonly boundedness: 'bounded' | 'continuous-unbounded'
  createReader(ctx: SourceReaderContext): SourceReader<T, S>
  createEnumerator(ctx: SplitEnumeratorContext<S>, restored: E | undefined): SplitEnumerator<S, E>
}
/** assignSplit without a reader: to the least loaded, or the first to register; checkpointed meanwhile. */
export interface SplitEnumeratorContext<in S> {
  readonly parallelism: number
  registeredReaders: () => readonly number[]
  assignSplit: (split: S, reader?: number) => void
  signalNoMoreSplits: (reader?: number) => void
  callAsync: <R>(
    task: (signal: AbortSignal) => Promise<R>,
    then: (result: R) => void,
    options?: { every?: import('../duration.js').Duration },
  ) => void
}
/** addSplitsBack: the reader failed before a checkpoint held them. A snapshot is encoded before anything else runs. */
export interface SplitEnumerator<S, out E> {
  start(): void
  addReader?(reader: number): void
  handleSplitRequest?(reader: number): void
  addSplitsBack(splits: readonly S[], reader: number): void
  snapshotState(checkpointId: number): E
  close?(): void | Promise<void>
}
export interface SourceReaderContext {
  readonly runtime: RuntimeContext
  readonly sendSplitRequest: () => void
  /** For rate limits and pauses; the simulation's, in a simulation. */
  readonly clock: Clock
}
export interface SourceOutput<T> {
  collect: (record: T, timestamp?: number) => void
}
/** pollNext never waits; isAvailable does. One call may collect several records, but should return within a millisecond or so. */
export interface SourceReader<T, S> {
  pollNext(out: SourceOutput<T>): 'more-available' | 'nothing-available' | 'end-of-input'
  isAvailable(): Promise<void>
  addSplits(splits: readonly S[]): void
  notifyNoMoreSplits(): void
  pauseOrResumeSplits?(pause: readonly string[], resume: readonly string[]): void
  snapshotState(checkpointId: number): readonly S[]
  notifyCheckpointComplete?(checkpointId: number): void
  close?(): void | Promise<void>
}
