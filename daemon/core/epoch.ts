/**
 * The number of a reign; the value by which a message proves its leader (DESIGN section 3). The incarnation is raised only by the
 * operator's override; the czxid is that of the leader's election node: 16 hex digits, so that text order is number order.
 */
export interface Epoch {
  readonly incarnation: number
  readonly czxid: string
}

export const NO_EPOCH: Epoch = { incarnation: 0, czxid: '0000000000000000' }

export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation
  return a.czxid < b.czxid ? -1 : a.czxid > b.czxid ? 1 : 0
}

export function formatEpoch(epoch: Epoch): string {
  return `${epoch.incarnation}:${epoch.czxid}`
}

export function parseEpoch(text: string): Epoch {
  const match = /^(\d+):([0-9a-f]{16})$/.exec(text)
  if (!match) throw new Error(`not an epoch: ${text}`)
  return { incarnation: Number(match[1]), czxid: match[2]! }
}

/** Remembers the highest epoch seen by a process. Lower ones are refused, higher ones adopted. */
export class HighestEpoch {
  #highest: Epoch
  constructor(initial: Epoch = NO_EPOCH) {
    this.#highest = initial
  }
  get value(): Epoch {
    return this.#highest
  }
  /** False when `epoch` is lower than one seen before. */
  adopt(epoch: Epoch): boolean {
    const order = compareEpochs(epoch, this.#highest)
    if (order > 0) this.#highest = epoch
    return order >= 0
  }
}
