/** Random operations on a backend's states, and plain Maps that say what they come to. */
import type { Key } from '#core/functions/functions.js'
import { between, pick, type Random } from '#core/random.js'
import { keyHash } from '#core/serialization/key-hash.js'
import { listState, mapState, type StateDescriptor, valueState } from '#core/state/state.js'
import type { HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'

export interface Oracle {
  count: Map<string, number>
  row: Map<string, { n: number; tags: string[] }>
  list: Map<string, unknown[]>
  map: Map<string, [string, number][]>
  timers: Map<string, number[]>
  windows: Map<string, number>
}
export const emptyOracle = (): Oracle => ({
  count: new Map(),
  row: new Map(),
  list: new Map(),
  map: new Map(),
  timers: new Map(),
  windows: new Map(),
})

const count = valueState('count', { initial: 0 })
const row = valueState('row', { initial: { n: 0, tags: [] as string[] } })
const list = listState<unknown>('list')
const map = mapState<string, number>('map')

export const nameOf = (key: Key) => `${typeof key}:${typeof key === 'object' ? JSON.stringify(key) : String(key)}`

export function keysOf(size: number): Key[] {
  return Array.from({ length: size }, (_, i): Key => {
    if (i % 7 === 0) return i
    if (i % 7 === 1) return [`tuple-${i}`, i, i % 2 === 0]
    if (i % 7 === 2) return BigInt(i) ** 20n
    return `key-žlutý-${i}`.repeat(1 + (i % 3))
  })
}

export class Model {
  watermark = 0
  readonly windows
  constructor(
    readonly backend: HeapKeyedStateBackend,
    readonly random: Random,
    readonly keys: readonly Key[],
    readonly oracle = emptyOracle(),
    readonly hashOf = keyHash,
  ) {
    for (const descriptor of [count, row, list, map] as StateDescriptor<unknown>[]) backend.state(descriptor)
    this.windows = backend.namespacedTables('w')
  }
  act(): void {
    const key = pick(this.random, this.keys)
    const name = nameOf(key)
    this.backend.setCurrentKey(key, this.hashOf(key))
    const actions = [this.#count, this.#row, this.#list, this.#map, this.#timers, this.#windowed]
    pick(this.random, actions).call(this, key, name)
    if (this.random.next() < 0.02) this.#advance()
  }
  #count(_key: Key, name: string): void {
    const state = this.backend.state(count)
    const { count: model } = this.oracle
    if (this.random.next() < 0.2) {
      state.clear()
      model.delete(name)
    } else {
      state.value += 1.5
      model.set(name, (model.get(name) ?? 0) + 1.5)
    }
  }
  #row(_key: Key, name: string): void {
    const state = this.backend.state(row)
    const { row: model } = this.oracle
    const chance = this.random.next()
    if (chance < 0.2) {
      state.clear()
      model.delete(name)
    } else if (chance < 0.6) {
      const edited = state.edit()
      edited.n++
      edited.tags.push(`tag ${edited.n} of a certain length`)
      const old = model.get(name) ?? { n: 0, tags: [] }
      model.set(name, { n: old.n + 1, tags: [...old.tags, `tag ${old.n + 1} of a certain length`] })
    } else {
      const n = between(this.random, 0, 1000)
      state.value = { n, tags: [] }
      model.set(name, { n, tags: [] })
    }
  }
  #list(_key: Key, name: string): void {
    const state = this.backend.state(list)
    const { list: model } = this.oracle
    if (this.random.next() < 0.3) {
      state.update([])
      model.delete(name)
    } else {
      state.addAll([1, 'x', { a: null }])
      model.set(name, [...(model.get(name) ?? []), 1, 'x', { a: null }])
    }
  }
  #map(_key: Key, name: string): void {
    const state = this.backend.state(map)
    const { map: model } = this.oracle
    const field = `f${between(this.random, 0, 4)}`
    const entries = new Map(model.get(name))
    if (this.random.next() < 0.4) {
      state.delete(field)
      entries.delete(field)
    } else {
      state.set(field, (state.get(field) ?? 0) + 1)
      entries.set(field, (entries.get(field) ?? 0) + 1)
    }
    if (entries.size === 0) model.delete(name)
    else model.set(name, [...entries])
  }
  #timers(_key: Key, name: string): void {
    const { timers: model } = this.oracle
    const at = this.watermark + between(this.random, 1, 50)
    const times = new Set(model.get(name))
    if (this.random.next() < 0.3) {
      this.backend.timers.deleteEventTime(at)
      times.delete(at)
    } else {
      this.backend.timers.registerEventTime(at)
      times.add(at)
    }
    if (times.size === 0) model.delete(name)
    else
      model.set(
        name,
        [...times].sort((a, b) => a - b),
      )
  }
  #windowed(key: Key, name: string): void {
    const start = between(this.random, 0, 5) * 100
    const id = `${start} ${name}`
    if (this.random.next() < 0.03) {
      this.windows.drop(start)
      for (const other of this.oracle.windows.keys()) if (other.startsWith(`${start} `)) this.oracle.windows.delete(other)
      return
    }
    const table = this.windows.tableFor(start)
    const entry = table.find(key, this.hashOf(key))
    if (entry === undefined) table.insert(key, this.hashOf(key), 1)
    else {
      if (entry.epoch !== table.epoch) table.touch(entry)
      entry.value = (entry.value as number) + 1
    }
    this.oracle.windows.set(id, (this.oracle.windows.get(id) ?? 0) + 1)
  }
  #advance(): void {
    this.watermark += between(this.random, 1, 20)
    const { timers: model } = this.oracle
    this.backend.timers.advanceWatermark(this.watermark, (timestamp) => {
      const name = nameOf(this.backend.currentKey)
      const [first, ...others] = model.get(name)!
      if (first !== timestamp) throw new Error(`${name} fired at ${timestamp} instead of ${first}`)
      if (others.length === 0) model.delete(name)
      else model.set(name, others)
    })
    for (const [name, times] of model) if (times[0]! <= this.watermark) throw new Error(`${name} did not fire`)
  }
  /** What the backend holds now; fires all timers. */
  content(): Oracle {
    const { backend, windows } = this
    const content = emptyOracle()
    const states = { count: backend.state(count), row: backend.state(row), list: backend.state(list), map: backend.state(map) }
    backend.declared()
    for (const key of this.keys) {
      const name = nameOf(key)
      backend.setCurrentKey(key, this.hashOf(key))
      if (states.count.value !== 0) content.count.set(name, states.count.value)
      if (states.row.value.n !== 0 || states.row.value.tags.length > 0) content.row.set(name, states.row.value as never)
      if ([...states.list].length > 0) content.list.set(name, [...states.list])
      if (!states.map.isEmpty) content.map.set(name, [...states.map])
      for (const [start, table] of windows.tables) {
        const entry = table.find(key, this.hashOf(key))
        if (entry) content.windows.set(`${start} ${name}`, entry.value as number)
      }
    }
    backend.timers.advanceWatermark(Infinity, (timestamp) => {
      const name = nameOf(backend.currentKey)
      content.timers.set(name, [...(content.timers.get(name) ?? []), timestamp])
    })
    return content
  }
}

/** Without what equals its initial value, and in an order of its own. */
export function normal(oracle: Oracle): Record<string, [string, unknown][]> {
  const sorted = (entries: Map<string, unknown>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
  const sortedMaps = new Map([...oracle.map].map(([name, entries]) => [name, [...entries].sort(([a], [b]) => (a < b ? -1 : 1))]))
  const rows = new Map([...oracle.row].filter(([, value]) => value.n !== 0 || value.tags.length > 0))
  return {
    count: sorted(new Map([...oracle.count].filter(([, value]) => value !== 0))),
    row: sorted(rows),
    list: sorted(oracle.list),
    map: sorted(sortedMaps),
    timers: sorted(oracle.timers),
    windows: sorted(oracle.windows),
  }
}
