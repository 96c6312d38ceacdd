/** A watermark strategy at work: time stamps of records, watermarks at intervals, idleness. Used by sources and by the assigner. */
import { millis } from '#core/duration.js'
import type { WatermarkGenerator, WatermarkStrategy } from '#core/eventtime/watermarks.js'

export interface WatermarkTrackerOptions {
  readonly strategy: WatermarkStrategy<never>
  readonly intervalMs: number
  readonly emitWatermark: (timestamp: number) => void
  readonly emitIdle: (idle: boolean) => void
}

type Extract = (record: unknown, sourceTimestamp: number) => number

/** The latest time stamp, less the disorder that is allowed, less one: records of the same millisecond may still come. */
class BoundedOutOfOrderness implements WatermarkGenerator<unknown> {
  #latest = -Infinity
  constructor(private readonly outOfOrdernessMs: number) {}
  onEvent(_record: unknown, timestamp: number): undefined {
    if (timestamp > this.#latest) this.#latest = timestamp
  }
  onPeriodicEmit(): number | undefined {
    return this.#latest === -Infinity ? undefined : this.#latest - this.outOfOrdernessMs - 1
  }
}

export class WatermarkTracker {
  readonly #extract: Extract | undefined
  readonly #generator: WatermarkGenerator<unknown>
  readonly #idleAfterMs: number | undefined
  #emitted = -Infinity
  #records = 0
  #recordsAtCheck = 0
  #activeAt: number | undefined
  #nextCheck: number | undefined
  #idle = false

  constructor(private readonly options: WatermarkTrackerOptions) {
    const { timestamp, generator, maxOutOfOrderness, idleness } = options.strategy
    if (typeof timestamp === 'function') this.#extract = timestamp as unknown as Extract
    else if (timestamp !== undefined) this.#extract = (record) => (record as Readonly<Record<string, number>>)[timestamp as string]!
    this.#generator =
      (generator?.() as WatermarkGenerator<unknown> | undefined) ?? new BoundedOutOfOrderness(millis(maxOutOfOrderness ?? 0))
    if (idleness !== undefined) this.#idleAfterMs = millis(idleness)
  }
  /** The record's time stamp. */
  timestampOf(record: unknown, sourceTimestamp: number): number {
    return this.#extract ? this.#extract(record, sourceTimestamp) : sourceTimestamp
  }
  /** Before the record is emitted, so that idleness ends before it. */
  beforeRecord(): void {
    this.#records++
    if (!this.#idle) return
    this.#idle = false
    this.options.emitIdle(false)
  }
  /** After the record was emitted: a watermark that it causes comes behind it. */
  afterRecord(record: unknown, timestamp: number): void {
    const watermark = this.#generator.onEvent(record, timestamp)
    if (watermark !== undefined) this.#emit(watermark)
  }
  /** When `onPeriodic` wants to be called, given that records came; undefined while nothing could change. */
  get nextDue(): number | undefined {
    if (this.#nextCheck === undefined) return 0 // The first call starts the clock.
    if (this.#records !== this.#recordsAtCheck || this.#generator instanceof BoundedOutOfOrderness === false) return this.#nextCheck
    return this.#idleAfterMs === undefined || this.#idle ? undefined : this.#activeAt! + this.#idleAfterMs
  }
  onPeriodic(now: number): void {
    this.#activeAt ??= now
    if (this.#records !== this.#recordsAtCheck) {
      this.#recordsAtCheck = this.#records
      this.#activeAt = now
    }
    const watermark = this.#generator.onPeriodicEmit?.()
    if (watermark !== undefined) this.#emit(watermark)
    if (this.#idleAfterMs !== undefined && !this.#idle && now - this.#activeAt >= this.#idleAfterMs) {
      this.#idle = true
      this.options.emitIdle(true)
    }
    this.#nextCheck = now + this.options.intervalMs
  }
  #emit(watermark: number): void {
    if (watermark <= this.#emitted) return
    this.#emitted = watermark
    this.options.emitWatermark(watermark)
  }
}
