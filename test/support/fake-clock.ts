import type { Clock, Timer } from '#core/clock.js'

interface Scheduled {
  readonly dueMs: number
  readonly order: number
  fire(): void
}

/** Time that stands still until told. Timers of one time fire in the order in which they were set; `defer` fires at the present time, after them. */
export class FakeClock implements Clock {
  #nowMs = 0
  #order = 0
  #scheduled: Scheduled[] = []

  constructor(private readonly startMs = 1_700_000_000_000) {}

  now(): number {
    return this.startMs + this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  setTimer(delayMs: number, fire: () => void): Timer {
    const scheduled = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire }
    this.#scheduled.push(scheduled)
    return {
      cancel: () => {
        this.#scheduled = this.#scheduled.filter((s) => s !== scheduled)
      },
    }
  }
  defer(fire: () => void): void {
    this.setTimer(0, fire)
  }
  get pending(): number {
    return this.#scheduled.length
  }

  /** Lets `byMs` pass, firing what becomes due, with promises settled before, between and after. */
  async advance(byMs: number): Promise<void> {
    const end = this.#nowMs + byMs
    await settle()
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.fire()
      await settle()
    }
    this.#nowMs = end
  }
  /** Lets timer after timer fire until `condition` holds; fails when that takes more than `withinMs`. */
  async runUntil(condition: () => boolean, options: { withinMs: number }): Promise<void> {
    const end = this.#nowMs + options.withinMs
    await settle()
    while (!condition()) {
      const next = this.#next(end)
      if (!next) throw new Error(`not true within ${options.withinMs} ms of fake time`)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.fire()
      await settle()
    }
  }
  /** Time passes, but nobody runs: as after SIGSTOP. */
  sleepThrough(byMs: number): void {
    this.#nowMs += byMs
  }
  #next(endMs: number): Scheduled | undefined {
    let next: Scheduled | undefined
    for (const s of this.#scheduled)
      if (s.dueMs <= endMs && (!next || s.dueMs < next.dueMs || (s.dueMs === next.dueMs && s.order < next.order))) next = s
    if (next) this.#scheduled = this.#scheduled.filter((s) => s !== next)
    return next
  }
}

/** Lets all promise callbacks run that need no I/O. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
