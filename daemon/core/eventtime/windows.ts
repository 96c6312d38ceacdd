import type { Duration } from '../duration.js'
import type { KeyedTimerService, TimeDomain } from '../functions/functions.js'
import type { OutputTag } from '../functions/output-tag.js'
import type { StateDescriptor } from '../state/state.js'

export interface Window {
  readonly maxTimestamp: number
}
/** [start, end) in ms since the epoch. */
export interface TimeWindow extends Window {
  readonly start: number
  readonly end: number
}
export interface WindowOptions<T, W> {
  readonly trigger?: Trigger<T, W>
  readonly evictor?: Evictor<T, W>
  readonly allowedLateness?: Duration
  readonly sideOutputLateData?: OutputTag<T>
}
export interface WindowAssigner<in T, W> {
  readonly timeDomain: TimeDomain
  readonly defaultTrigger: Trigger<unknown, W>
  readonly assignWindows: (record: T, timestamp: number) => readonly W[]
  readonly mergeWindows?: (windows: readonly W[]) => readonly { readonly merged: W; readonly from: readonly W[] }[]
  /** Set by windows.tumbling: lets the engine keep one table a window and skip assignWindows. */
  readonly tumbling?: { readonly sizeMs: number; readonly offsetMs: number }
}
export type TriggerResult = 'continue' | 'fire' | 'purge' | 'fire-and-purge'
export interface TriggerContext extends KeyedTimerService {
  getState<S>(state: StateDescriptor<S>): S
}
export interface Trigger<in T, in W> {
  readonly onElement: (record: T, timestamp: number, window: W, ctx: TriggerContext) => TriggerResult
  readonly onTimer: (timestamp: number, domain: TimeDomain, window: W, ctx: TriggerContext) => TriggerResult
  readonly onMerge?: (window: W, ctx: TriggerContext) => void
  readonly clear?: (window: W, ctx: TriggerContext) => void
}
export interface Evictor<in T, in W> {
  readonly when: 'before' | 'after'
  readonly keep: <R extends { record: T; timestamp: number }>(records: readonly R[], window: W) => readonly R[]
}
export interface TimeOptions {
  readonly offset?: Duration
  readonly timeDomain?: TimeDomain
}
