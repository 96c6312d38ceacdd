/** Which windows a record belongs to. Flink: TumblingEventTimeWindows, SlidingEventTimeWindows and their processing-time twins. */
import { type Duration, millis } from '../duration.js'
import { FlottError } from '../errors.js'
import { triggers } from './triggers.js'
import type { TimeOptions, TimeWindow, Window, WindowAssigner } from './windows.js'

/** [start, end); equal windows are made anew for each record, so that they are compared by their bounds. */
export function timeWindow(start: number, end: number): TimeWindow {
  return { start, end, maxTimestamp: end - 1 }
}

/** Start of the tumbling window (or the newest sliding one) that holds a time stamp, also before 1970. */
export function windowStart(timestamp: number, offsetMs: number, sizeMs: number): number {
  const remainder = (timestamp - offsetMs) % sizeMs
  return remainder < 0 ? timestamp - remainder - sizeMs : timestamp - remainder
}

function checkedTimes(size: Duration, slide: Duration, options: TimeOptions) {
  const [sizeMs, slideMs, offsetMs] = [millis(size), millis(slide), millis(options.offset ?? 0)]
  for (const ms of [sizeMs, slideMs])
    if (!(ms >= 1 && Number.isSafeInteger(ms)))
      throw new FlottError('INVALID_ARGUMENT', `a window of ${ms} ms: whole milliseconds, 1 at least`)
  if (!(Math.abs(offsetMs) < slideMs) || !Number.isSafeInteger(offsetMs))
    throw new FlottError('INVALID_ARGUMENT', `an offset of ${offsetMs} ms: it must be below ${slideMs} ms`)
  return { sizeMs, slideMs, offsetMs }
}

function timeDefaults(options: TimeOptions) {
  const timeDomain = options.timeDomain ?? 'event-time'
  return { timeDomain, defaultTrigger: timeDomain === 'event-time' ? triggers.eventTime() : triggers.processingTime() } as const
}

const GLOBAL: Window = Object.freeze({ maxTimestamp: Number.MAX_SAFE_INTEGER })

export const windows = {
  tumbling(size: Duration, options: TimeOptions = {}): WindowAssigner<unknown, TimeWindow> {
    const { sizeMs, offsetMs } = checkedTimes(size, size, options)
    return Object.freeze({
      ...timeDefaults(options),
      tumbling: Object.freeze({ sizeMs, offsetMs }),
      assignWindows(_record: unknown, timestamp: number) {
        const start = windowStart(timestamp, offsetMs, sizeMs)
        return [timeWindow(start, start + sizeMs)]
      },
    })
  },
  sliding(size: Duration, slide: Duration, options: TimeOptions = {}): WindowAssigner<unknown, TimeWindow> {
    const { sizeMs, slideMs, offsetMs } = checkedTimes(size, slide, options)
    return Object.freeze({
      ...timeDefaults(options),
      assignWindows(_record: unknown, timestamp: number) {
        const assigned: TimeWindow[] = []
        for (let start = windowStart(timestamp, offsetMs, slideMs); start > timestamp - sizeMs; start -= slideMs)
          assigned.push(timeWindow(start, start + sizeMs))
        return assigned
      },
    })
  },
  /** One window for all time; it never fires by itself: give it a trigger. */
  global(): WindowAssigner<unknown, Window> {
    return Object.freeze({
      timeDomain: 'event-time',
      defaultTrigger: triggers.never(),
      assignWindows: () => [GLOBAL],
    })
  },
  /** Of `size` records each. */
  count(size: number): WindowAssigner<unknown, Window> {
    if (!Number.isSafeInteger(size) || size < 1) throw new FlottError('INVALID_ARGUMENT', `a window of ${size} records`)
    return Object.freeze({
      timeDomain: 'event-time',
      defaultTrigger: triggers.purging(triggers.count(size)),
      assignWindows: () => [GLOBAL],
    })
  },
} as const
