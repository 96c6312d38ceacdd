/** List and map state: one entry a key, whose value is the whole collection. An empty collection has no entry. */
import type { CurrentKey } from './current-key.js'
import type { Entry, EntryTable } from './entry-table.js'
import { retained } from './retain.js'

/** Finds the current key's entry, once a key. */
class KeyedEntry {
  #serial = -1
  #entry: Entry | undefined
  constructor(
    readonly table: EntryTable,
    readonly current: CurrentKey,
  ) {}
  find(): Entry | undefined {
    if (this.#serial !== this.current.serial) {
      this.current.check()
      this.#entry = this.table.find(this.current.key, this.current.hash)
      this.#serial = this.current.serial
    }
    return this.#entry
  }
  /** To be changed. */
  touch(): Entry | undefined {
    const entry = this.find()
    if (entry !== undefined && entry.epoch !== this.table.epoch) this.table.touch(entry)
    return entry
  }
  put(value: unknown): void {
    const entry = this.touch()
    if (entry === undefined) this.#entry = this.table.insert(this.current.key, this.current.hash, value)
    else entry.value = value
  }
  clear(): void {
    const entry = this.find()
    if (entry === undefined) return
    this.table.remove(entry)
    this.#entry = undefined
  }
}

export class HeapListState {
  readonly #entry: KeyedEntry
  constructor(table: EntryTable, current: CurrentKey) {
    this.#entry = new KeyedEntry(table, current)
  }
  add(value: unknown): void {
    const entry = this.#entry.touch()
    if (entry === undefined) this.#entry.put([retained(value)])
    else (entry.value as unknown[]).push(retained(value))
  }
  addAll(values: Iterable<unknown>): void {
    for (const value of values) this.add(value)
  }
  update(values: Iterable<unknown>): void {
    const list = Array.from(values, (value) => retained(value))
    if (list.length === 0) this.#entry.clear()
    else this.#entry.put(list)
  }
  clear(): void {
    this.#entry.clear()
  }
  [Symbol.iterator](): Iterator<unknown> {
    const list = (this.#entry.find()?.value ?? []) as unknown[]
    return list[Symbol.iterator]()
  }
}

export class HeapMapState {
  readonly #entry: KeyedEntry
  constructor(table: EntryTable, current: CurrentKey) {
    this.#entry = new KeyedEntry(table, current)
  }
  get(key: unknown): unknown {
    return this.#map()?.get(key)
  }
  has(key: unknown): boolean {
    return this.#map()?.has(key) ?? false
  }
  get isEmpty(): boolean {
    return this.#map() === undefined
  }
  set(key: unknown, value: unknown): void {
    const entry = this.#entry.touch()
    if (entry === undefined) this.#entry.put(new Map([[retained(key), retained(value)]]))
    else (entry.value as Map<unknown, unknown>).set(retained(key), retained(value))
  }
  edit(key: unknown): unknown {
    if (!this.has(key)) return undefined
    return (this.#entry.touch()!.value as Map<unknown, unknown>).get(key)
  }
  delete(key: unknown): void {
    const map = this.#map()
    if (map === undefined || !map.has(key)) return
    if (map.size === 1) this.#entry.clear()
    else (this.#entry.touch()!.value as Map<unknown, unknown>).delete(key)
  }
  clear(): void {
    this.#entry.clear()
  }
  [Symbol.iterator](): Iterator<[unknown, unknown]> {
    return (this.#map() ?? new Map<unknown, unknown>())[Symbol.iterator]()
  }
  #map(): Map<unknown, unknown> | undefined {
    return this.#entry.find()?.value as Map<unknown, unknown> | undefined
  }
}
