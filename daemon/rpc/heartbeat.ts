import { type Clock, every, type Timer } from '#core/clock.js'

export interface HeartbeatOptions {
  readonly clock: Clock
  readonly intervalMs: number
  readonly timeoutMs: number
}

export interface HeartbeatTarget<P> {
  /** Asks for a sign of life, once an interval; left out where the peer sends them by itself (then call `alive`). */
  request?(): Promise<P>
  onPayload?(payload: P): void
  /** Called once; the target is forgotten before. */
  onTimeout(silentMs: number): void
}

interface Watched<P> {
  readonly target: HeartbeatTarget<P>
  lastMs: number
  asking: boolean
}

/**
 * Tells which peers have gone silent. Only silence counts: a request that fails says nothing by itself, a closed connection is noticed
 * elsewhere, at once. When this process has slept for two intervals, all deadlines start again, so that it does not condemn its peers
 * before it has read what they sent meanwhile.
 */
export class HeartbeatMonitor<P> {
  readonly #watched = new Map<string, Watched<P>>()
  #timer: Timer | undefined
  #lastTickMs = 0
  #wokeMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: HeartbeatOptions) {}

  start(): void {
    const { clock, intervalMs } = this.options
    if (this.#timer) return
    this.#lastTickMs = clock.monotonicMs()
    this.#timer = every(clock, intervalMs, () => this.#tick(), { unref: true })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#watched.clear()
  }

  /** Watches a peer from now on; replaces an earlier watch of that id. */
  watch(id: string, target: HeartbeatTarget<P>): void {
    this.#watched.set(id, { target, lastMs: this.options.clock.monotonicMs(), asking: false })
  }

  unwatch(id: string): void {
    this.#watched.delete(id)
  }

  /** Any sign of life. */
  alive(id: string): void {
    const watched = this.#watched.get(id)
    if (watched) watched.lastMs = this.options.clock.monotonicMs()
  }

  /** This process slept until less than an interval ago: what its peers did meanwhile may not have been read yet. */
  get justSlept(): boolean {
    const now = this.options.clock.monotonicMs()
    return this.#timer !== undefined && (this.#sleptUntil(now) || now - this.#wokeMs < this.options.intervalMs)
  }
  #sleptUntil(now: number): boolean {
    return now - this.#lastTickMs >= 2 * this.options.intervalMs
  }

  /** ms since the last sign of life; undefined where the id is not watched. */
  silentMs(id: string): number | undefined {
    const watched = this.#watched.get(id)
    return watched && this.options.clock.monotonicMs() - watched.lastMs
  }

  #tick(): void {
    const now = this.options.clock.monotonicMs()
    const slept = this.#sleptUntil(now)
    if (slept) this.#wokeMs = now
    this.#lastTickMs = now
    for (const [id, watched] of [...this.#watched]) {
      if (slept) watched.lastMs = now
      if (now - watched.lastMs < this.options.timeoutMs) this.#ask(id, watched)
      else {
        this.#watched.delete(id)
        watched.target.onTimeout(now - watched.lastMs)
      }
    }
  }

  #ask(id: string, watched: Watched<P>): void {
    const { target } = watched
    if (!target.request || watched.asking) return
    watched.asking = true
    const answered = (payload: P) => {
      watched.asking = false
      if (this.#watched.get(id) !== watched) return // Forgotten, or replaced, meanwhile.
      watched.lastMs = this.options.clock.monotonicMs()
      target.onPayload?.(payload)
    }
    const failed = () => {
      watched.asking = false
    }
    target.request().then(answered, failed)
  }
}
