import test from 'ava'
import { isFlottError } from '#core/errors.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { types } from '#core/serialization/declared-types.js'
import { anyValue } from '../../../support/any-value.js'
import { exchange, exchangePair } from '../../../support/exchange-pair.js'
import { same } from '../../../support/same.js'

const ring = { slots: 8 }

function roundTrip(records: readonly unknown[], timestamp?: (i: number) => number) {
  const { partitions, gates } = exchangePair({ ring })
  return exchange(partitions[0]!, gates[0]!, records, timestamp)
}

const click = (i: number) => ({ user: `u${i % 1000}`, price: i % 97, ts: 1.7e12 + i, url: `https://shop.example/item/${i}` })
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

test('records of one shape', (t) => {
  const records = times(20_000, click)
  const { values } = roundTrip(records)
  same(t, values, records)
  t.deepEqual(Object.keys(values.at(-1) as object), ['user', 'price', 'ts', 'url'])
})

const shapes: Record<string, (i: number) => unknown> = {
  'integers that become doubles': (i) => (i < 100 ? i : i + 0.5),
  'every kind of number': (i) => [0, -0, 1, -1, 2 ** 31, -(2 ** 31), Number.NaN, Infinity, -Infinity, 1e-300][i % 10],
  'integer fields with -0': (i) => ({ n: i % 50 === 49 ? -0 : i }),
  strings: (i) => ['', 'a', `user ${i}`, 'x'.repeat(i % 300)][i % 4],
  booleans: (i) => i % 3 === 0,
  'null and undefined': (i) => [null, undefined, { a: null }, { a: undefined }, { a: 1 }][i % 5],
  'nullable fields of all kinds': (i) => {
    const gone = [null, undefined][i % 2]
    const all = { s: 'x', n: i, d: 0.5, b: true, o: { x: 1 }, l: ['a'], t: [1, 'a'] }
    return Object.fromEntries(Object.entries(all).map(([k, v], j) => [k, (i >> 1) % 8 === j ? gone : v]))
  },
  'union by shape': (i) => [{ type: 'add', n: i }, { type: 'remove', id: `x${i}` }, { type: 'clear' }][i % 3],
  'optional fields': (i) => ({ a: i, ...(i % 2 ? { b: 'x' } : {}), ...(i % 3 ? { c: true } : {}) }),
  'field order': (i) => (i % 2 ? { a: 1, b: 2 } : { b: 2, a: 1 }),
  'a field of two kinds': (i) => ({ v: i % 10 ? i : 'none', w: i % 7 ? 'x' : null }),
  nested: (i) => ({ id: i, at: { lat: i / 7, lon: -i, name: { first: `f${i}`, last: '' } }, ok: true }),
  'nested and nullable': (i) => ({ id: i, at: i % 3 ? { lat: 1.5, tags: i % 2 ? null : ['a', `b${i}`] } : undefined }),
  arrays: (i) => ({
    tags: times(i % 5, (j) => `t${j}`),
    sizes: times(i % 3, (j) => j * 1.5),
    rows: times(i % 4, (j) => ({ j, s: `${j}` })),
  }),
  'arrays of arrays': (i) => times(i % 4, (j) => times(j, (k) => i + k)),
  'mixed arrays': (i) => ({ list: [i, 'a', null, { x: i }] }),
  tuples: (i) => [`word${i}`, i],
  'tuples with holes': (i) => (i % 2 ? [undefined, 1] : Object.assign([], { 1: 1 })),
  'empty objects and arrays': (i) => [{}, [], { a: {} }, { a: [] }][i % 4],
  dictionaries: (i) => ({ counts: Object.fromEntries(times(i % 5, (j) => [`k${(i * 7 + j) % 1000}`, j])) }),
  dates: (i) => ({ at: new Date(i), n: i }),
  'maps, sets, bytes, bigints': (i) => ({ m: new Map([[i, new Set([`${i}`])]]), b: new Uint8Array([i]), n: BigInt(i) ** 3n }),
  'objects without prototype': (i) => Object.assign(Object.create(null) as object, { a: i }),
  'names that are no identifiers': (i) => JSON.parse(`{"__proto__": ${i}, "a-b": 1, "": 2, "7": 3, "\\"": "x", "constructor": 4}`),
  'not ASCII': (i) => ({ name: `Žluťoučký kůň ${i}`, text: ['日本語', '🐎🐎', 'plain'][i % 3] }),
  'rarely not ASCII': (i) => ({ name: i % 100 ? `plain ${i}` : 'ř'.repeat(200) }),
  'only wide characters': (i) => '語'.repeat(50 + (i % 10)),
  'lone surrogates': (i) => ({ s: ['a\ud800', '\udc00b', 'ok', '\ud83d'][i % 4], n: i }),
  'long strings': (i) => ({ s: 'x'.repeat(i % 20 ? 10 : 30_000 + i), n: i }),
}
for (const [name, shape] of Object.entries(shapes))
  test(name, (t) => {
    const records = times(3_000, shape)
    same(t, roundTrip(records).values, records)
  })

test('1 % of records that fit no schema', (t) => {
  const records = times(20_000, (i) => (i % 100 === 50 ? { [`field${i}`]: [i, { deep: `${i}` }] } : click(i)))
  same(t, roundTrip(records).values, records)
})

