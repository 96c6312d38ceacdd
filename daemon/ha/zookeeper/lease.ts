import type { Clock, Timer } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { ZooKeeperSession } from './zookeeper.js'

/**
 * The leader's own clock: it reads its node each quarter of the session time-out, and when the *sending* of the last answered read
 * lies a time-out back, the session may have expired. No correctness rests on it: ZooKeeper refuses the writes of an ended session.
 */
export class Lease {
  #next: Timer | undefined
  #deadline: Timer | undefined
  #deadlineMs = Number.POSITIVE_INFINITY
  #ended = false

  constructor(
    private readonly session: ZooKeeperSession,
    private readonly node: string,
    private readonly clock: Clock,
    private readonly on: { expired(): void; nodeGone(): void },
  ) {}

  /** `sentAtMs`: when the read was sent (monotonic) that showed the node to be ours. */
  start(sentAtMs: number): void {
    this.#extend(sentAtMs)
    this.#readLater()
  }

  /** The connection is back: what is left of the time may be less than the pause until the next read. */
  renew(): void {
    if (!this.#ended) void this.#read()
  }

  stop(): void {
    this.#ended = true
    this.#next?.cancel()
    this.#deadline?.cancel()
  }

  #extend(sentAtMs: number): void {
    this.#deadline?.cancel()
    this.#deadlineMs = sentAtMs + this.session.timeoutMs
    const left = this.#deadlineMs - this.clock.monotonicMs()
    this.#deadline = this.clock.setTimer(Math.max(0, left), () => this.#end(this.on.expired))
  }
  /** Looks at the clock: after this process has slept, the timer may come behind much else. */
  check(): void {
    if (this.clock.monotonicMs() >= this.#deadlineMs) this.#end(this.on.expired)
  }

  #readLater(): void {
    this.#next = this.clock.setTimer(this.session.timeoutMs / 4, () => {
      void this.#read()
      this.#readLater()
    })
  }

  async #read(): Promise<void> {
    const sentAtMs = this.clock.monotonicMs()
    try {
      const found = await this.session.get(this.node)
      if (this.#ended) return
      if (found?.ephemeralOwner === this.session.id) this.#extend(sentAtMs)
      else this.#end(this.on.nodeGone)
    } catch (error) {
      if (!isFlottError(error)) throw error // Unavailable or expired: the deadline, or the session's own event, decides.
    }
  }

  #end(tell: () => void): void {
    if (this.#ended) return
    this.stop()
    tell()
  }
}
