/**
 * The backend against plain Maps: random operations while snapshots are walked turn by turn, some aborted, some complete without the
 * task being told; every completed one is restored, as a whole and split over two subtasks, and compared with what there was at its barrier.
 */
import { isDeepStrictEqual } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { Key } from '#core/functions/functions.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { keyGroupOf, keyHash } from '#core/serialization/key-hash.js'
import { listState, mapState, type StateDescriptor, valueState } from '#core/state/state.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import { createKeyedStateBackend, type HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { backendOptions, MAX_PARALLELISM, MemoryChunks, restoredBackend, settle, TurnClock } from './keyed-backend-under-test.js'

interface Oracle {
  count: Map<string, number>
  row: Map<string, { n: number; tags: string[] }>
  list: Map<string, unknown[]>
  map: Map<string, [string, number][]>
  timers: Map<string, number[]>
  windows: Map<string, number>
}
const emptyOracle = (): Oracle => ({
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

const nameOf = (key: Key) => `${typeof key}:${typeof key === 'object' ? JSON.stringify(key) : String(key)}`

function keysOf(size: number): Key[] {
  return Array.from({ length: size }, (_, i): Key => {
    if (i % 7 === 0) return i
    if (i % 7 === 1) return [`tuple-${i}`, i, i % 2 === 0]
    if (i % 7 === 2) return BigInt(i) ** 20n
    return `key-žlutý-${i}`.repeat(1 + (i % 3))
  })
}

class Model {
  oracle = emptyOracle()
  watermark = 0
  readonly windows
  constructor(
    readonly backend: HeapKeyedStateBackend,
    readonly random: Random,
    readonly keys: readonly Key[],
  ) {
    for (const descriptor of [count, row, list, map] as StateDescriptor<unknown>[]) backend.state(descriptor)
    this.windows = backend.namespacedTables('w')
  }
  act(): void {
    const key = pick(this.random, this.keys)
    const name = nameOf(key)
    this.backend.setCurrentKey(key, keyHash(key))
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
    const entry = table.find(key, keyHash(key))
    if (entry === undefined) table.insert(key, keyHash(key), 1)
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
}

function contentOf(backend: HeapKeyedStateBackend, keys: readonly Key[]): Oracle {
  const content = emptyOracle()
  const states = { count: backend.state(count), row: backend.state(row), list: backend.state(list), map: backend.state(map) }
  const windows = backend.namespacedTables('w')
  backend.declared()
  for (const key of keys) {
    const name = nameOf(key)
    backend.setCurrentKey(key, keyHash(key))
    if (states.count.value !== 0) content.count.set(name, states.count.value)
    if (states.row.value.n !== 0 || states.row.value.tags.length > 0) content.row.set(name, states.row.value as never)
    if ([...states.list].length > 0) content.list.set(name, [...states.list])
    if (!states.map.isEmpty) content.map.set(name, [...states.map])
    for (const [start, table] of windows.tables) {
      const entry = table.find(key, keyHash(key))
      if (entry) content.windows.set(`${start} ${name}`, entry.value as number)
    }
  }
  backend.timers.advanceWatermark(Infinity, (timestamp) => {
    const name = nameOf(backend.currentKey)
    content.timers.set(name, [...(content.timers.get(name) ?? []), timestamp])
  })
  return content
}

/** Without what equals its initial value, and in an order of its own. */
function normal(oracle: Oracle): Record<string, [string, unknown][]> {
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

async function history(seed: number, size: number) {
  const random = seededRandom(seed)
  const clock = new TurnClock()
  const chunks = new MemoryChunks()
  const keys = keysOf(size)
  const model = new Model(createKeyedStateBackend(backendOptions({ clock, chunks })), random, keys)
  const completed: { id: number; refs: readonly ChunkRef[]; oracle: ReturnType<typeof normal> }[] = []
  for (let id = 1; id <= 12; id++) {
    for (let i = between(random, 0, size); i > 0; i--) model.act()
    const oracle = structuredClone(normal(model.oracle))
    const { done } = model.backend.snapshot(id)
    const outcome = random.next()
    const turns = between(random, 0, 30)
    for (let turn = 0; turn < turns; turn++) {
      for (let i = between(random, 0, 40); i > 0; i--) model.act()
      clock.turn()
    }
    if (outcome < 0.15) {
      model.backend.notifyCheckpointAborted(id)
      for (const blob of chunks.blobs.keys()) if (blob.startsWith(`chunk/job/${id}/`)) chunks.blobs.delete(blob)
    } else if (outcome > 0.2) {
      // Otherwise the next barrier comes while this one is walked.
      await settle(clock)
      completed.push({ id, refs: (await done).chunks, oracle })
      if (outcome < 0.8) model.backend.notifyCheckpointComplete(id)
    }
    await settleSome(random, clock)
  }
  return { keys, chunks, completed }
}
async function settleSome(random: Random, clock: TurnClock) {
  for (let i = between(random, 0, 5); i > 0; i--) clock.turn()
}

test('every completed checkpoint restores what there was at its barrier', async (t) => {
  let deltas = 0
  for (let seed = 1; seed <= 14; seed++) {
    const { keys, chunks, completed } = await history(seed, seed % 12 === 0 ? 1_500 : 60)
    for (const { id, refs, oracle } of completed) {
      const restored = await restoredBackend(chunks, refs)
      equal(t, normal(contentOf(restored, keys)), oracle, `seed ${seed}, checkpoint ${id}`)
      if (refs.some((ref) => !ref.blob.startsWith(`chunk/job/${id}/`))) deltas++
    }
    const last = completed.at(-1)
    if (last) await splitRestoresAll(t, keys, chunks, last.refs, last.oracle)
  }
  t.true(deltas > 12, `${deltas} of them were deltas`)
})

/** The comparison of ava also explains, which takes its time. */
function equal(t: ExecutionContext, actual: unknown, expected: unknown, message: string): void {
  if (isDeepStrictEqual(actual, expected)) t.pass()
  else t.deepEqual(actual, expected, message)
}

async function splitRestoresAll(
  t: ExecutionContext,
  keys: readonly Key[],
  chunks: MemoryChunks,
  refs: readonly ChunkRef[],
  oracle: Record<string, [string, unknown][]>,
) {
  const cut = 50
  const inRange = (key: Key, [from, to]: readonly [number, number]) => {
    const group = keyGroupOf(keyHash(key), MAX_PARALLELISM)
    return group >= from && group < to
  }
  for (const keyGroups of [
    [0, cut],
    [cut, MAX_PARALLELISM],
  ] as const) {
    const content = normal(contentOf(await restoredBackend(chunks, refs, { keyGroups }), keys))
    const own = new Set(keys.filter((key) => inRange(key, keyGroups)).map(nameOf))
    const expected = Object.fromEntries(
      Object.entries(oracle).map(([state, entries]) => [
        state,
        entries.filter(([name]) => own.has(state === 'windows' ? name.slice(name.indexOf(' ') + 1) : name)),
      ]),
    )
    equal(t, content, expected, 'split')
  }
}
