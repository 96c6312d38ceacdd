import test from 'ava'
import { mergeAccumulators, mergeAllAccumulators } from '#jobmanager/jobmaster/accumulators.js'

const subtasks = [
  {
    n: { kind: 'count', value: 2 },
    big: { kind: 'sum', value: 2n },
    low: { kind: 'min', value: 5 },
    all: { kind: 'list', value: ['a'] },
    own: { kind: 'custom', value: { x: 1 } },
  },
  {
    n: { kind: 'count', value: 3 },
    big: { kind: 'sum', value: 3n },
    low: { kind: 'min', value: undefined },
    all: { kind: 'list', value: ['b', 'c'] },
    own: { kind: 'custom', value: { x: 2 } },
  },
] as const

test('accumulators are merged by their kind; custom ones are listed', (t) => {
  t.deepEqual(mergeAccumulators(subtasks), {
    n: { type: 'count', value: 5 },
    big: { type: 'sum', value: 5n },
    low: { type: 'min', value: 5 },
    all: { type: 'list', value: ['a', 'b', 'c'] },
    own: { type: 'custom', value: [{ x: 1 }, { x: 2 }] },
  })
})

test("custom ones are merged by the user's function where there is one", async (t) => {
  const sum = async (values: Readonly<Record<string, readonly unknown[]>>) => ({
    own: { x: (values['own'] as { x: number }[]).reduce((n, { x }) => n + x, 0) },
  })
  t.deepEqual((await mergeAllAccumulators(subtasks, sum))['own'], { type: 'custom', value: { x: 3 } })
  t.deepEqual((await mergeAllAccumulators(subtasks, async () => ({})))['own'], { type: 'custom', value: [{ x: 1 }, { x: 2 }] })
})
