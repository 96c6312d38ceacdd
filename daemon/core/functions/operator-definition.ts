/**
 * What the program put into an operator: the live functions, found by operator uid in a slot worker after the program was evaluated
 * there. client/graph makes them, taskmanager/operators runs them; `kind` also stands in the JobGraph.
 */

import type { WatermarkStrategy } from '../eventtime/watermarks.js'
import type { Window, WindowAssigner, WindowOptions } from '../eventtime/windows.js'
import type { AnyType } from '../serialization/types.js'
import type { StateDescriptor } from '../state/state.js'
import type { AggregateFunction, KeyPart, Process, WindowProcess } from './functions.js'
import type { Sink, TwoPhaseSink } from './sink.js'
import type { Source, SourceSplit } from './source.js'

/** One field by name, several fields (the key is their tuple), or a function. */
export type KeySelector =
  | { readonly field: string }
  | { readonly fields: readonly string[] }
  | { readonly select: (record: never) => KeyPart | readonly KeyPart[] }

export interface SourceDefinition {
  readonly kind: 'source'
  readonly source: Source<unknown, SourceSplit, unknown>
  readonly watermarks?: WatermarkStrategy<never>
}
export interface MapDefinition {
  readonly kind: 'map'
  readonly f: (record: never) => unknown
}
export interface FilterDefinition {
  readonly kind: 'filter'
  readonly f: (record: never) => boolean
}
export interface FlatMapDefinition {
  readonly kind: 'flatMap'
  readonly f: (record: never, out: { collect: (record: never) => void }) => readonly unknown[] | void | undefined
}
/** Not keyed. `f` may be a RichFunction. */
export interface ProcessDefinition {
  readonly kind: 'process'
  readonly f: Process<never, never, never>
}
export interface KeyedProcessDefinition {
  readonly kind: 'keyedProcess'
  readonly key: KeySelector
  readonly f: Process<never, never, never>
  /** States declared by option; a class's own are in its function binding. */
  readonly states: readonly StateDescriptor<unknown>[]
}
export interface ReduceDefinition {
  readonly kind: 'reduce'
  readonly key: KeySelector
  readonly f: (a: never, b: never) => unknown
}
/** Rolling sum, min, max, minBy, maxBy of a field. */
export interface RollingAggregateDefinition {
  readonly kind: 'rollingAggregate'
  readonly key: KeySelector
  readonly aggregate: 'sum' | 'min' | 'max' | 'minBy' | 'maxBy'
  readonly field: string
}
export interface WindowDefinition {
  readonly kind: 'window'
  /** undefined: windowAll. */
  readonly key?: KeySelector
  readonly assigner: WindowAssigner<never, Window>
  readonly options: WindowOptions<never, Window>
  readonly f:
    | { readonly kind: 'reduce'; readonly reduce: (a: never, b: never) => unknown; readonly each?: (result: never, ctx: never) => unknown }
    | {
        readonly kind: 'aggregate'
        readonly aggregate: AggregateFunction<never, unknown, unknown>
        readonly each?: (result: never, ctx: never) => unknown
      }
    | { readonly kind: 'rollingAggregate'; readonly aggregate: 'sum' | 'min' | 'max' | 'minBy' | 'maxBy'; readonly field: string }
    | { readonly kind: 'process'; readonly process: WindowProcess<never, never, never, never> }
}
export interface TimestampsDefinition {
  readonly kind: 'timestamps'
  readonly watermarks: WatermarkStrategy<never>
}
export interface SinkDefinition {
  readonly kind: 'sink'
  readonly sink: Sink<never> | TwoPhaseSink<never, unknown, unknown>
}
/** Sends records to the client: executeAndCollect. */
export interface CollectDefinition {
  readonly kind: 'collect'
  readonly limit?: number
}
export type OperatorDefinition = { readonly type?: AnyType } & (
  | SourceDefinition
  | MapDefinition
  | FilterDefinition
  | FlatMapDefinition
  | ProcessDefinition
  | KeyedProcessDefinition
  | ReduceDefinition
  | RollingAggregateDefinition
  | WindowDefinition
  | TimestampsDefinition
  | SinkDefinition
  | CollectDefinition
)

/** The functions on an edge of the JobGraph, by its id. */
export interface EdgeDefinition {
  /** For partitioners 'hash' and 'custom'. */
  readonly key?: KeySelector
  /** For partitioner 'custom': the key's consumer index in [0, consumers). */
  readonly partition?: (key: never, consumers: number) => number
}
export type { Process }