test('a record whose shape comes once does not hinder the others', (t) => {
  const { partitions, gates } = exchangePair({ ring })
  const records = times(50, click)
  exchange(partitions[0]!, gates[0]!, records)
  const before = partitions[0]!.numBytesOut
  exchange(partitions[0]!, gates[0]!, [{ other: 1 }, ...records])
  t.true(partitions[0]!.numBytesOut - before < 50 * 70, 'the records still go as rows')
})

test('time stamps, none, and both', (t) => {
  const records = times(2_000, click)
  for (const timestamp of [() => Number.NaN, (i: number) => i - 5, (i: number) => (i % 3 ? i : Number.NaN)]) {
    const result = roundTrip(records, timestamp)
    same(t, result.values, records)
    same(t, result.timestamps, times(records.length, timestamp))
  }
})

test('records larger than a frame', (t) => {
  const big = 'x'.repeat(5_000_000)
  const records = [
    click(1),
    { big },
    click(2),
    big,
    'ž'.repeat(1_000_000),
    new Uint8Array(5_000_000).fill(7),
    times(100_000, (i) => i),
    click(3),
  ]
  same(t, roundTrip([...times(100, click), ...records]).values.slice(100), records)
  t.deepEqual(roundTrip([...times(100, click), ...records], (i) => i).timestamps.at(-1), 107)
})

test('a record above the bound is refused, and the ones after it go on', (t) => {
  const { partitions, gates } = exchangePair({ ring, recordBytesMax: 100_000 })
  const error = t.throws(() => partitions[0]!.emit('x'.repeat(200_000), Number.NaN))
  t.true(isFlottError(error, 'RECORD_TOO_LARGE'))
  same(t, exchange(partitions[0]!, gates[0]!, ['a', 'x'.repeat(90_000)]).values, ['a', 'x'.repeat(90_000)])
})

test('what can not be sent is refused, and nothing of it is sent', (t) => {
  const { partitions, gates } = exchangePair({ ring })
  const records = times(100, click)
  class Event {
    #at = 1
    get at() {
      return this.#at
    }
  }
  for (const bad of [() => 1, { ...click(1), f: () => 1 }, new Event(), { nested: { list: [new Event()] } }, Symbol('x')]) {
    same(t, exchange(partitions[0]!, gates[0]!, records).values, records)
    const error = t.throws(() => partitions[0]!.emit(bad, Number.NaN))
    t.true(isFlottError(error, 'RECORD_NOT_SERIALIZABLE'), String(error))
  }
  const dated = times(100, (i) => ({ at: new Date(i), tags: [new Date(i)] }))
  same(t, exchange(partitions[0]!, gates[0]!, dated).values, dated)
  t.throws(() => partitions[0]!.emit({ at: new Date(1), tags: [new Event()] }, Number.NaN), {
    message: /tags\[0\] is an instance of Event/,
  })
  same(t, exchange(partitions[0]!, gates[0]!, dated).values, dated)
})

test('a record that is not of the declared type is refused', (t) => {
  const type = types.row({ user: types.string, price: types.number })
  for (const before of [0, 1_000]) {
    const { partitions, gates } = exchangePair({ ring, type })
    const records = times(before, click)
    same(t, exchange(partitions[0]!, gates[0]!, records).values, records)
    const error = t.throws(() => partitions[0]!.emit({ ...click(1), price: '12' }, Number.NaN), { message: /price/ })
    t.true(isFlottError(error, 'RECORD_TYPE_MISMATCH'))
  }
})

/** Records as a program may have them: one of a few shapes, each with its habits, sometimes something else. */
function program(random: Random): (i: number) => unknown {
  const kinds = [
    () => between(random, -100, 100),
    () => random.next() * 1e9,
    () => pick(random, ['', 'short', 'a string that is longer than most', 'ů', '\ud800']),
    () => random.next() < 0.5,
    () => (random.next() < 0.1 ? null : between(random, 0, 1e9)),
    () => (random.next() < 0.1 ? undefined : 'text'),
    () => ({ x: between(random, 0, 9), y: pick(random, ['a', 'b']) }),
    () => times(between(random, 0, 4), (i) => `item${i}`),
    () => times(between(random, 0, 4), () => ({ q: random.next() })),
    () => new Date(between(random, 0, 1e9)),
    () => anyValue(random, 2),
  ]
  const makers = times(between(random, 1, 4), () => {
    const fields = times(between(random, 0, 6), (j) => [`f${j}`, pick(random, kinds)] as const)
    return () => Object.fromEntries(fields.map(([name, make]) => [name, make()]))
  })
  const odd = random.next() < 0.5 ? 0.01 : 0
  return () => (random.next() < odd ? anyValue(random, 3) : pick(random, makers)())
}

test('random programs', (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed)
    const records = times(400, program(random))
    const { partitions, gates } = exchangePair({ ring: { slots: 2, slotBytes: pick(random, [512, 2048, 32768]) } })
    const timestamps = times(records.length, () => (random.next() < 0.5 ? Number.NaN : between(random, 0, 1e12)))
    const result = exchange(partitions[0]!, gates[0]!, records, (i) => timestamps[i]!)
    same(t, result.values, records, `seed ${seed}`)
    same(t, result.timestamps, timestamps, `seed ${seed}`)
  }
})
