/** What user functions are given and what they implement. Contexts and collectors are valid during the call only. */

import type { ListState, MapState, StateDescriptor } from '../state/state.js'
import { currentFunctionBinding } from './function-binding.js'
import type { OutputTag } from './output-tag.js'
import type { RuntimeContext } from './runtime-context.js'

export type KeyPart = string | number | boolean | bigint
export type Key = KeyPart | readonly KeyPart[]
/** Done when it returns: a promise is not assignable. */
export type Sync = void | undefined
export type TimeDomain = 'event-time' | 'processing-time'

export interface Collector<in T> {
  collect: (record: T) => void
}
export interface TimerService {
  readonly currentProcessingTime: number
  readonly currentWatermark: number
}
/** One timer a key and time stamp; checkpointed; fires between records. */
export interface KeyedTimerService extends TimerService {
  registerEventTimeTimer(timestamp: number): void
  deleteEventTimeTimer(timestamp: number): void
  registerProcessingTimeTimer(timestamp: number): void
  deleteProcessingTimeTimer(timestamp: number): void
}
export interface Context {
  /** Event time of the record, ms since the epoch. NO_TIMESTAMP where none was assigned. */
  readonly timestamp: number
  readonly timerService: TimerService
  readonly runtime: RuntimeContext
  output<X>(tag: OutputTag<X>, record: NoInfer<X>): void
}
export interface KeyedContext<out K> extends Context {
  readonly currentKey: K
  readonly timerService: KeyedTimerService
  /** STATE_NOT_DECLARED where the operator does not declare it. */
  getState<S>(state: StateDescriptor<S>): S
}
export interface WindowContext<out K, out W> extends Context {
  readonly currentKey: K
  readonly window: W
  getState<S>(state: StateDescriptor<S>): S
}

export type OnTimer<O, C> = (timestamp: number, ctx: C, out: Collector<O>, domain: TimeDomain) => Sync
export interface Process<T, O, C = Context> {
  processElement: (record: T, ctx: C, out: Collector<O>) => Sync
  onTimer?: OnTimer<O, C>
}
export type ProcessLike<T, O, C> = Process<T, O, C> | Process<T, O, C>['processElement']
export interface WindowProcess<T, O, K, W> {
  process: (records: Iterable<T>, ctx: WindowContext<K, W>, out: Collector<O>) => Sync
}
/** `merge` is needed by session windows and accumulators. */
export interface AggregateFunction<in T, in out A, out R> {
  createAccumulator: () => A
  add: (record: T, accumulator: A) => A
  getResult: (accumulator: A) => R
  merge?: (a: A, b: A) => A
}

/** A function with a life cycle. The program is evaluated anew in each slot for each attempt, so an instance serves one subtask of one attempt. */
export abstract class RichFunction {
  open?(ctx: RuntimeContext): void | Promise<void>
  close?(): void | Promise<void>
  snapshotState?(checkpointId: number): void
  notifyCheckpointComplete?(checkpointId: number): void
  protected getOperatorState<T>(state: StateDescriptor<ListState<T>>, redistribution: 'split' | 'union' = 'split'): ListState<T> {
    return currentFunctionBinding(this).operatorState(state, redistribution)
  }
}
export abstract class ProcessFunction<T, O> extends RichFunction implements Process<T, O> {
  abstract processElement(record: T, ctx: Context, out: Collector<O>): Sync
}
export abstract class KeyedProcessFunction<K, T, O> extends RichFunction implements Process<T, O, KeyedContext<K>> {
  /** In field initializers and the constructor only, so that the graph knows every state (STATE_DECLARED_LATE). */
  protected getState<S>(state: StateDescriptor<S>): S {
    return currentFunctionBinding(this).keyedState(state)
  }
  abstract processElement(record: T, ctx: KeyedContext<K>, out: Collector<O>): Sync
  onTimer?(timestamp: number, ctx: KeyedContext<K>, out: Collector<O>, domain: TimeDomain): Sync
}
export type { MapState }
