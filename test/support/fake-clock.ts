import type { Clock, Timer } from '#core/clock.js'

interface Scheduled {
  readonly dueMs: number
  readonly order: number
  readonly fire: () => void
  cancelled: boolean
}

/** Time that stands still until told. Timers of one time fire in the order in which they were set; `defer` fires at the present time, after them. */
export class FakeClock implements Clock {
  #nowMs = 0
  #order = 0
  /** A binary heap by (dueMs, order). What was cancelled stays in it until its time. */
  readonly #heap: Scheduled[] = []
  #pending = 0

  constructor(private readonly startMs = 1_700_000_000_000) {}

  now(): number {
    return this.startMs + this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  setTimer(delayMs: number, fire: () => void): Timer {
    const scheduled = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire, cancelled: false }
    this.#push(scheduled)
    this.#pending++
    return {
      cancel: () => {
        if (scheduled.cancelled) return
        scheduled.cancelled = true
        this.#pending--
      },
    }
  }
  defer(fire: () => void): void {
    this.setTimer(0, fire)
  }
  get pending(): number {
    return this.#pending
  }

  /** Lets `byMs` pass, firing what becomes due, with promises settled before, between and after. */
  async advance(byMs: number): Promise<void> {
    const end = this.#nowMs + byMs
    await settle()
    for (let next = this.#next(end); next; next = this.#next(end)) await this.#fire(next)
    this.#nowMs = end
  }
  /** Lets timer after timer fire until `condition` holds; fails when that takes more than `withinMs`. */
  async runUntil(condition: () => boolean, options: { withinMs: number }): Promise<void> {
    const end = this.#nowMs + options.withinMs
    await settle()
    while (!condition()) {
      const next = this.#next(end)
      if (!next) throw new Error(`not true within ${options.withinMs} ms of fake time`)
      await this.#fire(next)
    }
  }
  /** Time passes, but nobody runs: as after SIGSTOP. */
  sleepThrough(byMs: number): void {
    this.#nowMs += byMs
  }

  #fire(scheduled: Scheduled): Promise<void> {
    this.#nowMs = Math.max(this.#nowMs, scheduled.dueMs)
    scheduled.cancelled = true // Cancelling what has fired does nothing.
    this.#pending--
    scheduled.fire()
    return settle()
  }
  /** The next one due up to `endMs`, taken out. */
  #next(endMs: number): Scheduled | undefined {
    for (let first = this.#heap[0]; first; first = this.#heap[0]) {
      if (!first.cancelled && first.dueMs > endMs) return undefined
      this.#removeFirst()
      if (!first.cancelled) return first
    }
    return undefined
  }

  #push(scheduled: Scheduled): void {
    const heap = this.#heap
    let at = heap.push(scheduled) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isBefore(heap[parent]!, scheduled)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = scheduled
  }
  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (isBefore(last, heap[child]!)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

/** Lets all promise callbacks run that need no I/O. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
