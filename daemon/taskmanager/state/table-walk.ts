/**
 * One table's part of a snapshot: what it held at the barrier, read in turns while the table changes. Whatever is about to change comes
 * here first (`keep`), so the walk itself only takes entries that were not touched since the barrier.
 */
import { sizableBytes } from './block-portions.js'
import { type Block, BlockKind } from './chunk-format.js'
import { deepCopy } from './retain.js'
import { Rows } from './rows.js'
import { type EpochChanges, FREE, type VersionedTable } from './versioned-table.js'

/** Entries in a block, and looked at in a step. */
export const BLOCK_ENTRIES = 1_024

/** Of large values: a step takes no further one when it has so much. */
const STEP_BYTES = 1024 * 1024

export interface WalkPosition {
  readonly state: number
  readonly namespace: number
  /** The epoch that the barrier ended. */
  readonly until: number
  /** A delta holds what was touched after this epoch; undefined for a base, which holds everything. */
  readonly since: number | undefined
  /** Of the epochs above `since`, in order. */
  readonly changes: readonly EpochChanges[]
}

export class TableWalk {
  /** Indices below it have been visited; in a delta, of those that were last touched in the epoch of `changes[#list]`. */
  #cursor = 0
  #list = 0
  /** Tombstones come first: `changes` whose are written, and how many of the next. */
  #buried = 0
  #tombstones = 0
  /** Of the table when the first entry is looked at: what is above belongs to later epochs. */
  #length = -1
  readonly #since: number
  #kept: Rows | undefined
  isDone = false

  constructor(
    private readonly table: VersionedTable,
    private readonly position: WalkPosition,
    private readonly emit: (block: Block) => void,
  ) {
    this.#since = position.since ?? FREE
    table.walk = this
  }
  /** Called by the table before the entry at `index`, last touched in `epoch`, changes or goes. */
  keep(index: number, epoch: number): void {
    if (epoch > this.position.until || epoch <= this.#since) return // Younger than the barrier; or not in this delta.
    if (this.#wasVisited(index, epoch)) return
    this.#kept ??= new Rows(BLOCK_ENTRIES)
    this.table.readOne(this.#kept, index, deepCopy)
    if (this.#kept.room === 0) this.#put(this.#kept)
  }
  /** Looks at some entries and emits what they held, by way of `rows`; whoever calls it goes on until isDone. */
  step(rows: Rows): void {
    if (this.position.since === undefined) this.#visitAll(rows)
    else if (this.#buried < this.position.changes.length) this.#visitTombstones()
    else this.#visitTouched(rows)
    this.#put(rows)
    if (!this.isDone) return
    if (this.#kept !== undefined) this.#put(this.#kept)
    this.table.walk = undefined
  }
  /** The snapshot was dropped. */
  abandon(): void {
    this.table.walk = undefined
  }
  #wasVisited(index: number, epoch: number): boolean {
    if (this.position.since === undefined) return index < this.#cursor
    const listed = this.position.changes[this.#list]
    return listed === undefined || epoch < listed.epoch || (epoch === listed.epoch && index < this.#cursor)
  }
  #visitAll(rows: Rows): void {
    if (this.#length < 0) this.#length = this.table.length
    const last = Math.min(this.#cursor + BLOCK_ENTRIES, this.#length)
    let bytes = 0
    for (let entries = 1; this.#cursor < last && bytes < STEP_BYTES; entries *= 2) {
      const end = Math.min(this.#cursor + entries, last)
      const from = rows.count
      this.table.readRange(rows, this.#cursor, end, this.position.until)
      this.#cursor = end
      bytes += sizableBytes(rows.values, from, rows.count)
    }
    this.isDone = this.#cursor >= this.#length
  }
  #visitTouched(rows: Rows): void {
    const changes = this.position.changes[this.#list]
    if (changes !== undefined) {
      this.#cursor = this.table.readTouched(rows, changes, this.#cursor)
      if (this.#cursor < changes.touched.length) return
      this.#list++
      this.#cursor = 0
    }
    this.isDone = this.#list >= this.position.changes.length
  }
  #visitTombstones(): void {
    const { deleted } = this.position.changes[this.#buried]!
    if (deleted !== undefined) {
      const from = this.#tombstones
      const end = Math.min(from + BLOCK_ENTRIES, deleted.keys.length)
      const part = <T>(items: readonly T[]) => items.slice(from, end)
      const { state, namespace } = this.position
      const values = deleted.values && part(deleted.values)
      const [hashes, keys] = [part(deleted.hashes), part(deleted.keys)]
      this.emit({ kind: BlockKind.Tombstone, state, namespace, count: keys.length, hashes, keys, values })
      this.#tombstones = end
      if (end < deleted.keys.length) return
    }
    this.#buried++
    this.#tombstones = 0
  }
  #put(rows: Rows): void {
    const { state, namespace } = this.position
    const { count, hashes, keys, values } = rows
    rows.count = 0
    if (count > 0) this.emit({ kind: BlockKind.Put, state, namespace, count, hashes, keys, values })
  }
}
