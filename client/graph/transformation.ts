/** One step as the program wrote it. Immutable; streams point at them, and the graph is what can be reached from those of a job. */
import type { KeySelector, OperatorDefinition } from '#core/functions/operator-definition.js'
import type { Partitioner } from '#protocol/graph/job-graph.js'
import type { TransformationRegistry } from './transformation-registry.js'

export type Partitioning =
  | { readonly kind: 'hash'; readonly key: KeySelector }
  | { readonly kind: 'custom'; readonly key: KeySelector; readonly partition: (key: never, consumers: number) => number }
  | { readonly kind: Exclude<Partitioner, 'hash' | 'custom'> }

/** Where a stream comes from: the output of a step, or one of its side outputs, and how it is spread over the next one's subtasks. */
export interface Upstream {
  readonly from: Transformation
  readonly tag?: string
  /** Undefined: forward where the parallelisms agree, else rebalance. */
  readonly partitioning?: Partitioning
}

export interface Transformation {
  readonly registry: TransformationRegistry
  /** Position among the steps of its environment, from 0. */
  readonly index: number
  readonly definition: OperatorDefinition
  readonly name: string
  /** As given; automatic ones are made by the generator. */
  readonly uid?: string
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly slotSharingGroup?: string
  readonly chaining?: 'start-new' | 'never'
  readonly upstreams: readonly Upstream[]
  /** 'src/job.ts:12:5'. */
  readonly declaredAt?: string
}
