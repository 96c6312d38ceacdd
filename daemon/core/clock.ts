/** Time enters the program here only, so that a simulation can own it (test/tidy.test.ts enforces it). */
export interface Timer {
  cancel(): void
}
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  now(): number
  /** Milliseconds from an arbitrary start; never jumps or goes back. For durations and deadlines. */
  monotonicMs(): number
  /** Calls `fire` once after `delayMs`. A timer does not keep the process alive when `unref` is true. */
  setTimer(delayMs: number, fire: () => void, options?: { unref?: boolean }): Timer
  /** Calls `fire` after pending I/O, timers and messages had their turn. How a long loop yields. */
  defer(fire: () => void): void
}

// Taken once: while a program is evaluated in a worker, the global Date stands still, and the engine's clock must not.
const systemNow = Date.now

export const systemClock: Clock = {
  now: () => systemNow(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire, options) {
    const handle = setTimeout(fire, delayMs)
    if (options?.unref) handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  defer: (fire) => void setImmediate(fire),
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** A timer that fires every `periodMs` until cancelled; a late turn is not made up for. */
export function every(clock: Clock, periodMs: number, fire: () => void, options?: { unref?: boolean }): Timer {
  let timer = clock.setTimer(periodMs, tick, options)
  let cancelled = false
  function tick() {
    fire()
    if (!cancelled) timer = clock.setTimer(periodMs, tick, options)
  }
  return {
    cancel() {
      cancelled = true
      timer.cancel()
    },
  }
}
