import test from 'ava'
import { ValueWriter } from '#core/serialization/value-codec.js'
import { ByteSink } from '#taskmanager/state/byte-sink.js'
import { writeColumn } from '#taskmanager/state/columns.js'
import { LazyColumn } from '#taskmanager/state/lazy-column.js'

function encodeColumn(items: readonly unknown[]): Buffer {
  const out = new ByteSink(1)
  writeColumn(out, [...items, 'not part of it'], items.length)
  return out.copy(out.length)
}

const columns: Readonly<Record<string, readonly unknown[]>> = {
  empty: [],
  numbers: [0, -0, 1.5, Number.NaN, Infinity, 2 ** 53],
  integers: [0, -1, 2 ** 31 - 1],
  'integers and a negative zero': [1, -0],
  'ascii strings': ['', 'a', 'user-1'],
  'other strings': ['', 'žluť', '\ud800 alone', '💧'],
  mixed: [1, 'a', null, undefined, true, 2n ** 70n],
  rows: [
    { n: 1, name: 'a', tags: ['x'] },
    { n: 2.5, name: 'ž', tags: [] },
  ],
  'rows with undefined': [{ a: undefined }, { a: 1 }],
  'rows of another order': [
    { a: 1, b: 2 },
    { b: 2, a: 1 },
  ],
  'rows, then none': [{ a: 1 }, null, [1]],
  'rows that lack a field': [{ a: 1, b: 2 }, { a: 1 }],
  'no fields': [{}, {}],
  'a field named __proto__': [JSON.parse('{"__proto__": 1}')],
  'no prototype': [Object.assign(Object.create(null), { a: 1 })],
  nested: [{ a: { b: 1 } }, { a: { b: 2 } }],
  'nested deeper than columns go': [{ a: { b: { c: { d: { e: 1 } } } } }],
  'fields of several types': [
    { a: 1, b: null, c: 'x', '2': true },
    { a: 'ž', b: { n: 1 }, c: 'ž', '2': undefined },
  ],
  maps: [new Map([['a', { n: 1 }]]), new Map()],
  tuples: [
    ['a', 1],
    ['b', 2],
  ],
}

for (const [name, items] of Object.entries(columns))
  test(`${name} come back as they were`, (t) => {
    const decoded = new LazyColumn(encodeColumn(items), items.length).all()
    t.deepEqual(decoded, [...items])
    for (const [i, item] of items.entries())
      if (typeof item === 'object' && item !== null) t.deepEqual(Object.keys(decoded[i] as object), Object.keys(item))
    const single = new LazyColumn(encodeColumn(items), items.length)
    for (const i of [...items.keys()].reverse()) t.deepEqual(single.at(i), items[i], `item ${i}`)
  })

test('rows written one by one, as before there were columns of them, can be read', (t) => {
  const items = [
    { n: 1, sum: 2.5 },
    { n: 2, sum: 3 },
  ]
  const writer = new ValueWriter()
  for (const item of items) writer.write(item)
  t.deepEqual(new LazyColumn(Buffer.concat([Buffer.of(4), writer.toBytes()]), 2).all(), items)
})

test('what can not be written is named from its object on, and nothing is appended', (t) => {
  const out = new ByteSink()
  out.appendByte(1)
  const error = t.throws(() => writeColumn(out, [{ a: { f() {} } }], 1), { code: 'RECORD_NOT_SERIALIZABLE' })
  t.regex(error!.message, /a\.f/)
  t.is(out.length, 1)
})
