import test from 'ava'
import { keyHash } from '#core/serialization/key-hash.js'
import { listState, mapState, valueState } from '#core/state/state.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { backendOptions, MemoryChunks, restoredBackend, settle, TurnClock } from './keyed-backend-under-test.js'

function backendWith() {
  const clock = new TurnClock()
  const chunks = new MemoryChunks()
  const backend = createKeyedStateBackend(backendOptions({ clock, chunks }))
  backend.setCurrentKey('a', keyHash('a'))
  return { clock, chunks, backend }
}

test('a value expires after its last write; reading refreshes where that is asked for', (t) => {
  const { backend, clock } = backendWith()
  const written = backend.state(valueState('written', { initial: 0, ttl: 10 }))
  const read = backend.state(valueState('read', { initial: 0, ttl: { after: '10 ms', refresh: 'on-read-and-write' } }))
  written.value = 5
  read.value = 5
  clock.time = 9
  t.deepEqual([written.value, read.value], [5, 5])
  clock.time = 10
  t.deepEqual([written.value, read.value], [0, 5])
  clock.time = 20
  t.is(read.value, 0)
  t.is(backend.entryCount, 0)
})

test('list items and map entries expire one by one; edit counts as a write', (t) => {
  const { backend, clock } = backendWith()
  const list = backend.state(listState<string>('list', { ttl: 10 }))
  const map = backend.state(mapState<string, { n: number }>('map', { ttl: 10 }))
  list.add('old')
  map.set('old', { n: 1 })
  map.set('edited', { n: 1 })
  clock.time = 5
  list.add('new')
  map.edit('edited')!.n++
  clock.time = 10
  t.deepEqual([...list], ['new'])
  t.deepEqual([...map], [['edited', { n: 2 }]])
  t.false(map.has('old'))
  clock.time = 15
  t.deepEqual([...list], [])
  t.true(map.isEmpty)
})

test('in event time the watermark counts, and what was written before the first one lives from it on', (t) => {
  const { backend } = backendWith()
  const seen = backend.state(valueState('seen', { initial: false, ttl: { after: 10, timeDomain: 'event-time' } }))
  seen.value = true
  backend.timers.advanceWatermark(100, () => {})
  t.true(seen.value)
  backend.timers.advanceWatermark(109, () => {})
  t.true(seen.value)
  backend.timers.advanceWatermark(110, () => {})
  t.false(seen.value)
})

test('keys that never come again are swept by the writes of others', (t) => {
  const { backend, clock } = backendWith()
  const state = backend.state(valueState('seen', { initial: false, ttl: 10 }))
  for (let i = 0; i < 1_000; i++) {
    backend.setCurrentKey(i, keyHash(i))
    state.value = true
  }
  clock.time = 100
  for (let i = 1_000; i < 1_600; i++) {
    backend.setCurrentKey(i, keyHash(i))
    state.value = true
  }
  t.true(backend.entryCount <= 700, `${backend.entryCount}`)
})

test('times are in snapshots; a state without them does not fit', async (t) => {
  const { backend, clock, chunks } = backendWith()
  const descriptor = valueState('v', { initial: 0, ttl: 10 })
  backend.state(descriptor).value = 1
  const { done } = backend.snapshot(1)
  await settle(clock)
  const later = new TurnClock()
  later.time = 9
  const restored = await restoredBackend(chunks, (await done).chunks, { clock: later })
  restored.setCurrentKey('a', keyHash('a'))
  t.is(restored.state(descriptor).value, 1)
  later.time = 10
  t.is(restored.state(descriptor).value, 0)
  const other = await restoredBackend(chunks, (await done).chunks)
  t.throws(() => other.state(valueState('v', { initial: 0 })), { code: 'STATE_INCOMPATIBLE' })
  // Not decoded before it had expired, by its key or by the walk.
  for (const by of ['key', 'walk']) {
    const late = new TurnClock()
    late.time = 10
    const expired = await restoredBackend(chunks, (await done).chunks, { clock: late })
    const state = expired.state(descriptor)
    if (by === 'walk') await settle(late)
    expired.setCurrentKey('a', keyHash('a'))
    t.is(state.value, 0)
    t.is(expired.entryCount, 0)
  }
})
