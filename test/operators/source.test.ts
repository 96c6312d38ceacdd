import test from 'ava'
import { stableId } from '#core/ids.js'
import { decodeValue } from '#core/serialization/value-codec.js'
import type { ReaderEvent } from '#protocol/gateways/job-master-gateway.js'
import { PendingTrigger } from '#taskmanager/task/pending-trigger.js'
import { batchOf, type ChainSketch, makeChain, RecordingPartition } from '../support/chains.js'
import { FakeClock, settle } from '../support/fake-clock.js'
import { type ListSourceOptions, listSource } from '../support/list-source.js'

const splits = (from: number, to: number) => ({ kind: 'splits-assigned' as const, splits: [{ splitId: `${from}`, from, to }] })
const noMore = { kind: 'no-more-splits' as const }
const never = () => false

function sourceChain(options: ListSourceOptions & { sketch?: Partial<ChainSketch>; watermarks?: object } = {}) {
  const partition = new RecordingPartition()
  const events: ReaderEvent[] = []
  const { chain } = makeChain({
    operators: [
      {
        kind: 'source',
        uid: 'source',
        source: listSource(options),
        ...(options.watermarks ? { watermarks: options.watermarks as never } : {}),
      },
    ],
    outputs: [{ operator: 0, partition }],
    services: { sendReaderEvent: (_, event) => void events.push(event) },
    ...options.sketch,
  })
  return { chain, source: chain.source!, partition, events }
}

test('events are applied in order, once', async (t) => {
  const { chain, source, partition } = sourceChain()
  await chain.open()
  source.handleEvents([{ number: 2, event: splits(10, 12) }])
  t.is(source.assignmentsReceived, 0)
  source.handleEvents([{ number: 1, event: splits(0, 2) }])
  t.is(source.assignmentsReceived, 2)
  source.handleEvents([
    { number: 2, event: splits(10, 12) },
    { number: 3, event: noMore },
  ])
  t.is(source.poll(100, 10, never), 'end-of-input')
  t.deepEqual(partition.values, [0, 1, 10, 11])
})

test('a checkpoint covers events up to its number: earlier ones are awaited, later ones deferred', async (t) => {
  const { chain, source } = sourceChain()
  await chain.open()
  source.handleEvents([{ number: 1, event: splits(0, 2) }])
  t.false(source.coverEvents(2))
  source.handleEvents([
    { number: 2, event: splits(2, 4) },
    { number: 3, event: splits(4, 6) },
  ])
  t.true(source.coverEvents(2))
  t.is(source.assignmentsReceived, 2)
  const { operator } = await source.snapshot(7)
  t.like(decodeValue(operator!), { received: 2, splits: [{ splitId: '0' }, { splitId: '2' }] })
  source.releaseEvents()
  t.is(source.assignmentsReceived, 3)
  t.throws(() => source.coverEvents(2), { code: 'CHECKPOINT_FAILED' })
})

test('from the trigger on what the snapshot does not cover is held back, though the checkpoint begins a turn later', async (t) => {
  const { chain, source } = sourceChain()
  await chain.open()
  const declined: unknown[] = []
  const trigger = new PendingTrigger({
    source,
    operatorId: 'source',
    subtaskIndex: 0,
    allChannelsEnded: () => false,
    decline: (_, cause) => declined.push(cause),
  })
  source.handleEvents([{ number: 1, event: splits(0, 2) }])
  trigger.set({ checkpointId: 7, epoch: '', timestamp: 0, assigned: { source: { 0: 1 } } })
  source.handleEvents([{ number: 2, event: noMore }])
  t.true(trigger.cover())
  t.is(source.assignmentsReceived, 1)
  trigger.clear(7)
  t.is(source.assignmentsReceived, 2)
  t.deepEqual(declined, [])
})

