/**
 * The one idea of this folder: entries live in a dense array at an index that never changes while they live, and a hash table maps
 * keys to indices. Growth and deletion rearrange only the hash table, so a snapshot may walk the dense array while records are
 * processed. Each entry has the epoch in which it was last touched; a barrier raises the epoch, and an update that meets an entry of an
 * older epoch first hands its value to the walk, if that has not come by yet.
 */

import { Bitmap } from './bitmap.js'
import { IntList } from './int-list.js'
import type { MemoryBudget } from './keyed-state-backend.js'
import type { Rows } from './rows.js'
import type { TableWalk } from './table-walk.js'

/** What all tables of a backend share. */
export interface Versions {
  /** The epoch that runs; a barrier ends it. */
  epoch: number
  /** Whether changes are listed for a delta. Not before the first snapshot, and not after lists grew out of proportion. */
  tracking: boolean
  /** Deltas can only be taken since snapshots that ended this epoch or a later one: the lists of earlier ones are incomplete. */
  incompleteEpoch: number
  readonly memory: MemoryBudget
}

/** What was deleted in an epoch. */
export interface Tombstones {
  readonly keys: unknown[]
  readonly hashes: number[]
  /** Only where a key has several entries (timers). */
  readonly values: unknown[] | undefined
}

/** The changes of an epoch: indices of entries touched in it (some may be free or reused by now), and what was deleted. */
export interface EpochChanges {
  readonly epoch: number
  readonly touched: Bitmap
  readonly deleted: Tombstones | undefined
}

/** Epoch of a free index. */
export const FREE = -1
/** The epoch before the first barrier. */
export const FIRST_EPOCH = 0

/** Takes what a snapshot holds before the first record comes, in the order in which it applies. */
export interface EagerlyRestored {
  restorePut(key: unknown, hash: number, value: unknown): void
  restoreDelete(key: unknown, hash: number, value: unknown): void
}
/** Takes it whenever that may be (pending-rows.ts). */
export interface LazilyRestored {
  /** So many will come: it need not grow, which would take a turn as long as some ten thousand of them. */
  restoreExpect(count: number): void
  /** These come next, so that the misses overlap. */
  restoreTouch(hashes: Int32Array): void
  /** The key is not there; key and value are nobody else's. In the first epoch, and no change. */
  restoreInsert(key: unknown, hash: number, value: unknown): void
}

export abstract class VersionedTable {
  epoch: number
  /** Live entries. */
  count = 0
  /** Indices below this one are, or were, in use. */
  length = 0
  /** Set while a snapshot walks this table. */
  walk: TableWalk | undefined
  /** The key's hash, by index. */
  protected hashes = new Int32Array(8)
  protected readonly free = new IntList()
  /** Keeps what is only touched from being optimized away. */
  protected touchedSlots = 0
  #touched = new Bitmap()
  #deleted: Tombstones | undefined
  #older: readonly EpochChanges[] = []

  constructor(protected readonly versions: Versions) {
    this.epoch = versions.epoch
  }
  abstract epochAt(index: number): number
  abstract keyAt(index: number): unknown
  abstract valueAt(index: number): unknown

