import test from 'ava'
import { FlottError } from '#core/errors.js'
import type { Key } from '#core/functions/functions.js'
import { keyHash } from '#core/serialization/key-hash.js'
import { listState, mapState, valueState } from '#core/state/state.js'
import { decodeBlock, decodeChunk } from '#taskmanager/state/chunk-format.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import type { KeyedStateBackend } from '#taskmanager/state/keyed-state-backend.js'
import { backendOptions, MemoryChunks, restoredBackend, settle, subtaskState, TurnClock } from './keyed-backend-under-test.js'

function backendWith() {
  const clock = new TurnClock()
  const chunks = new MemoryChunks()
  const backend = createKeyedStateBackend(backendOptions({ clock, chunks }))
  return { clock, chunks, backend, at: (key: Key) => backend.setCurrentKey(key, keyHash(key)) }
}
async function completed(backend: KeyedStateBackend, clock: TurnClock, id: number) {
  const { done } = backend.snapshot(id)
  await settle(clock)
  backend.notifyCheckpointComplete(id)
  return done
}
const count = valueState('count', { initial: 0 })
const texts = valueState('texts', { initial: '' })
const row = valueState('row', { initial: { tags: [] as string[] } })

test('initial values are fresh for each key; undefined clears', (t) => {
  const { backend, at } = backendWith()
  const state = backend.state(row)
  at('a')
  state.edit().tags.push('x')
  at('b')
  t.deepEqual(state.value, { tags: [] })
  at('a')
  t.deepEqual(state.value, { tags: ['x'] })
  state.value = undefined as never
  t.deepEqual(state.value, { tags: [] })
  t.is(backend.entryCount, 0)
})

test('a number state keeps what is no number, too', async (t) => {
  const { backend, chunks, clock, at } = backendWith()
  const wide = valueState<number | string | null>('wide', { initial: 0 })
  const state = backend.state(wide)
  for (const [key, value] of [
    ['a', null],
    ['b', Number.NaN],
    ['c', -0],
    ['d', 'text'],
  ] as const) {
    at(key)
    state.value = value
  }
  at('e')
  state.value = 'x'
  state.value = 5
  const { chunks: refs } = await completed(backend, clock, 1)
  for (const other of [backend, await restoredBackend(chunks, refs)]) {
    const seen = ['a', 'b', 'c', 'd', 'e'].map((key) => {
      other.setCurrentKey(key, keyHash(key))
      return other.state(wide).value
    })
    t.deepEqual(seen, [null, Number.NaN, -0, 'text', 5])
  }
})

test('keys: tuples by their parts, 0 and -0 are one, a string is no number', (t) => {
  const { backend, at } = backendWith()
  const state = backend.state(count)
  for (const key of [['a', 1], ['a', 1], 0, -0, '0', 1n, true] as Key[]) {
    at(key)
    state.value++
  }
  t.is(backend.entryCount, 5)
  at(['a', 1])
  t.is(state.value, 2)
})

test('state without a current key is an error, not a key', (t) => {
  const { backend } = backendWith()
  t.throws(() => backend.state(count).value, { code: 'INVALID_ARGUMENT' })
})

test('map and list states are gone when they are empty', (t) => {
  const { backend, at } = backendWith()
  at('a')
  const map = backend.state(mapState<string, { n: number }>('map'))
  t.true(map.isEmpty)
  map.set('x', { n: 1 })
  map.edit('x')!.n++
  t.is(map.edit('y'), undefined)
  t.deepEqual([...map], [['x', { n: 2 }]])
  map.delete('x')
  const list = backend.state(listState<number>('list'))
  list.addAll([1, 2])
  t.deepEqual([...list], [1, 2])
  list.update([])
  t.is(backend.entryCount, 0)
})

test('timers: one a key and time stamp, in order, also when registered while firing, up to the end of time', (t) => {
  const { backend, at } = backendWith()
  const { timers } = backend
  at('a')
  for (const time of [30, 10, 10, 20, Number.MAX_SAFE_INTEGER]) timers.registerEventTime(time)
  at('b')
  timers.registerEventTime(10)
  timers.registerEventTime(15)
  timers.deleteEventTime(15)
  const fired: string[] = []
  const fire = (timestamp: number) => {
    fired.push(`${backend.currentKey} ${timestamp}`)
    if (timestamp === 20) timers.registerEventTime(5) // Overdue at once.
    if (timestamp === 10 && backend.currentKey === 'a') timers.registerEventTime(10)
  }
  let again = 0
  timers.advanceWatermark(25, (timestamp) => {
    if (timestamp === 10 && again++ > 2) return void fired.push('again')
    fire(timestamp)
  })
  t.deepEqual(fired, ['a 10', 'b 10', 'a 10', 'again', 'a 20', 'a 5'])
  fired.length = 0
  timers.advanceWatermark(Infinity, fire)
  t.deepEqual(fired, ['a 30', `a ${Number.MAX_SAFE_INTEGER}`])
})

