/**
 * From a hash to its rows, the newest first: pairs (hash, newest row + 1) by open addressing as in slot-index.ts, but with each hash once,
 * and for each row the next older one of its hash. A hash that was taken stays, without rows.
 */
import { keyGroupOf } from '#core/serialization/key-hash.js'
import type { KeyedStateBackendOptions, MemoryBudget } from './keyed-state-backend.js'
import { emptySlots, slotsFor, touchSlots } from './slot-index.js'

const TAKEN = -1
/** Slots filled in one go, as a power of two: they stay in the processor's cache, where that is twice as fast. */
const PART_BITS = 13

export type OwnKeys = Pick<KeyedStateBackendOptions, 'keyGroups' | 'maxParallelism'>

export class PendingIndex {
  readonly #slots: Int32Array
  /** By row: the next older one of its hash + 1; 0: there is none. */
  readonly #older: Int32Array
  #hashCount = 0
  /** Keeps what is only touched from being optimized away. */
  touched = 0

  /** `hashes`: by row, the newest last. */
  constructor(hashes: Int32Array, own: OwnKeys, memory: MemoryBudget) {
    const capacity = slotsFor(hashes.length)
    memory.reserve(8 * capacity + 12 * hashes.length)
    this.#slots = emptySlots(capacity)
    this.#older = new Int32Array(hashes.length)
    const pairs = sortedPairs(hashes, own, this.#slots.length - 1)
    for (let at = 0; at < pairs.length; at += 2) this.#add(pairs[at]!, pairs[at + 1]!)
  }
  /** That were not taken. */
  get hashCount(): number {
    return this.#hashCount
  }
  /** The newest row of a hash, once; -1 from then on, and where there is none. */
  take(hash: number): number {
    const at = this.#find(hash)
    const row = this.#slots[at + 1]!
    if (row <= 0) return -1
    this.#slots[at + 1] = TAKEN
    this.#hashCount--
    return row - 1
  }
  /** -1: there is none. */
  olderThan(row: number): number {
    return this.#older[row]! - 1
  }
  /** So that the misses of many searches overlap. */
  touch(hashes: Int32Array): void {
    this.touched = (this.touched + touchSlots(this.#slots, hashes, hashes.length)) | 0
  }
  #add(hash: number, next: number): void {
    const slots = this.#slots
    const at = this.#find(hash)
    if (slots[at + 1] === 0) {
      slots[at] = hash
      this.#hashCount++
    } else this.#older[next - 1] = slots[at + 1]!
    slots[at + 1] = next
  }
  /** Its slot, or an empty one. */
  #find(hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let at = (hash << 1) & mask
    while (slots[at + 1] !== 0 && slots[at] !== hash) at = (at + 2) & mask
    return at
  }
}

/** Pairs of hash and row + 1, by the part of the slots in which the hash belongs; rows of one hash stay in order. */
function sortedPairs(hashes: Int32Array, { keyGroups, maxParallelism }: OwnKeys, mask: number): Int32Array {
  const [from, to] = keyGroups
  const ends = new Int32Array((mask >>> PART_BITS) + 1)
  for (let row = 0; row < hashes.length; row++) {
    const group = keyGroupOf(hashes[row]!, maxParallelism)
    if (group >= from && group < to) ends[((hashes[row]! << 1) & mask) >>> PART_BITS]!++
  }
  let pairCount = 0
  for (let part = 0; part < ends.length; part++) {
    pairCount += ends[part]!
    ends[part] = pairCount - ends[part]!
  }
  const pairs = new Int32Array(2 * pairCount)
  for (let row = 0; row < hashes.length; row++) {
    const hash = hashes[row]!
    const group = keyGroupOf(hash, maxParallelism)
    if (group < from || group >= to) continue
    const at = 2 * ends[((hash << 1) & mask) >>> PART_BITS]!++
    pairs[at] = hash
    pairs[at + 1] = row + 1
  }
  return pairs
}
