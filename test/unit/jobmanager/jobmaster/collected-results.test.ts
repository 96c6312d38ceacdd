import test from 'ava'
import { CollectedResults } from '#jobmanager/jobmaster/collected-results.js'

const group = (attemptId: string, subtaskIndex: number, checkpointId: number, records: unknown[]) => ({
  attemptId,
  operatorId: 'op',
  subtaskIndex,
  checkpointId,
  records,
})

test('with checkpoints a group that comes again, also from another attempt, is shown once', (t) => {
  const results = new CollectedResults(true)
  results.add(group('v_0_0', 0, 1, ['a', 'b']))
  results.add(group('v_0_0', 0, 1, ['a', 'b']))
  results.add(group('v_0_1', 0, 1, ['a', 'b']))
  results.add(group('v_1_1', 1, 1, ['c']))
  t.deepEqual(results.fetch('op', 0), { records: ['a', 'b', 'c'], next: 3, more: false })
})

test('without checkpoints only a repeated call is recognised', (t) => {
  const results = new CollectedResults(false)
  results.add(group('v_0_0', 0, 1, ['a']))
  results.add(group('v_0_0', 0, 1, ['a']))
  results.add(group('v_0_1', 0, 1, ['a']))
  t.deepEqual(results.fetch('op', 0).records, ['a', 'a'])
})

test('fetching forgets what has arrived, and makes room', (t) => {
  const results = new CollectedResults(true, 2)
  results.add(group('v_0_0', 0, 1, [1, 2]))
  t.false(results.hasRoom('op'))
  t.deepEqual(results.fetch('op', 0), { records: [1, 2], next: 2, more: false })
  t.deepEqual(results.fetch('op', 1), { records: [2], next: 2, more: false })
  t.true(results.hasRoom('op'))
  t.deepEqual(results.fetch('op', 2), { records: [], next: 2, more: false })
  t.deepEqual(results.fetch('unknown', 0), { records: [], next: 0, more: false })
})

test('after a takeover numbers go on where the client is', (t) => {
  const results = new CollectedResults(true)
  results.add(group('v_0_1', 0, 8, ['x', 'y']))
  t.deepEqual(results.fetch('op', 50), { records: ['x', 'y'], next: 52, more: false })
  t.deepEqual(results.fetch('op', 51), { records: ['y'], next: 52, more: false })
})