  // What a walk reads. Tables that may be large write the last two out, with calls that the engine can inline.
  readOne(rows: Rows, index: number, copy: (value: unknown) => unknown): void {
    rows.add(this.hashes[index]!, this.keyAt(index), copy(this.valueAt(index)))
  }
  /** The entries at [from, to) that were there at the barrier, and not touched since. */
  readRange(rows: Rows, from: number, to: number, until: number): void {
    for (let index = from; index < to; index++) {
      const epoch = this.epochAt(index)
      if (epoch !== FREE && epoch <= until) rows.add(this.hashes[index]!, this.keyAt(index), this.valueAt(index))
    }
  }
  /**
   * Those at or above `from` that were last touched in the epoch of these changes, as many as there is room for; returns where to go on.
   * Others were touched again, and then they are in a later list, or were kept; or they are free, or reused.
   */
  readTouched(rows: Rows, { touched, epoch }: EpochChanges, from: number): number {
    const { words } = touched
    let at = from >>> 5
    for (; at < words.length && rows.room >= 32; at++)
      for (let word = words[at]!; word !== 0; word &= word - 1) {
        const index = 32 * at + 31 - Math.clz32(word & -word)
        if (this.epochAt(index) === epoch) rows.add(this.hashes[index]!, this.keyAt(index), this.valueAt(index))
      }
    return 32 * at
  }
  hashAt(index: number): number {
    return this.hashes[index]!
  }
  /** Ends the epoch. Its changes, and those of earlier epochs above `since`, are what a delta since then holds. */
  endEpoch(since: number): readonly EpochChanges[] {
    if (this.#touched.count > 0 || this.#deleted !== undefined) {
      this.#older = [...this.#older, { epoch: this.epoch, touched: this.#touched, deleted: this.#deleted }]
      this.#touched = new Bitmap()
      this.#deleted = undefined
    }
    this.epoch = this.versions.epoch
    return this.#older.filter((changes) => changes.epoch > since)
  }
  /** A snapshot that ended `epoch` is complete: earlier changes are in it. */
  forgetChanges(epoch: number): void {
    if (this.#older.length > 0) this.#older = this.#older.filter((changes) => changes.epoch > epoch)
  }
  forgetAllChanges(): void {
    this.#older = []
    this.#touched = new Bitmap()
    this.#deleted = undefined
  }
  /** What all listed changes cost to hold and to read: an entry may be listed in several epochs. */
  get changeCount(): number {
    let sum = costOf(this.#touched, this.#deleted)
    for (const { touched, deleted } of this.#older) sum += costOf(touched, deleted)
    return sum
  }

  /** Before an entry of an older epoch changes the first time in this one. */
  protected touched(index: number, epoch: number): void {
    if (this.walk !== undefined) this.walk.keep(index, epoch)
    if (this.versions.tracking) this.#touched.add(index)
  }
  /** An index for a new entry, which the caller fills. */
  protected allocate(hash: number): number {
    const index = this.allocateUnlisted(hash)
    if (this.versions.tracking) this.#touched.add(index)
    return index
  }
  /** For an entry that is no change. */
  protected allocateUnlisted(hash: number): number {
    let index: number
    if (this.free.length > 0) index = this.free.pop()
    else {
      index = this.length++
      if (index === this.hashes.length) this.#growHashes(2 * index)
    }
    this.hashes[index] = hash
    this.count++
    return index
  }
  /** Before an entry is removed: the walk gets its value, later snapshots a tombstone, unless none has seen it. */
  protected release(index: number, epoch: number, seen: boolean): void {
    if (this.walk !== undefined) this.walk.keep(index, epoch)
    if (seen && this.versions.tracking) this.#bury(index)
    this.free.push(index)
    this.count--
  }
  protected tombstoneValueAt(_index: number): unknown {
    return undefined
  }
  /** Room for so many entries in all. */
  protected expectHashes(count: number): void {
    if (count > this.hashes.length) this.#growHashes(count)
  }
  #bury(index: number): void {
    const value = this.tombstoneValueAt(index)
    this.#deleted ??= { keys: [], hashes: [], values: value === undefined ? undefined : [] }
    this.#deleted.keys.push(this.keyAt(index))
    this.#deleted.hashes.push(this.hashes[index]!)
    this.#deleted.values?.push(value)
  }
  #growHashes(count: number): void {
    this.versions.memory.reserve(count * 4)
    const grown = new Int32Array(count)
    grown.set(this.hashes)
    this.hashes = grown
  }
}

function costOf(touched: Bitmap, deleted: Tombstones | undefined): number {
  return touched.count + touched.words.length + (deleted?.keys.length ?? 0)
}
