/** The tables of one state: one, or one a namespace (a window) that comes and goes as a whole. */

import type { StateSchema } from './chunk-format.js'
import { type EntryTable, type EntryTableClass, entryTableClass } from './entry-table.js'
import type { EagerlyRestored, VersionedTable, Versions } from './versioned-table.js'

/** Of states that have no namespaces. */
export const NO_WINDOW = NaN

interface Drop {
  readonly epoch: number
  readonly namespace: number
}

export interface TableFamily {
  readonly schema: StateSchema
  readonly tables: ReadonlyMap<number, VersionedTable>
  drop(namespace: number): void
  /** Namespaces dropped after this epoch. */
  dropsSince(epoch: number): readonly number[]
  forgetDrops(epoch: number): void
  readonly changeCount: number
}

/** What a namespace's restored entries go into. */
export interface EagerFamily extends TableFamily {
  tableFor(namespace: number): EagerlyRestored
}

export class SingleTable<T extends VersionedTable> implements TableFamily {
  readonly tables: ReadonlyMap<number, VersionedTable>
  constructor(
    readonly schema: StateSchema,
    private readonly table: T,
  ) {
    this.tables = new Map([[NO_WINDOW, table]])
  }
  tableFor(): T {
    return this.table
  }
  drop(): void {}
  dropsSince(): readonly number[] {
    return []
  }
  forgetDrops(): void {}
  get changeCount(): number {
    return this.table.changeCount
  }
}

/** A table a namespace. A window that fires is dropped in one step, whatever it holds; a walk goes on reading the dropped table. */
export class NamespacedTables implements TableFamily {
  readonly tables = new Map<number, EntryTable>()
  readonly #tableClass: EntryTableClass
  #drops: Drop[] = []
  /** Entries of the last dropped table: what a new one may expect. */
  #expected = 0

  constructor(
    readonly schema: StateSchema,
    private readonly versions: Versions,
    stateId: string,
  ) {
    this.#tableClass = entryTableClass(stateId)
  }
  get(namespace: number): EntryTable | undefined {
    return this.tables.get(namespace)
  }
  tableFor(namespace: number): EntryTable {
    let table = this.tables.get(namespace)
    if (table === undefined) {
      table = new this.#tableClass(this.versions, this.#expected)
      this.tables.set(namespace, table)
    }
    return table
  }
  drop(namespace: number): void {
    const table = this.tables.get(namespace)
    if (table === undefined) return
    this.#expected = Math.min(table.count, EXPECTED_MAX)
    this.tables.delete(namespace)
    if (this.versions.tracking) this.#drops.push({ epoch: this.versions.epoch, namespace })
  }
  dropsSince(epoch: number): readonly number[] {
    return this.#drops.filter((drop) => drop.epoch > epoch).map((drop) => drop.namespace)
  }
  forgetDrops(epoch: number): void {
    this.#drops = this.#drops.filter((drop) => drop.epoch > epoch)
  }
  get changeCount(): number {
    let sum = this.#drops.length
    for (const table of this.tables.values()) sum += table.changeCount
    return sum
  }
}

const EXPECTED_MAX = 100_000
