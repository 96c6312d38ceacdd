import test from 'ava'
import { chooseSlots } from '#jobmanager/resourcemanager/choose-slots.js'

/** 'a b?' for two requests, the second prefers nothing. */
const chosen = (preferences: readonly (string | undefined)[], free: readonly string[]) =>
  chooseSlots(
    preferences.map((preferred) => (preferred === undefined ? {} : { preferred })),
    free.map((text) => ({ taskManagerId: text[0]!, slotIndex: Number(text[1]) })),
  )?.map(({ taskManagerId, slotIndex }) => `${taskManagerId}${slotIndex}`)

test('each request gets a slot where it was before, whatever the order of the slots', (t) => {
  t.deepEqual(chosen(['b', 'a', 'b'], ['a0', 'a1', 'b0', 'b1']), ['b0', 'a0', 'b1'])
  t.deepEqual(chosen(['b', 'a'], ['b0', 'a0']), ['b0', 'a0'])
})

test('one without a preference takes none that another prefers', (t) => {
  t.deepEqual(chosen([undefined, 'a'], ['a0', 'b0']), ['b0', 'a0'])
  t.deepEqual(chosen([undefined, 'a'], ['a0', 'a1']), ['a1', 'a0'])
})

test('where the preferred one is gone or full, any other will do, in order', (t) => {
  t.deepEqual(chosen(['gone', 'a'], ['a0', 'b0', 'c0']), ['b0', 'a0'])
  t.deepEqual(chosen(['a', 'a', 'a'], ['a0', 'b0', 'c0']), ['a0', 'b0', 'c0'])
  t.deepEqual(chosen([undefined, undefined, undefined], ['a0', 'a1', 'b0', 'b1']), ['a0', 'a1', 'b0'])
})

test('all or nothing', (t) => {
  t.is(chosen(['a', 'a'], ['a0']), undefined)
  t.deepEqual(chosen([], []), [])
})

test('no slot is given twice, and every request gets one, whatever is preferred', (t) => {
  const ids = ['a', 'b', 'c', undefined]
  const free = ['a0', 'a1', 'b0', 'c0', 'c1']
  for (let n = 0; n < ids.length ** 4; n++) {
    const preferences = [0, 1, 2, 3].map((digit) => ids[Math.floor(n / ids.length ** digit) % ids.length])
    const slots = chosen(preferences, free)!
    t.is(new Set(slots).size, 4, preferences.join())
    for (const id of ['a', 'b', 'c']) {
      const wanted = preferences.filter((preferred) => preferred === id).length
      const there = free.filter((slot) => slot[0] === id).length
      const got = slots.filter((slot, i) => preferences[i] === id && slot[0] === id).length
      t.is(got, Math.min(wanted, there), preferences.join())
    }
  }
})
