/** Key to value of any type: one small object an entry. */

import type { Key } from '#core/functions/functions.js'
import { keysEqual } from '#core/serialization/key-hash.js'
import { retained } from './retain.js'
import type { Rows } from './rows.js'
import { emptySlots, grownSlots, isFull, placeSlot, removeSlot, slotsFor, touchSlots } from './slot-index.js'
import { specialize } from './specialize.js'
import {
  type EagerlyRestored,
  type EpochChanges,
  FIRST_EPOCH,
  FREE,
  type LazilyRestored,
  VersionedTable,
  type Versions,
} from './versioned-table.js'

export interface Entry {
  readonly key: unknown
  value: unknown
  epoch: number
  readonly index: number
}

export interface EntryTable extends VersionedTable, EagerlyRestored, LazilyRestored {
  find(key: unknown, hash: number): Entry | undefined
  /** The key must not be there. The value is kept as given. */
  insert(key: unknown, hash: number, value: unknown): Entry
  /** Before the entry's value changes, or is handed out to be changed, in this epoch: `if (entry.epoch !== table.epoch) table.touch(entry)`. */
  touch(entry: Entry): void
  remove(entry: Entry): void
  entryAt(index: number): Entry | undefined
  prefetch(hashes: Int32Array, count: number): number
  forEach(visit: (entry: Entry, hash: number) => void): void
}
export type EntryTableClass = new (versions: Versions, expected?: number) => EntryTable

/** The class of the tables of a state. */
export function entryTableClass(stateId: string): EntryTableClass {
  return specialize(stateId, makeEntryTableClass, DEPENDENCIES)
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
  slotsFor,
  touchSlots,
  FREE,
  FIRST_EPOCH,
}

/** Compiled again from its source: it names nothing but its dependencies. */
function makeEntryTableClass(dependencies: typeof DEPENDENCIES): EntryTableClass {
  const { Table, keysEqual, retained, emptySlots, grownSlots, isFull, placeSlot, removeSlot, slotsFor, touchSlots, FREE, FIRST_EPOCH } =
    dependencies
  class TableEntry implements Entry {
    constructor(
      readonly key: unknown,
      public value: unknown,
      public epoch: number,
      readonly index: number,
    ) {}
  }

  return class extends Table implements EntryTable {
    readonly #entries: (TableEntry | undefined)[] = []
    #slots: Int32Array

    constructor(versions: Versions, expected = 0) {
      super(versions)
      this.#slots = emptySlots(slotsFor(expected))
    }
    epochAt(index: number): number {
      return this.#entries[index]?.epoch ?? FREE
    }
    keyAt(index: number): unknown {
      return this.#entries[index]!.key
    }
    valueAt(index: number): unknown {
      return this.#entries[index]!.value
    }
    override readRange(rows: Rows, from: number, to: number, until: number): void {
      for (let index = from; index < to; index++) {
        const entry = this.#entries[index]
        if (entry !== undefined && entry.epoch <= until) rows.add(this.hashes[index]!, entry.key, entry.value)
      }
    }
    override readTouched(rows: Rows, { touched, epoch }: EpochChanges, from: number): number {
      const { words } = touched
      let at = from >>> 5
      for (; at < words.length && rows.room >= 32; at++)
        for (let word = words[at]!; word !== 0; word &= word - 1) {
          const index = 32 * at + 31 - Math.clz32(word & -word)
          const entry = this.#entries[index]
          if (entry !== undefined && entry.epoch === epoch) rows.add(this.hashes[index]!, entry.key, entry.value)
        }
      return 32 * at
    }
    find(key: unknown, hash: number): TableEntry | undefined {
      const slots = this.#slots
      const mask = slots.length - 1
      let at = (hash << 1) & mask
      for (;;) {
        const found = slots[at + 1]!
        if (found === 0) return undefined
        if (slots[at] === hash) {
          const entry = this.#entries[found - 1]!
          if (entry.key === key || (typeof key === 'object' && keysEqual(entry.key as Key, key as Key))) return entry
        }
        at = (at + 2) & mask
      }
    }
    insert(key: unknown, hash: number, value: unknown): TableEntry {
      if (isFull(this.#slots, this.count)) this.#slots = grownSlots(this.#slots, this.versions.memory)
      const index = this.allocate(hash)
      placeSlot(this.#slots, hash, index)
      const entry = new TableEntry(retained(key), value, this.epoch, index)
      this.#entries[index] = entry
      return entry
    }
    touch(entry: Entry): void {
      this.touched(entry.index, entry.epoch)
      entry.epoch = this.epoch
    }
    remove(entry: Entry): void {
      this.release(entry.index, entry.epoch, true)
      removeSlot(this.#slots, this.hashAt(entry.index), entry.index)
      this.#entries[entry.index] = undefined
    }
    entryAt(index: number): Entry | undefined {
      return this.#entries[index]
    }
    prefetch(hashes: Int32Array, count: number): number {
      const slots = this.#slots
      const mask = slots.length - 1
      let sum = touchSlots(slots, hashes, count)
      for (let i = 0; i < count; i++) {
        const hash = hashes[i]!
        let at = (hash << 1) & mask
        while (slots[at + 1] !== 0 && slots[at] !== hash) at = (at + 2) & mask
        const found = slots[at + 1]!
        if (found === 0) continue
        const entry = this.#entries[found - 1]!
        sum += entry.epoch
        if (typeof entry.key === 'string') sum += entry.key.length
        if (typeof entry.value === 'object') sum++
      }
      return sum
    }
    forEach(visit: (entry: Entry, hash: number) => void): void {
      for (let index = 0; index < this.length; index++) {
        const entry = this.#entries[index]
        if (entry !== undefined) visit(entry, this.hashAt(index))
      }
    }
    restoreExpect(count: number): void {
      this.expectHashes(this.length + count)
      this.#slots = grownSlots(this.#slots, this.versions.memory, this.count + count)
    }
    restoreTouch(hashes: Int32Array): void {
      this.touchedSlots = (this.touchedSlots + touchSlots(this.#slots, hashes, hashes.length)) | 0
    }
    restoreInsert(key: unknown, hash: number, value: unknown): void {
      if (isFull(this.#slots, this.count)) this.#slots = grownSlots(this.#slots, this.versions.memory)
      const index = this.allocateUnlisted(hash)
      placeSlot(this.#slots, hash, index)
      this.#entries[index] = new TableEntry(key, value, FIRST_EPOCH, index)
    }
    restorePut(key: unknown, hash: number, value: unknown): void {
      const entry = this.find(key, hash)
      if (entry === undefined) this.insert(key, hash, value)
      else entry.value = value
    }
    restoreDelete(key: unknown, hash: number): void {
      const entry = this.find(key, hash)
      if (entry !== undefined) this.remove(entry)
    }
  }
}
