import test from 'ava'
import { aggregates } from '#core/functions/aggregates.js'
import type { AggregateFunction } from '#core/functions/functions.js'

const records = [3, -1, 7, 2].map((v) => ({ v }))

function run<A, R>(f: AggregateFunction<{ v: number }, A, R>): [R, R] {
  const of = (part: readonly { v: number }[]) => part.reduce((acc, record) => f.add(record, acc), f.createAccumulator())
  return [f.getResult(of(records)), f.getResult(f.merge!(of(records.slice(0, 2)), of(records.slice(2))))]
}

test('merging two halves gives what the whole gives', (t) => {
  t.deepEqual(run(aggregates.count()), [4, 4])
  t.deepEqual(run(aggregates.sum('v')), [11, 11])
  t.deepEqual(run(aggregates.min((r) => r.v)), [-1, -1])
  t.deepEqual(run(aggregates.max('v')), [7, 7])
  t.deepEqual(run(aggregates.average('v')), [2.75, 2.75])
  t.deepEqual(run(aggregates.toArray()), [records, records])
})
