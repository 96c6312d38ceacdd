import test from 'ava'
import { foldOfShape, rollingFold } from '#taskmanager/operators/rolling-aggregate.js'

const AGGREGATES = ['sum', 'min', 'max'] as const
class Reading {
  constructor(readonly n: number) {}
}

test('a fold that is written out for a shape does what the general one does', (t) => {
  const sample = { id: 'a', n: 3, 'odd name': true, deep: { x: 1 } }
  for (const aggregate of AGGREGATES) {
    const [fold, written] = [rollingFold(aggregate, 'n'), foldOfShape(aggregate, 'n', sample)]
    for (const n of [5, 3, -1, 0.5, Infinity, Number.NaN]) {
      const folded = written(sample as never, { id: 'b', n } as never)
      t.deepEqual(folded, fold(sample as never, { id: 'b', n } as never))
      t.deepEqual(Object.keys(folded!), Object.keys(sample))
    }
  }
})

test('it refuses what it was not written for', (t) => {
  const one = { n: 1 }
  for (const aggregate of AGGREGATES) {
    const written = foldOfShape(aggregate, 'n', { id: 'a', n: 1 })
    for (const before of [{ n: 1 }, { n: 1, id: 'a' }, { id: 'a', n: 1, more: 1 }, { id: 'a', m: 1 }, new Reading(1)])
      t.is(written(before as never, one), undefined)
    t.is(written({ id: 'a', n: 1 } as never, { n: 'text' } as never), undefined)
    t.is(foldOfShape(aggregate, 'absent', { n: 1 })(one, one), undefined)
  }
})
