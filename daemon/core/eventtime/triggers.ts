/** When a window fires. Flink: EventTimeTrigger, ProcessingTimeTrigger, CountTrigger, ContinuousEventTimeTrigger, PurgingTrigger, DeltaTrigger. */
import { type Duration, millis } from '../duration.js'
import { FlottError } from '../errors.js'
import type { TimeDomain } from '../functions/functions.js'
import { valueState } from '../state/state.js'
import type { Trigger, TriggerResult, Window } from './windows.js'

// One object each: the engine recognises the defaults by identity.
const EVENT_TIME: Trigger<unknown, Window> = Object.freeze({
  onElement(_record: unknown, _timestamp: number, window: Window, ctx): TriggerResult {
    if (window.maxTimestamp <= ctx.currentWatermark) return 'fire' // A late record within allowedLateness.
    ctx.registerEventTimeTimer(window.maxTimestamp)
    return 'continue'
  },
  onTimer: (timestamp, domain, window) => (domain === 'event-time' && timestamp === window.maxTimestamp ? 'fire' : 'continue'),
  clear: (window, ctx) => ctx.deleteEventTimeTimer(window.maxTimestamp),
} satisfies Trigger<unknown, Window>)

const PROCESSING_TIME: Trigger<unknown, Window> = Object.freeze({
  onElement(_record: unknown, _timestamp: number, window: Window, ctx): TriggerResult {
    ctx.registerProcessingTimeTimer(window.maxTimestamp)
    return 'continue'
  },
  onTimer: (_timestamp, domain) => (domain === 'processing-time' ? 'fire' : 'continue'),
  clear: (window, ctx) => ctx.deleteProcessingTimeTimer(window.maxTimestamp),
} satisfies Trigger<unknown, Window>)

const NEVER: Trigger<unknown, Window> = Object.freeze({ onElement: () => 'continue', onTimer: () => 'continue' } satisfies Trigger<
  unknown,
  Window
>)

const counted = valueState('trigger-count', { initial: 0 })
const nextFire = valueState<number>('trigger-next-fire')
const lastRecord = valueState<unknown>('trigger-last-record')

export const triggers = {
  /** When the watermark passes the window's end, and at each late record after that. The default in event time. */
  eventTime: (): Trigger<unknown, Window> => EVENT_TIME,
  /** When the clock passes the window's end. The default in processing time. */
  processingTime: (): Trigger<unknown, Window> => PROCESSING_TIME,
  never: (): Trigger<unknown, Window> => NEVER,
  /** Each time that `n` more records have come. */
  count(n: number): Trigger<unknown, Window> {
    if (!Number.isSafeInteger(n) || n < 1) throw new FlottError('INVALID_ARGUMENT', `a trigger after ${n} records`)
    return {
      onElement(_record, _timestamp, _window, ctx) {
        const state = ctx.getState(counted)
        if (++state.value < n) return 'continue'
        state.clear()
        return 'fire'
      },
      onTimer: () => 'continue',
      clear: (_window, ctx) => ctx.getState(counted).clear(),
    }
  },
  /** Again and again, at multiples of `every`; in event time also at the window's end. */
  continuous(interval: Duration, domain: TimeDomain = 'event-time'): Trigger<unknown, Window> {
    const everyMs = millis(interval)
    if (!(everyMs >= 1)) throw new FlottError('INVALID_ARGUMENT', `a trigger every ${everyMs} ms`)
    const register = (ctx: Parameters<Trigger<unknown, Window>['onElement']>[3], at: number) =>
      domain === 'event-time' ? ctx.registerEventTimeTimer(at) : ctx.registerProcessingTimeTimer(at)
    return {
      onElement(_record, timestamp, window, ctx) {
        if (domain === 'event-time') {
          if (window.maxTimestamp <= ctx.currentWatermark) return 'fire'
          ctx.registerEventTimeTimer(window.maxTimestamp)
        }
        const next = ctx.getState(nextFire)
        if (next.value === undefined) {
          const from = domain === 'event-time' ? timestamp : ctx.currentProcessingTime
          next.value = from - (((from % everyMs) + everyMs) % everyMs) + everyMs
          register(ctx, next.value)
        }
        return 'continue'
      },
      onTimer(timestamp, fired, window, ctx) {
        if (fired !== domain) return 'continue'
        if (domain === 'event-time' && timestamp === window.maxTimestamp) return 'fire'
        const next = ctx.getState(nextFire)
        if (next.value !== timestamp) return 'continue'
        next.value = timestamp + everyMs
        // Beyond the window there is nothing to fire for.
        if (domain === 'processing-time' || timestamp + everyMs < window.maxTimestamp) register(ctx, timestamp + everyMs)
        return 'fire'
      },
      clear(window, ctx) {
        const next = ctx.getState(nextFire)
        if (next.value !== undefined) {
          if (domain === 'event-time') ctx.deleteEventTimeTimer(next.value)
          else ctx.deleteProcessingTimeTimer(next.value)
        }
        if (domain === 'event-time') ctx.deleteEventTimeTimer(window.maxTimestamp)
        next.clear()
      },
    }
  },
  /** Empties the window whenever `inner` fires. */
  purging<T, W>(inner: Trigger<T, W>): Trigger<T, W> {
    const purge = (result: TriggerResult): TriggerResult => (result === 'fire' ? 'fire-and-purge' : result)
    return {
      ...inner,
      onElement: (record, timestamp, window, ctx) => purge(inner.onElement(record, timestamp, window, ctx)),
      onTimer: (timestamp, domain, window, ctx) => purge(inner.onTimer(timestamp, domain, window, ctx)),
    }
  },
  /** When a record is further than `threshold` from the one at the last firing. */
  delta<T>(threshold: number, distance: (last: T, next: T) => number): Trigger<T, Window> {
    return {
      onElement(record, _timestamp, _window, ctx) {
        const last = ctx.getState(lastRecord)
        if (last.value === undefined) {
          last.value = record
          return 'continue'
        }
        if (!(distance(last.value as T, record) > threshold)) return 'continue'
        last.value = record
        return 'fire'
      },
      onTimer: () => 'continue',
      clear: (_window, ctx) => ctx.getState(lastRecord).clear(),
    }
  },
} as const
