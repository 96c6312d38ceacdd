/**
 * Key to number: values and epochs in one typed array, nothing for the collector to follow but the keys. A value that is no number after
 * all (a program that widened its type) is kept beside it.
 */

import type { Key } from '#core/functions/functions.js'
import { keysEqual } from '#core/serialization/key-hash.js'
import { retained } from './retain.js'
import type { Rows } from './rows.js'
import { emptySlots, grownSlots, isFull, placeSlot, removeSlot, touchSlots } from './slot-index.js'
import { specialize } from './specialize.js'
import { type EpochChanges, FIRST_EPOCH, FREE, type LazilyRestored, VersionedTable, type Versions } from './versioned-table.js'

export interface NumberTable extends VersionedTable, LazilyRestored {
  /** The index, or -1. */
  find(key: unknown, hash: number): number
  get(index: number): unknown
  set(index: number, value: unknown): void
  insert(key: unknown, hash: number, value: unknown): number
  remove(index: number): void
  prefetch(hashes: Int32Array, count: number): number
}

export type NumberTableClass = new (versions: Versions) => NumberTable

/** The class of the table of a state. */
export function numberTableClass(stateId: string): NumberTableClass {
  return specialize(stateId, makeNumberTableClass, DEPENDENCIES)
}

const DEPENDENCIES = {
  Table: VersionedTable,
  keysEqual,
  retained,
  emptySlots,
  grownSlots,
  isFull,
  placeSlot,
  removeSlot,
  touchSlots,
  FREE,
  FIRST_EPOCH,
}

/** Compiled again from its source: it names nothing but its dependencies. */
function makeNumberTableClass(dependencies: typeof DEPENDENCIES): NumberTableClass {
  const { Table, keysEqual, retained, emptySlots, grownSlots, isFull, placeSlot, removeSlot, touchSlots, FREE, FIRST_EPOCH } = dependencies
  return class extends Table implements NumberTable {
    readonly #keys: unknown[] = []
    /** Value and epoch of index i at 2i and 2i + 1. */
    #cells = new Float64Array(16)
    #slots = emptySlots()
    /** Values that are no numbers; their cells hold NaN. */
    #others: Map<number, unknown> | undefined

    epochAt(index: number): number {
      return this.#cells[2 * index + 1]!
    }
    keyAt(index: number): unknown {
      return this.#keys[index]
    }
    valueAt(index: number): unknown {
      return this.get(index)
    }
    override readRange(rows: Rows, from: number, to: number, until: number): void {
      const cells = this.#cells
      for (let index = from; index < to; index++) {
        const epoch = cells[2 * index + 1]!
        if (epoch !== FREE && epoch <= until) rows.add(this.hashes[index]!, this.#keys[index], this.get(index))
      }
    }
    override readTouched(rows: Rows, { touched, epoch }: EpochChanges, from: number): number {
      const { words } = touched
      const cells = this.#cells
      let at = from >>> 5
      for (; at < words.length && rows.room >= 32; at++)
        for (let word = words[at]!; word !== 0; word &= word - 1) {
          const index = 32 * at + 31 - Math.clz32(word & -word)
          if (cells[2 * index + 1] === epoch) rows.add(this.hashes[index]!, this.#keys[index], this.get(index))
        }
      return 32 * at
    }
    find(key: unknown, hash: number): number {
      const slots = this.#slots
      const mask = slots.length - 1
      let at = (hash << 1) & mask
      for (;;) {
        const found = slots[at + 1]!
        if (found === 0) return -1
        if (slots[at] === hash) {
          const other = this.#keys[found - 1]
          if (other === key || (typeof key === 'object' && keysEqual(other as Key, key as Key))) return found - 1
        }
        at = (at + 2) & mask
      }
    }
    get(index: number): unknown {
      const value = this.#cells[2 * index]!
      return this.#others === undefined || !Number.isNaN(value) ? value : this.#other(index)
    }
    set(index: number, value: unknown): void {
      const cells = this.#cells
      if (cells[2 * index + 1] !== this.epoch) {
        this.touched(index, cells[2 * index + 1]!)
        cells[2 * index + 1] = this.epoch
      }
      this.#write(index, value)
    }
    insert(key: unknown, hash: number, value: unknown): number {
      if (isFull(this.#slots, this.count)) this.#slots = grownSlots(this.#slots, this.versions.memory)
      const index = this.allocate(hash)
      this.#place(index, retained(key), hash, this.epoch)
      this.#write(index, value)
      return index
    }
    remove(index: number): void {
      this.release(index, this.epochAt(index), true)
      removeSlot(this.#slots, this.hashAt(index), index)
      this.#keys[index] = undefined
      this.#cells[2 * index + 1] = FREE
      this.#others?.delete(index)
    }
    prefetch(hashes: Int32Array, count: number): number {
      const slots = this.#slots
      const cells = this.#cells
      const keys = this.#keys
      const mask = slots.length - 1
      let sum = touchSlots(slots, hashes, count)
      for (let i = 0; i < count; i++) {
        const hash = hashes[i]!
        let at = (hash << 1) & mask
        while (slots[at + 1] !== 0 && slots[at] !== hash) at = (at + 2) & mask
        const found = slots[at + 1]!
        if (found === 0) continue
        sum += cells[2 * found - 1]!
        const key = keys[found - 1]
        if (typeof key === 'string') sum += key.length
      }
      return sum
    }
    restoreExpect(count: number): void {
      this.expectHashes(this.length + count)
      this.#slots = grownSlots(this.#slots, this.versions.memory, this.count + count)
      const room = this.#cells.length >> 1
      if (this.length + count > room) this.#growCells(this.length + count)
    }
    restoreTouch(hashes: Int32Array): void {
      this.touchedSlots = (this.touchedSlots + touchSlots(this.#slots, hashes, hashes.length)) | 0
    }
    restoreInsert(key: unknown, hash: number, value: unknown): void {
      if (isFull(this.#slots, this.count)) this.#slots = grownSlots(this.#slots, this.versions.memory)
      const index = this.allocateUnlisted(hash)
      this.#place(index, key, hash, FIRST_EPOCH)
      this.#write(index, value)
    }
    #place(index: number, key: unknown, hash: number, epoch: number): void {
      if (2 * index === this.#cells.length) this.#growCells(2 * index)
      placeSlot(this.#slots, hash, index)
      this.#keys[index] = key
      this.#cells[2 * index + 1] = epoch
    }
    #write(index: number, value: unknown): void {
      if (typeof value === 'number') {
        this.#cells[2 * index] = value
        if (this.#others !== undefined) this.#others.delete(index)
        return
      }
      this.#cells[2 * index] = NaN
      this.#others ??= new Map()
      this.#others.set(index, retained(value))
    }
    #other(index: number): unknown {
      return this.#others!.has(index) ? this.#others!.get(index) : NaN
    }
    #growCells(count: number): void {
      this.versions.memory.reserve(count * 24) // Keys, too.
      const grown = new Float64Array(count * 2)
      grown.set(this.#cells)
      this.#cells = grown
    }
  }
}
