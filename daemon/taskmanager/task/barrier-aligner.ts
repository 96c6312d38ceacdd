/**
 * Aligns the barriers of a checkpoint over the channels of a task. Channels whose barrier has come are held back until those of all
 * others have (exactly once), or are not (at least once). Channels that ended count as aligned. A barrier is known by (epoch, id): one
 * that is not above the highest that was completed, aborted or superseded is late and dropped; a higher one ends an older alignment.
 */
import { compareEpochs, parseEpoch } from '#core/epoch.js'
import type { StreamEvent } from '../exchange/exchange.js'

export type Barrier = Extract<StreamEvent, { kind: 'barrier' }>

export type AlignerEffect =
  | { readonly kind: 'block'; readonly channel: number }
  | { readonly kind: 'unblock'; readonly channel: number }
  /** Every channel is aligned: take the checkpoint now. */
  | { readonly kind: 'aligned'; readonly barrier: Barrier }
  /** The alignment of an older barrier was given up: that checkpoint can't be taken here any more. */
  | { readonly kind: 'superseded'; readonly barrier: Barrier }

export interface BarrierId {
  readonly epoch: string
  readonly checkpointId: number
}

export function compareBarriers(a: BarrierId, b: BarrierId): number {
  return compareEpochs(parseEpoch(a.epoch), parseEpoch(b.epoch)) || a.checkpointId - b.checkpointId
}

export class BarrierAligner {
  #current: Barrier | undefined
  #arrived = new Set<number>()
  readonly #ended = new Set<number>()
  #highest: BarrierId | undefined
  #abortedId = -1

  constructor(
    private readonly channelCount: number,
    private readonly exactlyOnce: boolean,
  ) {}
  get aligning(): Barrier | undefined {
    return this.#current
  }
  get allEnded(): boolean {
    return this.#ended.size === this.channelCount
  }
  /** Of a channel, or (channel undefined) by a message from the coordinator to a task whose channels have all ended. */
  barrierReceived(channel: number | undefined, barrier: Barrier): AlignerEffect[] {
    if (barrier.checkpointId <= this.#abortedId) return []
    if (this.#highest && compareBarriers(barrier, this.#highest) <= 0) return []
    const effects: AlignerEffect[] = []
    if (!this.#current || compareBarriers(barrier, this.#current) !== 0) {
      if (this.#current && compareBarriers(barrier, this.#current) < 0) return []
      if (this.#current) effects.push(...this.#end(), { kind: 'superseded', barrier: this.#current })
      this.#current = barrier
    }
    if (channel !== undefined && !this.#arrived.has(channel)) {
      this.#arrived.add(channel)
      if (this.exactlyOnce) effects.push({ kind: 'block', channel })
    }
    return [...effects, ...this.#completed()]
  }
  channelEnded(channel: number): AlignerEffect[] {
    this.#ended.add(channel)
    return this.#completed()
  }
  /** Barriers up to this id are ignored from now on: ids come from one durable counter, whatever the epoch. */
  aborted(checkpointId: number): AlignerEffect[] {
    if (checkpointId <= this.#abortedId) return []
    this.#abortedId = checkpointId
    if (!this.#current || this.#current.checkpointId > checkpointId) return []
    this.#current = undefined
    return this.#end()
  }
  #completed(): AlignerEffect[] {
    const barrier = this.#current
    if (!barrier) return []
    for (let channel = 0; channel < this.channelCount; channel++) if (!this.#arrived.has(channel) && !this.#ended.has(channel)) return []
    const unblocks = this.#end()
    this.#highest = barrier
    this.#current = undefined
    return [{ kind: 'aligned', barrier }, ...unblocks]
  }
  #end(): AlignerEffect[] {
    const effects = this.exactlyOnce ? [...this.#arrived].map((channel): AlignerEffect => ({ kind: 'unblock', channel })) : []
    this.#arrived = new Set()
    return effects
  }
}
