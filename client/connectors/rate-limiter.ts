import type { Clock, Timer } from '#core/clock.js'

const BURST_MS = 1_000 // What was not used within this time is not made up for.

/** So many permits a second, evenly: each after the time that the ones before it were worth. */
export class RateLimiter {
  #since: number | undefined
  #used = 0
  #timer: Timer | undefined
  constructor(
    private readonly clock: Clock,
    private readonly perSecond: number,
  ) {}
  /** Takes at most `most` permits; returns how many there were. */
  take(most: number): number {
    const now = this.clock.monotonicMs()
    this.#since ??= now
    const earned = this.#earned(now)
    const idle = earned - this.#used - (BURST_MS * this.perSecond) / 1_000
    if (idle > 1) this.#used += Math.floor(idle)
    const taken = Math.max(0, Math.min(most, earned - this.#used))
    this.#used += taken
    return taken
  }
  /** Calls `wake` when the next permit is there. One waits at a time. */
  onPermit(wake: () => void): void {
    this.#timer?.cancel()
    const now = this.clock.monotonicMs()
    const due = (this.#since ?? now) + (this.#used * 1_000) / this.perSecond
    this.#timer = this.clock.setTimer(Math.max(1, Math.ceil(due - now)), wake)
  }
  close(): void {
    this.#timer?.cancel()
  }
  /** The first at the start. */
  #earned(now: number): number {
    return Math.floor(((now - this.#since!) * this.perSecond) / 1_000) + 1
  }
}
