import test from 'ava'
import { portions } from '#taskmanager/state/block-portions.js'
import { type Block, BlockKind } from '#taskmanager/state/chunk-format.js'

const blockOf = (values: readonly unknown[]): Block => ({
  kind: BlockKind.Put,
  state: 3,
  namespace: 5,
  count: values.length,
  hashes: values.map((_, i) => 100 + i),
  keys: values.map((_, i) => `key ${i}`),
  values,
})

test('large values are cut into portions that together are the block', (t) => {
  const texts = [10, 600, 500, 20, 2_000, 30, 900].map((length) => 'x'.repeat(length))
  const block = blockOf(texts)
  const parts = [...portions(block, 1_000)]
  t.deepEqual(
    parts.map(({ count }) => count),
    [2, 2, 1, 2],
  )
  for (const part of parts) t.like(part, { kind: BlockKind.Put, state: 3, namespace: 5 })
  t.deepEqual(
    parts.flatMap(({ hashes }) => Array.from(hashes)),
    Array.from(block.hashes),
  )
  t.deepEqual(
    parts.flatMap(({ keys }) => keys),
    block.keys,
  )
  t.deepEqual(
    parts.flatMap(({ values }) => values),
    texts,
  )
})

test('a collection counts with all its items', (t) => {
  const map = new Map(Array.from({ length: 100 }, (_, i) => [i, 'x'.repeat(50)]))
  t.is([...portions(blockOf([map, map, [map], new Set(['x'.repeat(6_000)])]), 7_000)].length, 4)
  t.is([...portions(blockOf([new Map(), new Set(), []]), 7_000)].length, 1)
})

test('small values, and a block that fits, stay as they are', (t) => {
  for (const values of [[1, 2, 3], [{ n: 1 }, { n: 2 }], ['a', 'b'], []]) {
    const block = blockOf(values)
    const [only, ...others] = [...portions(block, 100)]
    t.is(only, block)
    t.deepEqual(others, [])
  }
})
