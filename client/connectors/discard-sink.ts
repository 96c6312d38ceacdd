import type { Sink } from '#core/functions/sink.js'

/** Takes every record and keeps none: for measurements, and for streams whose side outputs matter. */
export function discardSink<T = unknown>(): Sink<T> {
  return { createWriter: () => ({ write: () => {}, flush: () => {} }) }
}
