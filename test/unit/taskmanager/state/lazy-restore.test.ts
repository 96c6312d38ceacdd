/**
 * A job's state through generations: each restores what the one before had completed last, goes on with random operations while rows are
 * still pending, takes snapshots meanwhile, and ends. What a restored backend holds is compared with plain Maps twice: with every row
 * applied because its key came, and with every row applied by the walk. Few hashes: keys share them.
 */
import { isDeepStrictEqual } from 'node:util'
import { crc32 } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import type { Key } from '#core/functions/functions.js'
import { between, type Random, seededRandom } from '#core/random.js'
import { keyGroupOf, keyHash } from '#core/serialization/key-hash.js'
import { valueState } from '#core/state/state.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { backendOptions, MAX_PARALLELISM, MemoryChunks, settle, subtaskState, TurnClock } from './keyed-backend-under-test.js'
import { emptyOracle, keysOf, Model, nameOf, normal, type Oracle } from './keyed-model.js'

type KeyGroups = readonly [number, number]
const ALL: KeyGroups = [0, MAX_PARALLELISM]
const CUT = 50
/** Subtasks before and after: one, or two that split the key groups. */
const RANGES: readonly (readonly KeyGroups[])[] = [
  [ALL],
  [
    [0, CUT],
    [CUT, MAX_PARALLELISM],
  ],
]

interface Completed {
  readonly states: readonly SubtaskState[]
  readonly oracle: Oracle
}
interface World {
  readonly random: Random
  readonly chunks: MemoryChunks
  readonly keys: readonly Key[]
  readonly hashOf: (key: Key) => number
  checkpointId: number
  /** Barriers that met pending rows. */
  barriersWhilePending: number
}

const isIn = (hash: number, [from, to]: KeyGroups) => {
  const group = keyGroupOf(hash, MAX_PARALLELISM)
  return group >= from && group < to
}

async function restored(world: World, states: readonly SubtaskState[], keyGroups: KeyGroups, clock: TurnClock) {
  const attemptId = `attempt ${world.checkpointId} ${keyGroups}`
  const backend = createKeyedStateBackend(backendOptions({ clock, chunks: world.chunks, keyGroups, attemptId }))
  await backend.restore(states)
  return backend
}

/** One subtask, from a completed checkpoint up to the last one that it completes. */
async function subtask(world: World, from: Completed, keyGroups: KeyGroups): Promise<{ state: SubtaskState; oracle: Oracle } | undefined> {
  const { random, hashOf } = world
  const clock = new TurnClock()
  const keys = world.keys.filter((key) => isIn(hashOf(key), keyGroups))
  const model = new Model(
    await restored(world, from.states, keyGroups, clock),
    random,
    keys,
    ownPart(world, from.oracle, keyGroups),
    hashOf,
  )
  let last: { state: SubtaskState; oracle: Oracle } | undefined
  const operations = () => {
    for (let i = between(random, 0, 2 * keys.length); i > 0; i--) {
      model.act()
      if (random.next() < 0.05) clock.turn()
    }
  }
  for (let snapshots = between(random, 1, 4); snapshots > 0; snapshots--) {
    operations()
    const id = ++world.checkpointId
    const oracle = structuredClone(model.oracle)
    if (model.backend.isRestoring) world.barriersWhilePending++
    const { done } = model.backend.snapshot(id)
    if (random.next() < 0.5) operations()
    const outcome = random.next()
    if (outcome < 0.2) model.backend.notifyCheckpointAborted(id)
    if (outcome < 0.4) continue // The next barrier comes while this one is walked.
    await settle(clock)
    last = { state: subtaskState((await done).chunks), oracle }
    if (outcome < 0.8) model.backend.notifyCheckpointComplete(id)
  }
  model.backend.close()
  return last
}

function ownPart({ keys, hashOf }: World, oracle: Oracle, keyGroups: KeyGroups): Oracle {
  const own = new Set(keys.filter((key) => isIn(hashOf(key), keyGroups)).map(nameOf))
  const part = structuredClone(oracle)
  for (const state of Object.values(part) as Map<string, unknown>[])
    for (const name of [...state.keys()])
      if (!own.has(state === part.windows ? name.slice(name.indexOf(' ') + 1) : name)) state.delete(name)
  return part
}
function merged(oracles: readonly Oracle[]): Oracle {
  const all = emptyOracle()
  for (const oracle of oracles)
    for (const name of Object.keys(all) as (keyof Oracle)[])
      for (const [key, value] of oracle[name] as Map<string, never>) (all[name] as Map<string, never>).set(key, value)
  return all
}

