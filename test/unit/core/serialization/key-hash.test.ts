import test from 'ava'
import { isFlottError } from '#core/errors.js'
import type { Key } from '#core/functions/functions.js'
import { seededRandom } from '#core/random.js'
import { keyGroupOf, keyGroupRangeOf, keyHash, keysEqual, operatorIndexOf } from '#core/serialization/key-hash.js'

test('hashes are part of the snapshot format', (t) => {
  t.snapshot(
    (['', 'a', 'u12345', 'žluť', 0, 1, -1, 2 ** 31, 1.5, Infinity, true, false, 0n, -1n, 2n ** 40n, 2n ** 80n, ['a', 1], []] as Key[]).map(
      (key) => keyHash(key),
    ),
  )
})

test('equal keys hash equally', (t) => {
  const pairs: [Key, Key][] = [
    [0, -0],
    ['ab', ['a', 'b'].join('')],
    [
      [0, 'x'],
      [-0, 'x'],
    ],
    [2n ** 70n, 2n ** 69n * 2n],
  ]
  for (const [a, b] of pairs) {
    t.true(keysEqual(a, b))
    t.is(keyHash(a), keyHash(b))
  }
})

test('different keys are different', (t) => {
  const keys: Key[] = [0, 1, '0', '', false, true, 0n, 1n, [], [0], ['0'], [0, 1], [1, 0], [0n], [false]]
  for (const a of keys) for (const b of keys) t.is(keysEqual(a, b), a === b)
})

test('what can not be a key is refused', (t) => {
  for (const key of [null, undefined, Number.NaN, {}, new Date(0), Symbol('x'), () => 1, [1, null], [Number.NaN], [[1]]]) {
    const error = t.throws(() => keyHash(key as never))
    t.true(isFlottError(error, 'KEY_UNSUPPORTED'))
  }
})

test('each key group belongs to the subtask whose range holds it', (t) => {
  for (const maxParallelism of [1, 2, 7, 100, 128, 32768])
    for (const parallelism of [1, 2, 3, 5, 7, 64, 100, 128].filter((p) => p <= maxParallelism)) {
      let next = 0
      for (let subtask = 0; subtask < parallelism; subtask++) {
        const { start, end } = keyGroupRangeOf(subtask, maxParallelism, parallelism)
        if (start !== next) t.fail(`gap at ${start}`)
        for (const group of [start, end])
          if (operatorIndexOf(group, maxParallelism, parallelism) !== subtask) t.fail(`group ${group} of ${subtask}`)
        next = end + 1
      }
      t.is(next, maxParallelism)
    }
})

test('keys spread over key groups, and the keys of one group over a table', (t) => {
  const random = seededRandom(7)
  const groups = new Int32Array(128)
  const slots = new Int32Array(64)
  for (let i = 0; i < 128_000; i++) {
    const hash = keyHash(`u${Math.floor(random.next() * 1e9)}`)
    const group = keyGroupOf(hash, 128)
    groups[group]!++
    if (group < 8) slots[hash & 63]!++
  }
  t.true(Math.min(...groups) > 800 && Math.max(...groups) < 1200, groups.join())
  t.true(Math.min(...slots) > 70, slots.join())
  t.is(keyGroupOf(-1, 32768), 32767)
  t.is(keyGroupOf(0, 32768), 0)
})
