import type { Epoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { FactStore, LeaderInfo } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import type { Registrations } from '#protocol/ha/registrations.js'

/** A reign as the election holds it: the leader sees the `Reign` side only. */
export class GrantedReign implements Reign {
  readonly #end = new AbortController()
  readonly #waiting = new Set<() => void>()
  #suspended = false

  constructor(
    readonly epoch: Epoch,
    readonly facts: FactStore,
    private readonly publisher: (info: LeaderInfo) => Promise<void>,
    /** Ends the reign when its time has run out. */
    private readonly checkLease: () => void = () => {},
    readonly registrations?: Registrations,
  ) {}

  get signal(): AbortSignal {
    return this.#end.signal
  }
  get suspended(): boolean {
    return this.#suspended
  }
  holds(): boolean {
    if (!this.signal.aborted) this.checkLease()
    return !this.signal.aborted
  }

  async whenConfirmed(): Promise<void> {
    while (this.#suspended && !this.signal.aborted) await new Promise<void>((resolve) => this.#waiting.add(resolve))
    if (!this.holds()) throw this.signal.reason
  }

  async publish(info: LeaderInfo): Promise<void> {
    if (this.signal.aborted) throw this.signal.reason
    await this.publisher(info)
  }

  suspend(): void {
    this.#suspended = true
  }
  resume(): void {
    this.#suspended = false
    this.#wake()
  }
  end(reason: string): void {
    this.#end.abort(new FlottError('NOT_LEADER', `the reign has ended: ${reason}`))
    this.#wake()
  }
  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
