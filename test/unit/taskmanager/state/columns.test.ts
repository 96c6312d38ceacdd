import test from 'ava'
import { decodeColumn, encodeColumn } from '#taskmanager/state/columns.js'

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
  maps: [new Map([['a', { n: 1 }]]), new Map()],
  tuples: [
    ['a', 1],
    ['b', 2],
  ],
}

for (const [name, items] of Object.entries(columns))
  test(`${name} come back as they were`, (t) => {
    const decoded = decodeColumn(encodeColumn(items), items.length)
    t.deepEqual(decoded, [...items])
    for (const [i, item] of items.entries())
      if (typeof item === 'object' && item !== null) t.deepEqual(Object.keys(decoded[i] as object), Object.keys(item))
  })
