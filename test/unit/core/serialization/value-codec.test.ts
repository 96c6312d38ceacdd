import test from 'ava'
import { isFlottError } from '#core/errors.js'
import { seededRandom } from '#core/random.js'
import { decodeValue, encodeValue, ValueReader, ValueWriter } from '#core/serialization/value-codec.js'
import { anyValue } from '../../../support/any-value.js'

const bare = Object.assign(Object.create(null) as object, { a: 1, __proto: 2 })
const sparse = Array.from({ length: 4 })
delete sparse[1]
delete sparse[3]
const values: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  -0,
  127,
  128,
  -1,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 31,
  2 ** 53,
  0.1,
  Number.NaN,
  Infinity,
  -Infinity,
  '',
  'a',
  'x'.repeat(63),
  'x'.repeat(64),
  'x'.repeat(100_000),
  'žluťoučký 🐎',
  '\ud800',
  'a\udfff'.repeat(50),
  0n,
  -1n,
  2n ** 200n,
  -(2n ** 64n),
  [],
  [1, [2, [3]]],
  sparse,
  {},
  { a: 1, b: { a: 2 }, c: [{ a: 3 }] },
  { b: 1, a: 2, 1: 'integer names come first' },
  JSON.parse('{"__proto__": 1, "constructor": 2}'),
  bare,
  new Map<unknown, unknown>([
    [1, 'a'],
    ['1', new Map([[{ k: 1 }, -0]])],
  ]),
  new Set([1, '1', null, [2]]),
  new Date(1.7e12),
  new Date(Number.NaN),
  new Uint8Array([1, 2, 255]),
  Buffer.from('abc'),
  new Float64Array([-0, Number.NaN, 1.5]),
  new BigInt64Array([-5n]),
  new Uint8Array(10).subarray(3, 5),
  new Uint16Array([1, 2]).buffer,
]

test('each value comes back as it was', (t) => {
  for (const value of values) t.deepEqual(decodeValue(encodeValue(value)), value)
  t.is(Object.getPrototypeOf(decodeValue(encodeValue(bare))), null)
  t.is(Object.getPrototypeOf(decodeValue(encodeValue(JSON.parse('{"__proto__": {"x": 1}}')))), Object.prototype)
  t.deepEqual(Object.keys(decodeValue(encodeValue({ b: 1, a: 2 })) as object), ['b', 'a'])
  t.true(Buffer.isBuffer(decodeValue(encodeValue(Buffer.from('abc')))))
  t.deepEqual(Object.keys(decodeValue(encodeValue(sparse)) as object), ['0', '2'])
})

test('a stream of values shares shapes', (t) => {
  const writer = new ValueWriter(16)
  for (const value of values) writer.write(value)
  for (let i = 0; i < 100; i++) writer.write({ user: `u${i}`, n: i, __proto: i })
  const reader = new ValueReader(writer.toBytes())
  for (const value of values) t.deepEqual(reader.read(), value)
  for (let i = 0; i < 100; i++) t.deepEqual(reader.read(), { user: `u${i}`, n: i, __proto: i })
  t.true(reader.isAtEnd)
})

test('random values come back as they were', (t) => {
  const random = seededRandom(11)
  for (let i = 0; i < 3_000; i++) {
    const value = anyValue(random, 3)
    t.deepEqual(decodeValue(encodeValue(value)), value)
  }
})

class Point {
  #x = 1
  get x() {
    return this.#x
  }
}
const cycle: { items: unknown[] } = { items: [] }
cycle.items.push(cycle)

test('what would come back as something else is refused by its path', (t) => {
  const refused: [unknown, RegExp][] = [
    [() => 1, /the value is a function/],
    [{ a: [{ f: () => 1 }] }, /a\[0\]\.f is a function/],
    [new Map([['k', Symbol('s')]]), /get\(k\) is a symbol/],
    [new Set([new Point()]), /values\(\) is an instance of Point/],
    [[Promise.resolve()], /\[0\] is an instance of Promise/],
    [/x/, /instance of RegExp/],
    [new (class extends Array {})(), /instance of/],
    [cycle, /nests deeper/],
  ]
  for (const [value, message] of refused) {
    const error = t.throws(() => encodeValue(value), { message })
    t.true(isFlottError(error, 'RECORD_NOT_SERIALIZABLE'))
  }
})

test('a writer that refused a value writes on', (t) => {
  const writer = new ValueWriter()
  writer.write({ a: 1 })
  t.throws(() => writer.write({ b: { c: () => 1 } }))
  writer.write({ b: 2 })
  writer.write({ a: 3 })
  const reader = new ValueReader(writer.view())
  t.deepEqual([reader.read(), reader.read(), reader.read()], [{ a: 1 }, { b: 2 }, { a: 3 }])
  t.true(reader.isAtEnd)
})

test('bytes that are cut off or foreign throw', (t) => {
  const bytes = encodeValue({ name: 'x'.repeat(100), list: [1, 2, 3.5], map: new Map([[1, 2n]]) })
  for (let length = 0; length < bytes.length; length++) t.throws(() => decodeValue(bytes.slice(0, length)))
  t.throws(() => decodeValue(new Uint8Array([0x3f])), { message: /not a value/ })
})
