import type { Clock, Timer } from '#core/clock.js'

interface Held {
  readonly fire: () => void
  cancelled: boolean
}

/**
 * Time as one process has it: all that its code does begins in a turn of this clock. So a process whose clock stands is stopped (its
 * events wait), and one whose clock has ended is dead, in the middle of whatever it did.
 */
export class ProcessClock implements Clock {
  readonly #timers = new Set<Timer>()
  #held: Held[] = []
  #paused = false
  #ended = false

  constructor(private readonly time: Clock) {}

  now(): number {
    return this.time.now()
  }
  monotonicMs(): number {
    return this.time.monotonicMs()
  }
  setTimer(delayMs: number, fire: () => void): Timer {
    if (this.#ended) return { cancel() {} }
    const held: Held = { fire, cancelled: false }
    const timer = this.time.setTimer(delayMs, () => {
      this.#timers.delete(timer)
      if (this.#paused) this.#held.push(held)
      else fire()
    })
    this.#timers.add(timer)
    return {
      cancel: () => {
        held.cancelled = true
        timer.cancel()
        this.#timers.delete(timer)
      },
    }
  }
  defer(fire: () => void): void {
    this.setTimer(0, fire)
  }

  get paused(): boolean {
    return this.#paused
  }
  /** SIGSTOP. */
  pause(): void {
    this.#paused = true
  }
  /** SIGCONT: what came due meanwhile happens now, a turn each, in its order. */
  continue(): void {
    this.#paused = false
    const held = this.#held
    this.#held = []
    for (const one of held) this.defer(() => one.cancelled || one.fire())
  }
  /** kill -9. */
  end(): void {
    this.#ended = true
    this.#held = []
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }
}
