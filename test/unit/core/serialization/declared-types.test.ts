import test from 'ava'
import { isFlottError } from '#core/errors.js'
import { checkType, type Infer, mismatch, type TypeSpec, typeSpecOf, types } from '#core/serialization/declared-types.js'
import { describeType, incompatibilityOf, migrationFrom } from '#core/serialization/type-evolution.js'
import { fromPlain, hasCustom, toPlain } from '#core/serialization/typed-value.js'
import type { AnyType } from '#core/serialization/types.js'

const spec = (type: AnyType): TypeSpec => typeSpecOf(type)!

const order = types.row({
  id: types.string,
  count: types.int,
  price: types.number,
  at: types.timestamp,
  state: types.enum('open', 'paid'),
  note: types.optional(types.string),
  tags: types.array(types.string),
  buyer: types.nullable(types.row({ name: types.string })),
  totals: types.map(types.string, types.bigint),
  raw: types.bytes,
  ok: types.boolean,
})
const valid: Infer<typeof order> = {
  id: 'a',
  count: 1,
  price: 0.5,
  at: 1.7e12,
  state: 'open',
  tags: ['x'],
  buyer: { name: 'n' },
  totals: new Map([['k', 1n]]),
  raw: new Uint8Array(1),
  ok: true,
}

test('a value of its type has no mismatch', (t) => {
  t.is(mismatch(spec(order), valid), undefined)
  t.is(mismatch(spec(order), { ...valid, note: 'n', buyer: null, more: 1 }), undefined)
  t.is(mismatch(spec(order), { ...valid, note: undefined, price: Number.NaN }), undefined)
})

test('the first mismatch is named by its path', (t) => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ id: 1 }, /^id: 1 is not a string/],
    [{ id: undefined }, /^id: undefined is not/],
    [{ count: 1.5 }, /^count: 1.5 is not a 32-bit integer/],
    [{ at: Infinity }, /^at: .* is not a time stamp/],
    [{ state: 'gone' }, /^state: "gone" is not one of open, paid/],
    [{ note: null }, /^note: null/],
    [{ tags: ['a', 2] }, /^tags\[1\]: 2 is not a string/],
    [{ tags: 'a' }, /^tags: "a" is not an array/],
    [{ buyer: { name: 1n } }, /^buyer.name: 1n is not/],
    [{ buyer: [] }, /^buyer: \[\] is not an object/],
    [{ totals: new Map([['k', 1]]) }, /^totals\["k"\]: 1 is not a bigint/],
    [{ totals: {} }, /^totals: {} is not a Map/],
    [{ raw: [1] }, /^raw: \[1\] is not/],
    [{ ok: 0 }, /^ok: 0 is not a boolean/],
  ]
  for (const [part, text] of wrong) t.regex(mismatch(spec(order), { ...valid, ...part }) ?? '', text)
  const error = t.throws(() => checkType(spec(order), { ...valid, tags: [null] }), { message: /tags\[0\]: null is not a string/ })
  t.true(isFlottError(error, 'RECORD_TYPE_MISMATCH'))
})

test('a union is one of its members', (t) => {
  const event = types.union(types.row({ type: types.enum('add'), n: types.int }), types.row({ type: types.enum('clear') }), types.string)
  for (const value of [{ type: 'add', n: 1 }, { type: 'clear' }, 'text']) t.is(mismatch(spec(event), value), undefined)
  for (const value of [{ type: 'add' }, { type: 'other' }, 1]) t.truthy(mismatch(spec(event), value))
})

