/**
 * Open addressing from hash to dense index: pairs of Int32 (hash, index + 1; 0 is empty) in one array, so that a probe costs one cache
 * line. At most 5/8 full; a deletion shifts the followers back, so there are no tombstones in it.
 */
import type { MemoryBudget } from './keyed-state-backend.js'

export const SLOTS_MIN = 8

export function emptySlots(capacity = SLOTS_MIN): Int32Array {
  return new Int32Array(capacity * 2)
}

/** Slots for so many entries. */
export function slotsFor(count: number): number {
  let capacity = SLOTS_MIN
  while (count > capacity * LOAD) capacity *= 2
  return capacity
}

const LOAD = 0.625

export function isFull(slots: Int32Array, count: number): boolean {
  return count >= (slots.length >> 1) * LOAD
}

/** The same entries with twice the slots, or with those for `expected` ones. */
export function grownSlots(slots: Int32Array, memory: MemoryBudget, expected = 0): Int32Array {
  const length = Math.max(slots.length, slotsFor(expected)) * 2
  memory.reserve(length * 4)
  const grown = new Int32Array(length)
  for (let i = 0; i < slots.length; i += 2) if (slots[i + 1] !== 0) placeSlot(grown, slots[i]!, slots[i + 1]! - 1)
  return grown
}

/** Into the first empty slot; the caller knows that the key is not there. */
export function placeSlot(slots: Int32Array, hash: number, index: number): void {
  const mask = slots.length - 1
  let at = (hash << 1) & mask
  while (slots[at + 1] !== 0) at = (at + 2) & mask
  slots[at] = hash
  slots[at + 1] = index + 1
}

export function removeSlot(slots: Int32Array, hash: number, index: number): void {
  const mask = slots.length - 1
  let hole = (hash << 1) & mask
  while (slots[hole + 1] !== index + 1) hole = (hole + 2) & mask
  for (let at = (hole + 2) & mask; slots[at + 1] !== 0; at = (at + 2) & mask) {
    const home = (slots[at]! << 1) & mask
    // Whoever's home lies at or before the hole moves into it.
    if (((at - home) & mask) < ((at - hole) & mask)) continue
    slots[hole] = slots[at]!
    slots[hole + 1] = slots[at + 1]!
    hole = at
  }
  slots[hole + 1] = 0
}

/**
 * Reads the home slot of each hash. Nothing depends on what is read, so the processor has many of the misses under way at once; a search
 * waits for each of them, since where it goes on depends on what it finds. The sum keeps the reads from being optimized away.
 */
export function touchSlots(slots: Int32Array, hashes: Int32Array, count: number): number {
  const mask = slots.length - 1
  let sum = 0
  for (let i = 0; i < count; i++) sum = (sum + slots[(hashes[i]! << 1) & mask]!) | 0
  return sum
}
