import test from 'ava'
import { fetchingReader } from '#client/connectors/fetching-reader.js'
import { printSink } from '#client/connectors/print-sink.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { stubRuntime } from '../../../support/runtime-context.js'

interface Shard {
  readonly splitId: string
  readonly offset: number
}

function setUp(feed: readonly (readonly string[] | Error)[]) {
  const clock = new FakeClock()
  const fetches: number[] = []
  const records: string[] = []
  const reader = fetchingReader<string, Shard>({ runtime: stubRuntime(), clock, sendSplitRequest() {} }, async (split) => {
    fetches.push(split.offset)
    const answer = feed[split.offset]
    if (answer === undefined) return { records: [], next: null }
    if (answer instanceof Error) throw answer
    return { records: answer, next: { ...split, offset: split.offset + 1 } }
  })
  const poll = () => reader.pollNext({ collect: (record) => records.push(record) })
  return { clock, fetches, records, reader, poll }
}

test('the position is behind what was given out; one request at a time; a pause after an empty answer', async (t) => {
  const { clock, fetches, records, reader, poll } = setUp([['a', 'b'], [], ['c']])
  t.is(poll(), 'nothing-available')
  reader.addSplits([{ splitId: 's', offset: 0 }])
  reader.notifyNoMoreSplits()
  t.is(poll(), 'nothing-available')
  await reader.isAvailable()
  t.deepEqual(reader.snapshotState(1), [{ splitId: 's', offset: 0 }])
  t.is(poll(), 'more-available')
  t.deepEqual(records, ['a', 'b'])
  t.deepEqual(reader.snapshotState(2), [{ splitId: 's', offset: 1 }])
  await reader.isAvailable()
  poll()
  t.deepEqual(fetches, [0, 1])
  await clock.advance(99)
  t.deepEqual(fetches, [0, 1])
  await clock.advance(1)
  t.deepEqual(fetches, [0, 1, 2])
  poll()
  await reader.isAvailable()
  poll()
  t.is(poll(), 'end-of-input')
  t.deepEqual(records, ['a', 'b', 'c'])
  await reader.isAvailable()
})

test('a request that fails, fails the task', async (t) => {
  const { reader, poll } = setUp([new Error('503')])
  reader.addSplits([{ splitId: 's', offset: 0 }])
  await reader.isAvailable()
  t.throws(poll, { message: '503' })
})

test('the print sink names prefix and subtask as Flink does', async (t) => {
  const printed = async (prefix: string | undefined, parallelism: number) => {
    const runtime = stubRuntime(parallelism - 1, parallelism)
    const writer = await printSink(prefix).createWriter(runtime)
    for (const record of ['text', 7, { a: [1n], m: new Map([['k', 1]]) }]) await writer.write(record, { timestamp: 0, currentWatermark: 0 })
    return runtime.printed
  }
  t.deepEqual(await printed(undefined, 1), ['text', '7', '{"a":["1n"],"m":[["k",1]]}'])
  t.is((await printed('out', 1))[0], 'out> text')
  t.is((await printed('out', 3))[0], 'out:3> text')
  t.is((await printed(undefined, 3))[0], '3> text')
})
