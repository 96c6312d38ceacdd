import type { Clock, Timer } from '#core/clock.js'

interface Planned {
  readonly dueMs: number
  readonly fire: () => void
  timer: Timer | undefined
}

/**
 * Time as one process has it: all that its code does begins in a turn of this clock. So a process whose clock stands is stopped (its
 * events wait), and one whose clock has ended is dead, in the middle of whatever it did.
 */
export class ProcessClock implements Clock {
  /** In the order in which they were set. */
  readonly #planned = new Set<Planned>()
  #paused = false
  #ended = false
  /** Time that its host has slept, which its clock does not count. */
  #sleptMs = 0
  #sleepingSinceMs: number | undefined

  constructor(private readonly time: Clock) {}

  now(): number {
    return this.time.now() // Set by others, when a host wakes up.
  }
  monotonicMs(): number {
    return (this.#sleepingSinceMs ?? this.time.monotonicMs()) - this.#sleptMs
  }
  setTimer(delayMs: number, fire: () => void): Timer {
    if (this.#ended) return { cancel() {} }
    const planned: Planned = { dueMs: this.monotonicMs() + Math.max(0, delayMs), fire, timer: undefined }
    this.#planned.add(planned)
    if (!this.#paused) this.#plan(planned)
    return {
      cancel: () => {
        planned.timer?.cancel()
        this.#planned.delete(planned)
      },
    }
  }
  defer(fire: () => void): void {
    this.setTimer(0, fire)
  }
  #plan(planned: Planned): void {
    planned.timer = this.time.setTimer(planned.dueMs - this.monotonicMs(), () => {
      this.#planned.delete(planned)
      planned.fire()
    })
  }

  get paused(): boolean {
    return this.#paused
  }
  /** SIGSTOP; or its host sleeps, so that its clock stands still, too. */
  pause({ hostSleeps = false } = {}): void {
    this.#paused = true
    if (hostSleeps) this.#sleepingSinceMs = this.time.monotonicMs()
    for (const { timer } of this.#planned) timer?.cancel()
  }
  /** SIGCONT: what came due meanwhile happens now, a turn each, in its order. */
  continue(): void {
    this.#paused = false
    if (this.#sleepingSinceMs !== undefined) this.#sleptMs += this.time.monotonicMs() - this.#sleepingSinceMs
    this.#sleepingSinceMs = undefined
    for (const planned of [...this.#planned].sort((a, b) => a.dueMs - b.dueMs)) this.#plan(planned)
  }
  /** kill -9. */
  end(): void {
    this.#ended = true
    for (const { timer } of this.#planned) timer?.cancel()
    this.#planned.clear()
  }
}