/** A subtask that completed none would begin from where it did: then the job has completed none. */
async function generation(world: World, from: Completed, ranges: readonly KeyGroups[]): Promise<Completed> {
  const parts: { state: SubtaskState; oracle: Oracle }[] = []
  for (const keyGroups of ranges) {
    const part = await subtask(world, from, keyGroups)
    if (part === undefined) return from
    parts.push(part)
  }
  return { states: parts.map(({ state }) => state), oracle: merged(parts.map(({ oracle }) => oracle)) }
}

async function compare(t: ExecutionContext, world: World, { states, oracle }: Completed, message: string): Promise<void> {
  for (const keyGroups of RANGES.flat())
    for (const by of ['keys', 'walk'] as const) {
      const clock = new TurnClock()
      const backend = await restored(world, states, keyGroups, clock)
      const model = new Model(backend, seededRandom(1), world.keys, emptyOracle(), world.hashOf)
      if (by === 'walk') {
        await settle(clock)
        if (backend.isRestoring) t.fail(`${message}: rows are left`)
      }
      const content = normal(model.content())
      const expected = normal(ownPart(world, oracle, keyGroups))
      if (!isDeepStrictEqual(content, expected)) t.deepEqual(content, expected, `${message}, key groups ${keyGroups}, applied by ${by}`)
    }
}
test('what a restored backend holds does not depend on who decodes it, nor on what happens meanwhile', async (t) => {
  let barriersWhilePending = 0
  let rescaled = 0
  for (let seed = 1; seed <= 15; seed++) {
    const random = seededRandom(seed)
    const hashCount = seed % 3 === 0 ? 16 : 2 ** 31
    const world: World = {
      random,
      chunks: new MemoryChunks(),
      keys: keysOf(seed % 10 === 0 ? 2_000 : 60),
      hashOf: (key) => keyHash(key) % hashCount,
      checkpointId: 0,
      barriersWhilePending: 0,
    }
    let completed: Completed = { states: [], oracle: emptyOracle() }
    for (let i = 0; i < 6; i++) {
      const before = completed.states.length
      completed = await generation(world, completed, RANGES[between(random, 0, 2)]!)
      if (before > 0 && completed.states.length !== before) rescaled++
      await compare(t, world, completed, `seed ${seed}, generation ${i}`)
    }
    barriersWhilePending += world.barriersWhilePending
  }
  t.true(barriersWhilePending > 10, `${barriersWhilePending}`)
  t.true(rescaled > 10, `${rescaled}`)
})

const text = valueState('text', { initial: '' })
const ENTRIES = 20_000
const keyOf = (i: number) => `key ${i}`

/** A base of many blocks. */
async function base(descriptor = text) {
  const clock = new TurnClock()
  const chunks = new MemoryChunks()
  const backend = createKeyedStateBackend(backendOptions({ clock, chunks }))
  const state = backend.state(descriptor)
  for (let i = 0; i < ENTRIES; i++) {
    backend.setCurrentKey(keyOf(i), keyHash(keyOf(i)))
    state.value = `value ${i}`
  }
  const { done } = backend.snapshot(1)
  await settle(clock)
  return { chunks, refs: (await done).chunks }
}
async function reopened(chunks: MemoryChunks, refs: readonly ChunkRef[], overrides: Parameters<typeof backendOptions>[0] = {}) {
  const clock = new TurnClock()
  const backend = createKeyedStateBackend(backendOptions({ clock, chunks, attemptId: 'second', ...overrides }))
  await backend.restore([subtaskState(refs)])
  const state = backend.state(text)
  const at = (i: number) => {
    backend.setCurrentKey(keyOf(i), keyHash(keyOf(i)))
    return state
  }
  return { clock, backend, at }
}