test('stored types that can be read, and that can not', (t) => {
  const base = types.row({ a: types.int, b: types.string })
  const cases: [AnyType, AnyType, string | undefined][] = [
    [base, base, undefined],
    [base, types.row({ b: types.string, a: types.int }), undefined],
    [base, types.row({ a: types.number, b: types.nullable(types.string) }), undefined],
    [base, types.row({ a: types.int }), undefined],
    [base, types.row({ a: types.int, b: types.string, c: types.optional(types.string) }), undefined],
    [base, types.row({ a: types.int, b: types.string, c: types.string }), 'c: is not stored, and not optional'],
    [base, types.row({ a: types.string, b: types.string }), 'a: stored as int, declared as string'],
    [types.row({ a: types.optional(types.int) }), types.row({ a: types.int }), 'a: stored as optional'],
    [types.enum('x', 'y'), types.enum('x', 'y', 'z'), undefined],
    [types.enum('x', 'y'), types.enum('x'), "the value 'y' is not declared any more"],
    [types.array(base), types.array(types.row({ a: types.boolean })), '[].a: stored as int, declared as boolean'],
    [types.nullable(types.int), types.int, 'stored as nullable, declared as int'],
    [types.string, types.union(types.int, types.string), undefined],
    [types.union(types.int, types.string), types.union(types.string, types.int, types.bigint), undefined],
    [types.union(types.int, types.string), types.union(types.int), 'stored as string, declared as union'],
  ]
  for (const [stored, now, reason] of cases) {
    const description = JSON.parse(JSON.stringify(describeType(spec(stored)))) as ReturnType<typeof describeType>
    t.is(incompatibilityOf(description, spec(now)), reason)
  }
})

test('migrations chain', (t) => {
  const v1 = types.row({ name: types.string })
  const v2 = types.row({ first: types.string, last: types.string }).migratedFrom(v1, ({ name }) => {
    const [first = '', last = ''] = name.split(' ')
    return { first, last }
  })
  const v3 = types.row({ initials: types.string }).migratedFrom(v2, ({ first, last }) => ({ initials: `${first[0]}${last[0]}` }))
  const from1 = migrationFrom(describeType(spec(v1)), spec(v3))
  t.deepEqual(from1.kind === 'migrate' && from1.migrate({ name: 'Ada Lovelace' }), { initials: 'AL' })
  const from2 = migrationFrom(describeType(spec(v2)), spec(v3))
  t.deepEqual(from2.kind === 'migrate' && from2.migrate({ first: 'Ada', last: 'Lovelace' }), { initials: 'AL' })
  t.is(migrationFrom(describeType(spec(v3)), spec(v3)).kind, 'as-is')
  t.deepEqual(migrationFrom(describeType(spec(types.int)), spec(v3)), { kind: 'impossible', reason: 'stored as int, declared as row' })
})

class Point {
  readonly #xy: readonly [number, number]
  constructor(x: number, y: number) {
    this.#xy = [x, y]
  }
  get xy() {
    return this.#xy
  }
}
const point = types.custom<Point>({
  name: 'point',
  version: 2,
  encode: ({ xy }) => Uint8Array.from(xy),
  decode: (bytes, version) => new Point(bytes[0]! * version, bytes[1]! * version),
})

test('custom parts become plain and come back', (t) => {
  const type = types.row({ at: point, path: types.array(types.nullable(point)), byName: types.map(types.string, point), n: types.int })
  t.true(hasCustom(spec(type)))
  t.false(hasCustom(spec(order)))
  const plain = toPlain(spec(type), { at: new Point(1, 2), path: [null, new Point(3, 4)], byName: new Map([['a', new Point(5, 6)]]), n: 1 })
  t.deepEqual(plain, {
    at: [2, new Uint8Array([1, 2])],
    path: [null, [2, new Uint8Array([3, 4])]],
    byName: new Map([['a', [2, new Uint8Array([5, 6])]]]),
    n: 1,
  })
  const back = fromPlain(spec(type), plain) as { at: Point; path: [null, Point]; byName: Map<string, Point> }
  t.deepEqual(
    [back.at.xy, back.path[1].xy, back.byName.get('a')?.xy],
    [
      [2, 4],
      [6, 8],
      [10, 12],
    ],
  )
})