test('a timer deleted by another one of its time stamp does not fire', (t) => {
  const { backend, at } = backendWith()
  for (const key of ['a', 'b']) {
    at(key)
    backend.timers.registerProcessingTime(5)
  }
  t.is(backend.timers.nextProcessingTime, 5)
  const fired: unknown[] = []
  backend.timers.advanceProcessingTime(5, (_time, domain) => {
    fired.push([backend.currentKey, domain])
    at('b')
    backend.timers.deleteProcessingTime(5)
  })
  t.deepEqual(fired, [['a', 'processing-time']])
  t.is(backend.timers.nextProcessingTime, undefined)
})

test('a delta holds what was touched since the checkpoint that was told complete', async (t) => {
  const { backend, chunks, clock, at } = backendWith()
  const state = backend.state(count)
  for (let i = 0; i < 5_000; i++) {
    at(`key-${i}`)
    state.value = i + 1
  }
  const base = await completed(backend, clock, 1)
  t.is(base.checkpointedBytes, base.stateBytes)
  at('key-7')
  state.value = 70
  const untold = backend.snapshot(2)
  await settle(clock)
  await untold.done
  at('key-8')
  state.clear()
  const delta = await completed(backend, clock, 3)
  t.true(delta.checkpointedBytes < base.checkpointedBytes / 20)
  t.false(delta.chunks.some(({ blob }) => blob.includes('/2/')))
  const restored = await restoredBackend(chunks, delta.chunks)
  const values = ['key-6', 'key-7', 'key-8'].map((key) => {
    restored.setCurrentKey(key, keyHash(key))
    return restored.state(count).value
  })
  t.deepEqual(values, [7, 70, 0])
})

for (const before of ['base', 'delta'] as const)
  test(`an entry is once in a ${before}, as it was at the barrier, whether it changes before or after the walk has come to it`, async (t) => {
    const { backend, clock, chunks, at } = backendWith()
    const state = backend.state(row)
    const key = (i: number) => `key ${i}`
    const tagAll = (from: number, to: number, tag: string) => {
      for (let i = from; i < to; i++) {
        at(key(i))
        state.edit().tags.push(tag)
      }
    }
    tagAll(0, 10_000, 'a')
    if (before === 'delta') {
      await completed(backend, clock, 1)
      tagAll(0, 10_000, 'b')
      void backend.snapshot(2)
      clock.turn()
      backend.notifyCheckpointAborted(2)
      tagAll(5_000, 7_000, 'c') // In two lists, of which only the later one counts.
    }
    const { done } = backend.snapshot(3)
    clock.turn()
    for (let i = 0; i < 10_000; i += 100) tagAll(i, i + 1, 'later')
    await settle(clock)
    const { chunks: refs } = await done
    const puts: unknown[] = []
    for (const { blob } of refs.filter((ref) => ref.blob.startsWith('chunk/job/3/')))
      for (const block of decodeChunk(chunks.blobs.get(blob)!).blocks) puts.push(...decodeBlock(block).keys)
    t.is(puts.length, 10_000)
    t.is(new Set(puts).size, 10_000)
    const tags = (i: number) => (before === 'base' ? ['a'] : i >= 5_000 && i < 7_000 ? ['a', 'b', 'c'] : ['a', 'b'])
    const other = await restoredBackend(chunks, refs)
    const wrong = Array.from({ length: 10_000 }, (_, i) => i).filter((i) => {
      other.setCurrentKey(key(i), keyHash(key(i)))
      return other.state(row).value.tags.join() !== tags(i).join()
    })
    t.deepEqual(wrong, [])
  })

test('a new base is taken when the deltas outweigh the old one', async (t) => {
  const { backend, clock, at } = backendWith()
  const state = backend.state(count)
  let bases = 0
  for (let id = 1; id <= 10; id++) {
    for (let i = 0; i < 400; i++) {
      at(i)
      state.value++
    }
    const { chunks } = await completed(backend, clock, id)
    if (chunks.every(({ blob }) => blob.includes(`/${id}/`))) bases++
  }
  t.true(bases > 1 && bases < 5, `${bases}`)
})

