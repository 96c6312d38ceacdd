import type { Clock } from '#core/clock.js'
import { between, type Random } from '#core/random.js'
import { SimulatedTree } from './simulated-tree.js'

/** A server of the ensemble: sessions read from its tree, which may be older than the leader's. */
export interface SimulatedServer {
  readonly tree: SimulatedTree
  /** Has at least all transactions up to this one; by default, all there are. */
  catchUp(zxid?: number): void
}

/** Applies the leader's transactions in their order, each a while after the leader. */
export class SimulatedFollower implements SimulatedServer {
  readonly tree = new SimulatedTree()
  readonly #behind: ((tree: SimulatedTree) => void)[] = []

  constructor(leader: SimulatedTree, clock: Clock, random: Random, lagMs: () => readonly [number, number]) {
    leader.follow((transaction) => {
      this.#behind.push(transaction)
      const zxid = leader.zxid
      clock.setTimer(between(random, lagMs()[0], lagMs()[1] + 1), () => this.catchUp(zxid), { unref: true })
    })
  }

  catchUp(zxid = Number.POSITIVE_INFINITY): void {
    while (this.tree.zxid < zxid) {
      const next = this.#behind.shift()
      if (!next) return
      next(this.tree)
    }
  }
}
