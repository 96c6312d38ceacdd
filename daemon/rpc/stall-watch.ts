import type { Clock, Timer } from '#core/clock.js'

/** Calls `onStall` once when no progress was made for `stallMs`; asks no timer for each piece of progress. */
export class StallWatch {
  #timer: Timer | undefined
  #progressMs: number
  #suspended = false

  constructor(
    private readonly clock: Clock,
    private readonly stallMs: number,
    private readonly onStall: () => void,
  ) {
    this.#progressMs = clock.monotonicMs()
    this.#arm(stallMs)
  }
  progress(): void {
    this.#suspended = false
    this.#progressMs = this.clock.monotonicMs()
  }
  /** Silence does not count until the next progress: this side is the slow one. */
  suspend(): void {
    this.#suspended = true
  }
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
  #arm(delayMs: number): void {
    this.#timer = this.clock.setTimer(delayMs, () => this.#look(), { unref: true })
  }
  #look(): void {
    const left = this.#suspended ? this.stallMs : this.#progressMs + this.stallMs - this.clock.monotonicMs()
    if (left > 0) return void this.#arm(left)
    this.#timer = undefined
    this.onStall()
  }
}