test('a failed upload and an abort reject the snapshot; the next one is whole', async (t) => {
  const { backend, chunks, clock, at } = backendWith()
  const state = backend.state(count)
  at('a')
  state.value = 1
  chunks.fails = true
  const failed = backend.snapshot(1)
  await settle(clock)
  await t.throwsAsync(failed.done, { code: 'CHECKPOINT_FAILED' })
  chunks.fails = false
  const aborted = backend.snapshot(2)
  backend.notifyCheckpointAborted(2)
  await t.throwsAsync(aborted.done, { code: 'CHECKPOINT_FAILED' })
  const { chunks: refs } = await completed(backend, clock, 3)
  const restored = await restoredBackend(chunks, refs)
  restored.setCurrentKey('a', keyHash('a'))
  t.is(restored.state(count).value, 1)
})

test('a value that can not be encoded fails the checkpoint, not the update', async (t) => {
  const { backend, clock, at } = backendWith()
  const state = backend.state(valueState<unknown>('any'))
  at('a')
  state.value = () => 1
  const { done } = backend.snapshot(1)
  await settle(clock)
  const error = await t.throwsAsync(done)
  t.regex(String((error.cause as Error | undefined)?.message ?? error.message), /RECORD_NOT_SERIALIZABLE/)
})

test('what does not fit at a restore is told', async (t) => {
  const { backend, chunks, clock, at } = backendWith()
  at('a')
  backend.state(count).value = 1
  const { chunks: refs } = await completed(backend, clock, 1)
  const [{ blob }] = refs as [(typeof refs)[0]]

  const other = await restoredBackend(chunks, refs)
  t.throws(() => other.state(listState('count')), { code: 'STATE_INCOMPATIBLE' })
  const without = await restoredBackend(chunks, refs)
  t.throws(() => without.declared(), { code: 'STATE_NOT_RESTORED', message: /count/ })
  t.throws(() => without.snapshot(2), { code: 'STATE_NOT_RESTORED' })
  const allowed = await restoredBackend(chunks, refs, { allowNonRestoredState: true })
  t.notThrows(() => allowed.declared())

  const intact = chunks.blobs.get(blob)!
  const damaged = Uint8Array.from(intact)
  damaged[damaged.length - 1]! ^= 1
  chunks.blobs.set(blob, damaged)
  const fresh = () => createKeyedStateBackend(backendOptions({ chunks }))
  await t.throwsAsync(fresh().restore([subtaskState(refs)]), { code: 'CHECKPOINT_NOT_RESTORABLE', message: new RegExp(blob) })
  chunks.blobs.delete(blob)
  await t.throwsAsync(fresh().restore([subtaskState(refs)]), { code: 'CHECKPOINT_NOT_RESTORABLE', message: new RegExp(blob) })
  // What may pass does not condemn the checkpoint.
  const away = { put: chunks.put.bind(chunks), get: () => Promise.reject(new FlottError('LEADER_UNKNOWN', blob)) }
  const unlucky = createKeyedStateBackend(backendOptions({ chunks: away }))
  await t.throwsAsync(unlucky.restore([subtaskState(refs)]), { code: 'LEADER_UNKNOWN' })
})

test('growth asks the memory budget first', (t) => {
  let reserved = 0
  const reserve = (bytes: number) => {
    reserved += bytes
  }
  const backend = createKeyedStateBackend(backendOptions({ memory: { reserve } }))
  const state = backend.state(count)
  for (let i = 0; i < 1_000; i++) {
    backend.setCurrentKey(i, keyHash(i))
    state.value = 1
  }
  t.true(reserved >= 16 * 1_000)
})

test('records need not wait for more than one large value of a snapshot', async (t) => {
  const { clock, chunks, backend, at } = backendWith()
  const text = backend.state(texts)
  const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
  for (const key of keys) {
    at(key)
    text.value = key.repeat(2_500_000)
  }
  const { done } = backend.snapshot(1)
  clock.turn()
  // In one turn some of them at most; each is a chunk's worth, and the walk waits for the disks.
  t.true(chunks.blobs.size < keys.length - 1, `${chunks.blobs.size} chunks`)
  await settle(clock)
  const restored = await restoredBackend(chunks, (await done).chunks)
  const found = restored.state(texts)
  for (const key of keys) {
    restored.setCurrentKey(key, keyHash(key))
    t.is(found.value, key.repeat(2_500_000))
  }
})