test('a key is there at once, all others turn by turn; each counts once, whoever decodes it', async (t) => {
  const { chunks, refs } = await base()
  const { clock, backend, at } = await reopened(chunks, refs)
  t.is(backend.entryCount, ENTRIES)
  for (const i of [0, 7_777, ENTRIES - 1]) t.is(at(i).value, `value ${i}`)
  backend.prefetch(
    Int32Array.from({ length: 100 }, (_, i) => keyHash(keyOf(i))),
    100,
  )
  t.is(backend.entryCount, ENTRIES)
  let turns = 0
  for (; backend.isRestoring; turns++) clock.turn()
  t.true(turns > 3, `${turns}`)
  t.is(backend.entryCount, ENTRIES)
  t.is(at(12_345).value, 'value 12345')
})

test('a barrier does not wait for the rows that are pending; they are in its snapshot as they were, whatever becomes of them', async (t) => {
  const { chunks, refs } = await base()
  const { clock, backend, at } = await reopened(chunks, refs)
  at(1).value = 'before'
  at(2).clear()
  const { done } = backend.snapshot(2)
  t.true(backend.isRestoring)
  at(1).value = 'after'
  at(3).value = 'after'
  at(4).clear()
  at(ENTRIES).value = 'new'
  await settle(clock)
  backend.notifyCheckpointComplete(2)
  const later = backend.snapshot(3)
  await settle(clock)
  const [second, third] = [(await done).chunks, (await later.done).chunks]
  const seen = async (keyed: readonly ChunkRef[]) => {
    const other = await reopened(chunks, keyed, { attemptId: 'third' })
    return { count: other.backend.entryCount, values: [1, 2, 3, 4, 5, ENTRIES].map((i) => other.at(i).value) }
  }
  t.deepEqual(await seen(second), { count: ENTRIES - 1, values: ['before', '', 'value 3', 'value 4', 'value 5', ''] })
  t.deepEqual((await seen(third)).values, ['after', '', 'after', '', 'value 5', 'new'])
  t.true(third.length > second.length, 'a delta')
})

test('rows that can not be decoded fail the task with a key of theirs, or else between records; no snapshot is taken then', async (t) => {
  const { chunks, refs } = await base()
  const [ref] = refs as [ChunkRef]
  const bytes = chunks.blobs.get(ref.blob)!
  const tag = Buffer.from(bytes).indexOf(Buffer.from('key 0key 1')) - 1 - 4 * 1_024
  t.is(bytes[tag], 2)
  bytes[tag] = 99 // The tag of the first block's keys: of what was written so, and arrived whole.
  const damaged = [{ ...ref, crc32: crc32(bytes) }, ...refs.slice(1)]
  const byKey = await reopened(chunks, damaged)
  t.is(byKey.at(ENTRIES - 1).value, `value ${ENTRIES - 1}`)
  const refusal = { code: 'CHECKPOINT_NOT_RESTORABLE', message: new RegExp(ref.blob) }
  t.throws(() => byKey.at(0), refusal)
  t.throws(() => byKey.at(0), refusal, 'also the next time')

  const failures: unknown[] = []
  const byWalk = await reopened(chunks, damaged, { fail: (error) => failures.push(error) })
  const { done } = byWalk.backend.snapshot(2)
  await settle(byWalk.clock)
  t.is(failures.length, 1)
  t.throws(() => {
    throw failures[0]
  }, refusal)
  byWalk.backend.close()
  await t.throwsAsync(done, { code: 'CHECKPOINT_FAILED' })
})

test('what the tables of restored state will need is asked of the memory budget', async (t) => {
  const { chunks, refs } = await base()
  let reserved = 0
  const reserve = (bytes: number) => {
    reserved += bytes
  }
  const { backend } = await reopened(chunks, refs, { memory: { reserve } })
  t.true(reserved > 20 * ENTRIES, `${reserved}`)
  backend.close()
})

test('a closed backend takes no more turns', async (t) => {
  const { chunks, refs } = await base()
  const closed = createKeyedStateBackend(backendOptions({ chunks }))
  const restoring = closed.restore([subtaskState(refs)])
  closed.close()
  await restoring
  closed.state(text)
  t.false(closed.isRestoring, 'its task ended before the bytes had come')
  const { clock, backend } = await reopened(chunks, refs)
  backend.close()
  await settle(clock)
  t.true(backend.isRestoring)
})
