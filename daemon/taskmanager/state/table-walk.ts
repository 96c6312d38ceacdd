/**
 * One table's part of a snapshot: what it held at the barrier, read in turns while the table changes. Whatever is about to change comes
 * here first (`keep`), so the walk itself only takes entries that were not touched since the barrier.
 */
import { type Block, BlockKind } from './chunk-format.js'
import { deepCopy } from './retain.js'
import { Rows } from './rows.js'
import { type EpochChanges, FREE, type VersionedTable } from './versioned-table.js'

/** Entries in a block, and looked at in a turn. */
export const BLOCK_ENTRIES = 1_000

export interface WalkPosition {
  readonly state: number
  readonly namespace: number
  /** The epoch that the barrier ended. */
  readonly until: number
  /** A delta holds what was touched after this epoch; undefined for a base, which holds everything. */
  readonly since: number | undefined
  /** Of the epochs above `since`. */
  readonly changes: readonly EpochChanges[]
}

export class TableWalk {
  /** Indices below it have been visited (base), or entries of the list `changes[#list]` (delta). */
  #cursor = 0
  #list = 0
  #buried = 0
  readonly #length: number
  readonly #since: number
  #kept: Rows | undefined
  isDone = false

  constructor(
    private readonly table: VersionedTable,
    private readonly position: WalkPosition,
    private readonly emit: (block: Block) => void,
  ) {
    this.#length = table.length
    this.#since = position.since ?? FREE
    table.walk = this
  }
  /** Called by the table before the entry at `index`, last touched in `epoch`, changes or goes. */
  keep(index: number, epoch: number): void {
    if (epoch > this.position.until || epoch <= this.#since) return // Younger than the barrier; or not in this delta.
    if (this.position.since === undefined && index < this.#cursor) return // Has been visited.
    this.#kept ??= new Rows(BLOCK_ENTRIES)
    this.table.readOne(this.#kept, index, deepCopy)
    if (this.#kept.isFull) this.#flushKept()
  }
  /** Looks at some entries and emits what they held; whoever calls it goes on until isDone. Returns about how many it looked at. */
  step(): number {
    const rows = new Rows(BLOCK_ENTRIES)
    if (this.position.since === undefined) this.#visitAll(rows)
    else if (this.#buried < this.position.changes.length) this.#visitTombstones()
    else this.#visitTouched(rows)
    this.#put(rows)
    if (this.isDone) {
      this.#flushKept()
      this.table.walk = undefined
    }
    return rows.count + 32
  }
  /** The snapshot was dropped. */
  abandon(): void {
    this.table.walk = undefined
  }
  #visitAll(rows: Rows): void {
    const end = Math.min(this.#cursor + BLOCK_ENTRIES, this.#length)
    this.table.readRange(rows, this.#cursor, end, this.position.until)
    this.#cursor = end
    this.isDone = end >= this.#length
  }
  #visitTouched(rows: Rows): void {
    const changes = this.position.changes[this.#list]
    if (changes === undefined) {
      this.isDone = true
      return
    }
    const { touched, epoch } = changes
    const end = Math.min(this.#cursor + BLOCK_ENTRIES, touched.length)
    this.table.readListed(rows, touched, this.#cursor, end, epoch)
    this.#cursor = end
    if (end < touched.length) return
    this.#list++
    this.#cursor = 0
    this.isDone = this.#list >= this.position.changes.length
  }
  #visitTombstones(): void {
    const { deleted } = this.position.changes[this.#buried]!
    if (deleted !== undefined) {
      const end = this.#cursor + BLOCK_ENTRIES
      const part = <T>(items: readonly T[]) => items.slice(this.#cursor, end)
      const { state, namespace } = this.position
      const values = deleted.values && part(deleted.values)
      this.emit({ kind: BlockKind.Tombstone, state, namespace, hashes: part(deleted.hashes), keys: part(deleted.keys), values })
      this.#cursor = end
      if (end < deleted.keys.length) return
    }
    this.#buried++
    this.#cursor = 0
  }
  #flushKept(): void {
    const kept = this.#kept
    this.#kept = undefined
    if (kept !== undefined) this.#put(kept)
  }
  #put(rows: Rows): void {
    const { state, namespace } = this.position
    if (rows.count > 0) this.emit({ kind: BlockKind.Put, state, namespace, ...rows.columns() })
  }
}
