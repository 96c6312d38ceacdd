import type { Duration } from '../duration.js'

/** The next watermark, or undefined for none. */
export interface WatermarkGenerator<T> {
  onEvent(record: T, timestamp: number): number | undefined
  onPeriodicEmit?(): number | undefined
}
/** Without a generator: bounded out-of-orderness (`maxOutOfOrderness`, 0 = ascending time stamps). */
export interface WatermarkStrategy<T, F = unknown> {
  /** A field that holds ms since the epoch, or a function; absent: the source's time stamps. */
  readonly timestamp?: F | ((record: T, sourceTimestamp: number) => number)
  readonly maxOutOfOrderness?: Duration
  readonly generator?: () => WatermarkGenerator<T>
  readonly idleness?: Duration
}
