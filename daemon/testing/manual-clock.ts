import { type Clock, systemClock, type Timer } from '#core/clock.js'

interface Waiting {
  readonly dueMs: number
  fire(): void
}

/** Stands still until it is moved. What is deferred runs in the next turn of the event loop. */
export class ManualClock implements Clock {
  #nowMs = 0
  #waiting: Waiting[] = []

  now(): number {
    return this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  setTimer(delayMs: number, fire: () => void): Timer {
    const waiting = { dueMs: this.#nowMs + Math.max(0, delayMs), fire }
    this.#waiting.push(waiting)
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((w) => w !== waiting)
      },
    }
  }
  defer(fire: () => void): void {
    systemClock.defer(fire)
  }
  /** Fires what becomes due, in order. */
  advance(byMs: number): void {
    const end = this.#nowMs + byMs
    for (;;) {
      const due = this.#waiting.filter((w) => w.dueMs <= end).sort((a, b) => a.dueMs - b.dueMs)[0]
      if (!due) break
      this.#waiting = this.#waiting.filter((w) => w !== due)
      this.#nowMs = Math.max(this.#nowMs, due.dueMs)
      due.fire()
    }
    this.#nowMs = end
  }
}
