import { compareEpochs, type Epoch, NO_EPOCH } from '#core/epoch.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'

/** The leader as last heard, and who wants to know. An older leader than one known before is never told. */
export class LeaderListeners {
  #current: LeaderInfo | undefined
  #highest: Epoch = NO_EPOCH
  readonly #listeners = new Set<(leader: LeaderInfo | undefined) => void>()

  get current(): LeaderInfo | undefined {
    return this.#current
  }

  add(listener: (leader: LeaderInfo | undefined) => void): () => void {
    this.#listeners.add(listener)
    if (this.#current) listener(this.#current)
    return () => this.#listeners.delete(listener)
  }

  set(leader: LeaderInfo | undefined): void {
    if (leader && compareEpochs(leader.epoch, this.#highest) < 0) return
    if (JSON.stringify(leader) === JSON.stringify(this.#current)) return
    if (leader) this.#highest = leader.epoch
    this.#current = leader
    for (const listener of [...this.#listeners]) listener(leader)
  }
}
