/**
 * The streams that a program is written with. A stream is an immutable value: each call returns a new one, the last argument is an
 * options object or a uid. What they do is in stream.ts; these interfaces carry the types.
 */

import type { Duration } from '#core/duration.js'
import type { WatermarkStrategy } from '#core/eventtime/watermarks.js'
import type { Window, WindowAssigner } from '#core/eventtime/windows.js'
import type {
  AggregateFunction,
  Collector,
  Context,
  Key,
  KeyedContext,
  KeyPart,
  ProcessLike,
  Sync,
  WindowContext,
  WindowProcess,
} from '#core/functions/functions.js'
import type { OutputTag } from '#core/functions/output-tag.js'
import type { FieldOf } from '#core/functions/selector.js'
import type { Sink, TwoPhaseSink } from '#core/functions/sink.js'
import type { KeyedOptions, Options } from './options.js'

/** Marks members that exist in types only. */
export declare const phantom: unique symbol

/** `any` gives a stream of unknown, a promise none. */
export type UseAsyncMap<P> = 0 extends 1 & P ? DataStream<unknown> : { readonly 'use asyncMap': never }

/** Covariant, as KeyedStream: a function of narrow streams takes wider ones. */
export interface DataStream<out T> {
  map<P extends PromiseLike<unknown>>(f: (record: T) => P, options?: Options): UseAsyncMap<P>
  map<O>(f: (record: T) => O, options?: Options<O>): DataStream<O>
  flatMap<O = never>(f: (record: T, out: Collector<O>) => readonly O[] | Sync, options?: Options<O>): DataStream<O>
  /** Narrows a union of record types. */
  filter<S extends T>(f: (record: T) => record is S, options?: Options): DataStream<S>
  filter(f: (record: T) => boolean, options?: Options): DataStream<T>
  process<O = never>(f: ProcessLike<T, O, Context>, options?: Options<O>): ProcessedStream<O>
  keyBy<const K extends Key>(selector: (record: T) => K): KeyedStream<T, K>
  keyBy<const F extends readonly [FieldOf<T, KeyPart>, FieldOf<T, KeyPart>, ...FieldOf<T, KeyPart>[]]>(
    ...fields: F
  ): KeyedStream<T, { readonly [I in keyof F]: T[F[I]] }>
  keyBy<F extends FieldOf<T, KeyPart>>(field: F): KeyedStream<T, T[F]>
  windowAll<W extends Window>(assigner: WindowAssigner<T, W>, options?: WindowOptions<T>): WindowedStream<T, undefined, W>
  /** FOREIGN_STREAM where a stream is of another environment. */
  union<U>(...others: readonly DataStream<U>[]): DataStream<T | U>
  /** To every subtask of the next operator. */
  broadcast(): DataStream<T>
  /** Round robin. */
  rebalance(): DataStream<T>
  /** Round robin among the nearest subtasks only. */
  rescale(): DataStream<T>
  /** At random. */
  shuffle(): DataStream<T>
  /** All to the first subtask. */
  global(): DataStream<T>
  /** To the subtask of the same index; the parallelisms must agree. */
  forward(): DataStream<T>
  /** `partition` gives the subtask of a key, from 0 to `consumers - 1`. */
  partitionCustom<const K extends Key>(partition: (key: K, consumers: number) => number, selector: (record: T) => K): DataStream<T>
  partitionCustom<F extends FieldOf<T, KeyPart>>(partition: (key: T[F], consumers: number) => number, field: F): DataStream<T>
  assignTimestampsAndWatermarks<F extends FieldOf<T, number>>(strategy: WatermarkStrategy<T, F>, options?: Options): DataStream<T>
  sinkTo<C, S>(sink: Sink<T> | TwoPhaseSink<T, C, S>, options?: Options): void
  /** To the standard output of the TaskManagers, each line with the prefix and the subtask. */
  print(prefix?: string): void
  /** Runs the job and returns the records of this stream; with a limit the job is cancelled once that many have come. */
  executeAndCollect(limit?: number): Promise<T[]>
  /** The records of this stream, once `execute` or `executeAsync` has been called. */
  collectAsync(): AsyncIterable<T>
}
/** Flink: SingleOutputStreamOperator. */
export interface ProcessedStream<T> extends DataStream<T> {
  getSideOutput<X>(tag: OutputTag<X>): DataStream<X>
}
export interface KeyedStream<out T, out K> extends DataStream<T> {
  /** First, so that a wrong key type is what an error says. */
  readonly [phantom]?: { readonly key: K }
  process<O = never>(f: ProcessLike<T, O, KeyedContext<K>>, options?: KeyedOptions<O>): ProcessedStream<O>
  reduce(f: (a: T, b: T) => T, options?: Options): DataStream<T>
  /** Rolling: the first record of the key with its field replaced by the sum so far. */
  sum<F extends FieldOf<T, number>>(field: F, options?: Options): DataStream<T>
  min<F extends FieldOf<T, number>>(field: F, options?: Options): DataStream<T>
  max<F extends FieldOf<T, number>>(field: F, options?: Options): DataStream<T>
  /** The whole record that has the smallest value so far; the first of equal ones. */
  minBy<F extends FieldOf<T, number>>(field: F, options?: Options): DataStream<T>
  maxBy<F extends FieldOf<T, number>>(field: F, options?: Options): DataStream<T>
  window<W extends Window>(assigner: WindowAssigner<T, W>, options?: WindowOptions<T>): WindowedStream<T, K, W>
}
/** What comes later than `allowedLateness` behind the end of its window goes to the side output, or is dropped. */
export interface WindowOptions<T> {
  readonly allowedLateness?: Duration
  readonly sideOutputLateData?: OutputTag<T>
}
/** `each` turns the result of a window into what is emitted. */
export interface WindowedStream<out T, K, W> {
  reduce<O>(f: (a: T, b: T) => T, each: (result: T, ctx: WindowContext<K, W>) => O, options?: Options<O>): ProcessedStream<O>
  reduce(f: (a: T, b: T) => T, options?: Options): ProcessedStream<T>
  aggregate<A, R, O>(
    f: AggregateFunction<T, A, R>,
    each: (result: R, ctx: WindowContext<K, W>) => O,
    options?: Options<O>,
  ): ProcessedStream<O>
  aggregate<A, R>(f: AggregateFunction<T, A, R>, options?: Options<R>): ProcessedStream<R>
  process<O = never>(f: WindowProcess<T, O, K, W> | WindowProcess<T, O, K, W>['process'], options?: Options<O>): ProcessedStream<O>
  sum<F extends FieldOf<T, number>>(field: F, options?: Options): ProcessedStream<T>
  min<F extends FieldOf<T, number>>(field: F, options?: Options): ProcessedStream<T>
  max<F extends FieldOf<T, number>>(field: F, options?: Options): ProcessedStream<T>
  minBy<F extends FieldOf<T, number>>(field: F, options?: Options): ProcessedStream<T>
  maxBy<F extends FieldOf<T, number>>(field: F, options?: Options): ProcessedStream<T>
}
