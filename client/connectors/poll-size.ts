import type { Clock } from '#core/clock.js'

const RECORDS_FIRST = 16
/** With more, records have left the processor's cache when the end of a local chain reads them. */
const RECORDS_MAX = 64
const TARGET_MS = 1
/** Where polls are fast, most are not timed: a look at the clock costs as much as a few records. */
const POLLS_UNTIMED = 15

/** How many records a poll collects: as many as take about a millisecond, since nobody else in the slot has a turn meanwhile. */
export class PollSize {
  #records = RECORDS_FIRST
  #untimed = 0

  constructor(private readonly clock: Clock) {}

  /** Tells how many, and learns from how long they took: what comes after the source may be slow. */
  poll(collect: (records: number) => void): void {
    if (this.#untimed > 0) {
      this.#untimed--
      collect(this.#records)
      return
    }
    const beganMs = this.clock.monotonicMs()
    collect(this.#records)
    const tookMs = this.clock.monotonicMs() - beganMs
    if (tookMs > 2 * TARGET_MS) this.#records = Math.max(1, Math.floor((this.#records * TARGET_MS) / tookMs))
    else if (tookMs < TARGET_MS / 2 && this.#records < RECORDS_MAX) this.#records *= 2
    else if (this.#records === RECORDS_MAX) this.#untimed = POLLS_UNTIMED
  }
}
