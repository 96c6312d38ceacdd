/**
 * What a restored state holds beside its table: the rows of its blocks (puts and tombstones of a base and its deltas, in the order in
 * which they apply) that were not decoded yet. An index made of the blocks' hash columns alone finds the rows of a hash.
 *
 * A hash is PENDING, with all its rows, or APPLIED, once and for good; one that has no rows here counts as applied.
 *   apply(hash)   PENDING -> APPLIED: its key becomes current. Its rows are decoded, and what they come to is put into the table
 *   step()        PENDING -> APPLIED, for all hashes of the newest block that is left: the walk has come to it
 *
 * Invariants
 * 1. The table has no entry with a pending hash: whoever asks for one applies it first. So what is applied is inserted, nothing is looked
 *    up, and nothing that happens in the table (updates, removals, expiry) is ever overwritten or brought back by a row.
 * 2. All rows of a hash are applied together, the newest first; of each key (two may share a hash) the newest counts. So blocks may be
 *    decoded in any order.
 * 3. What is inserted has the epoch before all barriers, whenever that is done: to a snapshot it was there from the beginning.
 */
import type { Key } from '#core/functions/functions.js'
import { keysEqual } from '#core/serialization/key-hash.js'
import { BlockKind } from './chunk-format.js'
import type { KeyedStateBackendOptions } from './keyed-state-backend.js'
import { PendingIndex } from './pending-index.js'
import type { RestoredBlock } from './restored-states.js'
import type { LazilyRestored } from './versioned-table.js'

export class PendingRows {
  readonly #index: PendingIndex
  /** By block: its first row. */
  readonly #firstRows: Int32Array
  /** The walk goes from the last to the first, and lets go of the bytes. */
  readonly #blocks: RestoredBlock[]

  constructor(
    private readonly table: LazilyRestored,
    blocks: readonly RestoredBlock[],
    options: Pick<KeyedStateBackendOptions, 'keyGroups' | 'maxParallelism' | 'memory'>,
  ) {
    this.#blocks = [...blocks]
    this.#firstRows = new Int32Array(blocks.length)
    let rows = 0
    blocks.forEach(({ count }, i) => {
      this.#firstRows[i] = rows
      rows += count
    })
    const hashes = new Int32Array(rows)
    blocks.forEach((block, i) => {
      block.readHashes(hashes, this.#firstRows[i])
    })
    this.#index = new PendingIndex(hashes, options, options.memory)
    table.restoreExpect(this.#index.hashCount)
  }
  /** Pending ones. */
  get hashCount(): number {
    return this.#index.hashCount
  }
  apply(hash: number): void {
    const newest = this.#index.take(hash)
    if (newest >= 0) this.#apply(newest, hash)
  }
  /** Goes on with the walk, by a block. */
  step(): void {
    const block = this.#blocks.at(-1)
    if (block === undefined) return
    const hashes = block.readHashes()
    this.#index.touch(hashes)
    let isDecoded = false
    for (let i = 0; i < hashes.length; i++) {
      const newest = this.#index.take(hashes[i]!)
      if (newest < 0) continue // Applied, or another subtask's.
      if (!isDecoded) {
        block.decodeAll()
        this.table.restoreTouch(hashes)
        isDecoded = true
      }
      this.#apply(newest, hashes[i]!)
    }
    this.#blocks.pop()
  }
  #apply(newest: number, hash: number): void {
    const older = this.#index.olderThan(newest)
    if (older < 0) this.#applyRow(newest, hash, undefined)
    else {
      const seen: Key[] = []
      for (let row = newest; row >= 0; row = this.#index.olderThan(row)) this.#applyRow(row, hash, seen)
    }
  }
  /** `seen`: keys of newer rows; undefined where there are no other rows. */
  #applyRow(row: number, hash: number, seen: Key[] | undefined): void {
    const index = this.#blockOf(row)
    const block = this.#blocks[index]!
    const at = row - this.#firstRows[index]!
    const key = block.keyAt(at) as Key
    if (seen !== undefined) {
      if (seen.some((other) => keysEqual(other, key))) return
      seen.push(key)
    }
    if (block.kind === BlockKind.Put) this.table.restoreInsert(key, hash, block.valueAt(at))
  }
  #blockOf(row: number): number {
    const firstRows = this.#firstRows
    let low = 0
    let high = this.#blocks.length - 1
    if (row >= firstRows[high]!) return high // Where the walk is.
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (firstRows[middle]! <= row) low = middle
      else high = middle - 1
    }
    return low
  }
}
