import { FlottError } from '#core/errors.js'
import type { Key } from '#core/functions/functions.js'
import type { KeyedTimers, TimerCallback } from './keyed-state-backend.js'
import { NO_NAMESPACE, type TimerQueue } from './timers.js'

/** Where the current key is read and set. */
export interface KeyContext {
  readonly currentKey: Key
  readonly currentKeyHash: number
  setCurrentKey(key: Key, hash: number): void
}

/** Both time domains for the current key. Windows' timers have a namespace. */
export class HeapKeyedTimers implements KeyedTimers {
  watermark = -Infinity

  constructor(
    private readonly context: KeyContext,
    private readonly eventTime: TimerQueue,
    private readonly processingTime: TimerQueue,
  ) {}
  registerEventTime(timestamp: number, namespace = NO_NAMESPACE): void {
    this.eventTime.register(this.context.currentKey, this.context.currentKeyHash, checked(timestamp), namespace)
  }
  deleteEventTime(timestamp: number, namespace = NO_NAMESPACE): void {
    this.eventTime.delete(this.context.currentKey, this.context.currentKeyHash, timestamp, namespace)
  }
  registerProcessingTime(timestamp: number, namespace = NO_NAMESPACE): void {
    this.processingTime.register(this.context.currentKey, this.context.currentKeyHash, checked(timestamp), namespace)
  }
  deleteProcessingTime(timestamp: number, namespace = NO_NAMESPACE): void {
    this.processingTime.delete(this.context.currentKey, this.context.currentKeyHash, timestamp, namespace)
  }
  advanceWatermark(watermark: number, fire: TimerCallback): void {
    this.watermark = watermark
    this.#advance(this.eventTime, 'event-time', watermark, fire)
  }
  advanceProcessingTime(now: number, fire: TimerCallback): void {
    this.#advance(this.processingTime, 'processing-time', now, fire)
  }
  get nextProcessingTime(): number | undefined {
    return this.processingTime.next
  }
  #advance(queue: TimerQueue, domain: 'event-time' | 'processing-time', time: number, fire: TimerCallback): void {
    queue.advance(time, (key, hash, timestamp, namespace) => {
      this.context.setCurrentKey(key, hash)
      fire(timestamp, domain, namespace)
    })
  }
}

function checked(timestamp: number): number {
  if (Number.isNaN(timestamp)) throw new FlottError('INVALID_ARGUMENT', 'a timer at NaN')
  return timestamp
}
