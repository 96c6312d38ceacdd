/**
 * Where the enumerators of a job's sources run: user code, so never in the JobManager's own turns. Whatever the host is made of, only
 * plain data goes back and forth, in order.
 */
import type { SerializedError } from '#core/errors.js'
import type { SourceSplit } from '#core/functions/source.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'

export interface SourceOperator {
  readonly operatorId: string
  readonly uid: string
  readonly vertexId: string
  readonly parallelism: number
}

/** An attempt as a reader. */
export interface Registration {
  readonly reader: number
  /** Tells it from all other attempts. */
  readonly registration: number
  /** It was told so before the checkpoint that it is restored from: it takes no splits any more. */
  readonly noMoreSplits: boolean
}

/** A source with what its enumerator begins from. */
export interface EnumeratorStart {
  readonly operator: SourceOperator
  /** What 'snapshot' had answered. */
  readonly restored?: Uint8Array
  /** Readers that go on after a takeover, with the splits that they received since the snapshot. */
  readonly adopted: readonly (Registration & { readonly splits: readonly SourceSplit[] })[]
}

export type ToEnumerators =
  /** Also again, when the whole job restarts: the enumerators before are closed first. */
  | { readonly kind: 'start'; readonly request: number; readonly enumerators: readonly EnumeratorStart[] }
  | ({ readonly kind: 'reader-registered'; readonly operatorId: string } & Registration)
  | { readonly kind: 'reader-lost'; readonly operatorId: string; readonly reader: number }
  /** Splits that a lost reader had received since the checkpoint from which its successor is restored. */
  | { readonly kind: 'splits-back'; readonly operatorId: string; readonly reader: number; readonly splits: readonly SourceSplit[] }
  | { readonly kind: 'split-requested'; readonly operatorId: string; readonly reader: number }
  | { readonly kind: 'snapshot'; readonly request: number; readonly checkpointId: number }
  | { readonly kind: 'merge-accumulators'; readonly request: number; readonly values: Readonly<Record<string, readonly unknown[]>> }
  | { readonly kind: 'ping' }

export type FromEnumerators =
  /** From here on nothing comes from the enumerators of an earlier start. */
  | { readonly kind: 'started'; readonly request: number }
  /** `registration`: what the enumerator knew of the reader; another attempt may have registered meanwhile. */
  | {
      readonly kind: 'splits-assigned'
      readonly operatorId: string
      readonly reader: number
      readonly registration: number
      readonly splits: readonly SourceSplit[]
    }
  | { readonly kind: 'no-more-splits'; readonly operatorId: string; readonly reader: number; readonly registration: number }
  /** By operator id. All assignments that it covers came before it, none that it does not. */
  | { readonly kind: 'snapshot'; readonly request: number; readonly states: Readonly<Record<string, Uint8Array>> }
  | {
      readonly kind: 'merged'
      readonly request: number
      readonly values: Readonly<Record<string, unknown>>
      readonly error?: SerializedError
    }
  | { readonly kind: 'failed'; readonly error: SerializedError }
  | { readonly kind: 'pong' }

export interface EnumeratorSession {
  post(message: ToEnumerators): void
  /** Idempotent. Nothing is delivered afterwards. */
  close(): Promise<void>
}

export interface EnumeratorHost {
  /**
   * Evaluates the program and is then ready for 'start'. `onFailure` is called at most once: the program could not be loaded, user code threw,
   * the thread ended or blocks. After it, nothing is delivered.
   */
  open(jobGraph: JobGraph, handlers: { onMessage(message: FromEnumerators): void; onFailure(cause: Error): void }): EnumeratorSession
}
