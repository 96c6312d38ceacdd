/**
 * Sinks. A promise from `write` holds back further input; `flush` comes at each barrier; committables are in the checkpoint, and
 * committed once it is complete.
 */
import type { RuntimeContext } from './runtime-context.js'

export interface SinkWriter<in T> {
  write: (record: T, ctx: { readonly timestamp: number; readonly currentWatermark: number }) => void | Promise<void>
  flush: (endOfInput: boolean) => void | Promise<void>
  close?: () => void | Promise<void>
}
export interface Sink<in T> {
  createWriter(ctx: RuntimeContext): SinkWriter<T> | Promise<SinkWriter<T>>
}
export interface CommittingWriter<in T, out C, out S = never> extends SinkWriter<T> {
  prepareCommit: (checkpointId: number) => readonly C[] | Promise<readonly C[]>
  snapshotState?: (checkpointId: number) => readonly S[]
}
export interface TwoPhaseSink<in T, in out C, in out S = never> {
  createWriter(ctx: RuntimeContext, restored: readonly S[]): CommittingWriter<T, C, S> | Promise<CommittingWriter<T, C, S>>
  createCommitter(ctx: RuntimeContext): Committer<C> | Promise<Committer<C>>
}
/** May come again for the same committables. */
export interface Committer<in C> {
  commit: (requests: readonly CommitRequest<C>[]) => Promise<void>
  close?: () => void | Promise<void>
}
export interface CommitRequest<out C> {
  readonly committable: C
  readonly numberOfRetries: number
  retryLater(): void
  signalAlreadyCommitted(): void
  signalFailed(error: Error): void
}