test('a restored reader has its splits and says which event was the last', async (t) => {
  const first = sourceChain()
  await first.chain.open()
  first.source.handleEvents([{ number: 1, event: splits(0, 10) }])
  first.source.poll(4, 10, never)
  const { operator } = await first.source.snapshot(1)
  const restored = {
    checkpointId: 1,
    parallelism: 1,
    operators: { [stableId('source')]: [{ subtaskIndex: 0, keyed: [], inline: operator! }] },
  }
  const second = sourceChain({ sketch: { restored, outputs: [{ operator: 0, partition: first.partition }] } })
  await second.chain.open()
  second.source.handleEvents([{ number: 2, event: noMore }])
  t.is(second.source.poll(100, 10, never), 'end-of-input')
  t.deepEqual(first.partition.values, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('nothing available: asks for a turn when that changes', async (t) => {
  let woken = 0
  const gate: { limit: number; changed?: () => void } = { limit: 1 }
  const { chain, source } = sourceChain({ gate, sketch: { services: { wake: () => void woken++ } } })
  await chain.open()
  source.handleEvents([{ number: 1, event: splits(0, 2) }])
  t.is(source.poll(100, 10, never), 'nothing-available')
  source.awaitInput()
  t.false(source.mayHaveInput)
  woken = 0
  gate.limit = 2
  gate.changed!()
  await settle()
  t.true(source.mayHaveInput)
  t.is(woken, 1)
})

test('back pressure ends a poll', async (t) => {
  const { chain, source, partition } = sourceChain()
  await chain.open()
  source.handleEvents([{ number: 1, event: splits(0, 100) }])
  t.is(
    source.poll(100, 10, () => partition.records.length >= 5),
    'more-available',
  )
  t.is(partition.records.length, 5)
})

test('watermarks: at intervals, behind the records, with idleness', async (t) => {
  const clock = new FakeClock(0)
  const { chain, source, partition } = sourceChain({
    record: (n) => ({ at: n * 10 }),
    watermarks: { timestamp: 'at', maxOutOfOrderness: 5, idleness: '1 s' },
    sketch: { clock },
  })
  await chain.open()
  chain.processProcessingTime(clock.now())
  source.handleEvents([{ number: 1, event: splits(0, 3) }])
  source.poll(3, 10, never)
  t.deepEqual(
    partition.records.map((r) => r.timestamp),
    [0, 10, 20],
  )
  t.is(chain.nextProcessingTime, 200)
  chain.processProcessingTime(200)
  t.deepEqual(partition.events, [{ kind: 'watermark', timestamp: 14 }])
  for (let due = chain.nextProcessingTime; due !== undefined && due < 5_000; due = chain.nextProcessingTime)
    chain.processProcessingTime(due)
  t.deepEqual(partition.events.slice(1), [{ kind: 'stream-status', idle: true }])
  source.handleEvents([{ number: 2, event: splits(9, 10) }])
  source.poll(3, 10, never)
  t.deepEqual(partition.events.slice(2), [{ kind: 'stream-status', idle: false }])
})

test('an assigner swallows the watermarks before it, but not the end', async (t) => {
  const partition = new RecordingPartition()
  const before = new RecordingPartition()
  const { chain } = makeChain({
    operators: [
      { kind: 'map', f: (x: number) => x },
      {
        kind: 'timestamps',
        watermarks: { timestamp: ((x: number) => x) as never, generator: () => ({ onEvent: (_: never, at: number) => at - 1 }) },
      },
      { kind: 'map', f: (x: number) => x },
    ],
    outputs: [
      { operator: 0, partition: before },
      { operator: 2, partition },
    ],
  })
  await chain.open()
  chain.processBatch(batchOf([5, 9, 7]), 0)
  chain.processWatermark(100)
  t.deepEqual(
    partition.records.map((r) => r.timestamp),
    [5, 9, 7],
  )
  t.deepEqual(partition.events, [
    { kind: 'watermark', timestamp: 4 },
    { kind: 'watermark', timestamp: 8 },
  ])
  t.deepEqual(before.events, [{ kind: 'watermark', timestamp: 100 }])
  await chain.finish()
  t.deepEqual(partition.events.at(-1), { kind: 'watermark', timestamp: Infinity })
})
