import test from 'ava'
import { isFlottError } from '#core/errors.js'
import type { EdgeDefinition } from '#core/functions/operator-definition.js'
import { seededRandom } from '#core/random.js'
import { keyGroupOf, keyHash, operatorIndexOf } from '#core/serialization/key-hash.js'
import type { Partitioner } from '#protocol/graph/job-graph.js'
import { exchangePair, type PairOptions, pollAll, received } from '../../../support/exchange-pair.js'

const rings: readonly PairOptions[] = [{}, { ring: { slots: 32 } }]
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** The values that each consumer got. */
function sent(partitioner: Partitioner, options: PairOptions, records: readonly unknown[]): unknown[][] {
  const { partitions, gates } = exchangePair({ consumers: 3, partitioner, ...options })
  for (const record of records) partitions[0]!.emit(record, Number.NaN)
  partitions[0]!.flush()
  return gates.map((gate) => pollAll(gate).values)
}

for (const options of rings) {
  const where = options.ring ? 'through rings' : 'within a slot'
  const numbers = times(300, (i) => i)

  test(`rebalance goes round ${where}`, (t) => {
    const got = sent('rebalance', options, numbers)
    t.deepEqual(
      got.map((values) => values.length),
      [100, 100, 100],
    )
    for (const values of got) t.true(values.every((v, i) => i === 0 || (v as number) - (values[i - 1] as number) === 3))
  })
  test(`global takes the first channel ${where}`, (t) => {
    t.deepEqual(sent('global', options, numbers), [numbers, [], []])
  })
  test(`forward and rescale take the one channel ${where}`, (t) => {
    for (const partitioner of ['forward', 'rescale'] as const)
      t.deepEqual(sent(partitioner, { ...options, consumers: 1 }, numbers), [numbers])
  })
  test(`broadcast reaches all ${where}`, (t) => {
    t.deepEqual(sent('broadcast', options, numbers), [numbers, numbers, numbers])
  })
  test(`shuffle follows the seed ${where}`, (t) => {
    const got = sent('shuffle', { ...options, random: seededRandom(5) }, numbers)
    t.deepEqual(sent('shuffle', { ...options, random: seededRandom(5) }, numbers), got)
    t.true(got.every((values) => values.length > 60))
    t.deepEqual(
      got.flat().sort((a, b) => (a as number) - (b as number)),
      numbers,
    )
  })
  test(`custom asks the function ${where}`, (t) => {
    const functions: EdgeDefinition = { key: { field: 'n' }, partition: ((n: number, consumers: number) => n % consumers) as never }
    const records = times(30, (n) => ({ n }))
    const got = sent('custom', { ...options, functions }, records)
    t.deepEqual(
      got[1],
      records.filter(({ n }) => n % 3 === 1),
    )
    for (const index of [3, -1, 0.5, Number.NaN, undefined]) {
      const error = t.throws(() => sent('custom', { ...options, functions: { partition: () => index as number } }, [1]))
      t.true(isFlottError(error, 'INVALID_ARGUMENT'))
    }
  })

  const selectors: [string, EdgeDefinition['key'], (record: { user: string; n: number; b: boolean }) => never][] = [
    ['a string field', { field: 'user' }, (r) => r.user as never],
    ['a number field', { field: 'n' }, (r) => r.n as never],
    ['two fields', { fields: ['user', 'n'] }, (r) => [r.user, r.n] as never],
    ['a function', { select: ((r: { n: number }) => [r.n % 7, true]) as never }, (r) => [r.n % 7, true] as never],
  ]
  for (const [name, key, keyOf] of selectors)
    test(`hash by ${name} sends each key to its owner, with its hash, ${where}`, (t) => {
      const records = times(2_000, (n) => ({ user: `u${n % 50}`, n: n - 500, b: n % 2 === 0 }))
      const maxParallelism = 10
      const { partitions, gates } = exchangePair({
        ...options,
        consumers: 3,
        partitioner: 'hash',
        maxParallelism,
        functions: { key: key! },
      })
      for (const record of records) partitions[0]!.emit(record, Number.NaN)
      partitions[0]!.flush()
      let total = 0
      for (const [consumer, gate] of gates.entries()) {
        const { values, hashes } = pollAll(gate)
        total += values.length
        for (const [i, value] of (values as typeof records).entries()) {
          const hash = keyHash(keyOf(value))
          if (hashes[i] !== hash) t.fail('hash')
          if (operatorIndexOf(keyGroupOf(hash, maxParallelism), maxParallelism, 3) !== consumer) t.fail('consumer')
        }
      }
      t.is(total, records.length)
    })

  test(`a key that is none is refused ${where}`, (t) => {
    const { partitions } = exchangePair({ ...options, partitioner: 'hash', functions: { key: { field: 'k' } } })
    for (const k of [null, undefined, Number.NaN, {}]) {
      const error = t.throws(() => partitions[0]!.emit({ k }, Number.NaN))
      t.true(isFlottError(error, 'KEY_UNSUPPORTED'))
    }
  })

  test(`events come in order behind the records before them ${where}`, (t) => {
    const { partitions, gates } = exchangePair({ ...options, producers: 2, consumers: 2 })
    const events = times(5, (i) => ({ kind: 'watermark', timestamp: i * 1000 }) as const)
    const expected: unknown[][] = [[], []]
    const start = (partitions[0] as unknown as { next: number }).next
    for (let i = 0; i < 5_000; i++) {
      partitions[0]!.emit(i, i)
      expected[(start + i) % 2]!.push(i)
      if (i % 1000 === 700) {
        const event = events[Math.floor(i / 1000)]!
        partitions[0]!.broadcastEvent(event)
        for (const list of expected) list.push(event)
      }
    }
    partitions[1]!.broadcastEvent({ kind: 'end-of-partition' })
    partitions[0]!.flush()
    const got = gates.map((gate) => received() && pollAll(gate))
    for (const [consumer, { sequence, channels }] of got.entries()) {
      t.deepEqual(
        sequence.filter((_, i) => channels[i] === 0),
        expected[consumer],
      )
      t.deepEqual(
        sequence.filter((_, i) => channels[i] === 1),
        [{ kind: 'end-of-partition' }],
      )
    }
  })

  test(`a blocked channel holds its input, the others flow ${where}`, (t) => {
    const { partitions, gates } = exchangePair({ ...options, producers: 2 })
    const gate = gates[0]!
    gate.block(0)
    for (let i = 0; i < 100; i++) for (const [p, partition] of partitions.entries()) partition.emit(`${p}:${i}`, Number.NaN)
    for (const partition of partitions) partition.broadcastEvent({ kind: 'watermark', timestamp: 1 })
    const first = pollAll(gate)
    t.true(first.channels.every((channel) => channel === 1))
    t.is(first.sequence.length, 101)
    t.false(gate.hasInput)
    gate.block(1)
    for (const partition of partitions) partition.emit('more', Number.NaN)
    for (const partition of partitions) partition.flush()
    t.is(gate.poll(), undefined)
    gate.unblock(0)
    t.true(gate.hasInput)
    t.is(pollAll(gate).sequence.length, 102)
    gate.unblock(1)
    t.deepEqual(pollAll(gate).values, ['more'])
  })

  test(`a full channel holds the task back, and loses nothing, ${where}`, (t) => {
    const { partitions, gates } = exchangePair({
      ...options,
      ...(options.ring ? { ring: { slots: 2, slotBytes: 1024 } } : {}),
      consumers: 2,
    })
    const partition = partitions[0]!
    t.false(partition.isBackPressured)
    const records = times(20_000, (i) => ({ i, text: `record ${i}` }))
    for (const record of records) partition.emit(record, Number.NaN)
    partition.broadcastEvent({ kind: 'end-of-data', drain: true })
    t.true(partition.isBackPressured)
    t.false(partition.drain())
    const got = gates.map(() => received())
    for (let turns = 0; turns < 10_000 && !partition.drain(); turns++) for (const [c, gate] of gates.entries()) pollAll(gate, got[c])
    t.false(partition.isBackPressured)
    for (const [c, gate] of gates.entries()) pollAll(gate, got[c])
    t.deepEqual(got[0]!.sequence.at(-1), { kind: 'end-of-data', drain: true })
    for (const { values } of got)
      t.true(values.every((v, i) => i === 0 || (v as { i: number }).i === (values[i - 1] as { i: number }).i + 2))
    t.is(got[0]!.values.length + got[1]!.values.length, records.length)
    t.is(partition.numRecordsOut, records.length)
  })

  test(`busy channels do not starve the others ${where}`, (t) => {
    const { partitions, gates } = exchangePair({ ...options, producers: 3 })
    for (const partition of partitions) for (let i = 0; i < 5_000; i++) partition.emit(i, Number.NaN)
    for (const partition of partitions) partition.flush()
    const order: number[] = []
    for (let polled = gates[0]!.poll(); polled && order.length < 6; polled = gates[0]!.poll()) order.push(polled.channel)
    t.deepEqual(order, [0, 1, 2, 0, 1, 2])
  })
}

test('within a slot records go by reference, before any flush', (t) => {
  const { partitions, gates } = exchangePair({})
  const record = { f: () => 1 }
  partitions[0]!.emit(record, 5)
  t.true(gates[0]!.hasInput)
  const { values, timestamps } = pollAll(gates[0]!)
  t.is(values[0], record)
  t.deepEqual(timestamps, [5])
})

test('a half-filled frame goes with a flush', (t) => {
  const { partitions, gates } = exchangePair({ ring: { slots: 8 } })
  partitions[0]!.emit(1, Number.NaN)
  t.false(gates[0]!.hasInput)
  partitions[0]!.flush()
  t.deepEqual(pollAll(gates[0]!).values, [1])
  partitions[0]!.flush()
  t.false(gates[0]!.hasInput)
})

test('an emit that was kept goes on working when the schema changes', (t) => {
  const { partitions, gates } = exchangePair({ ring: { slots: 8 } })
  const { emit } = partitions[0]!
  const records = times(1_000, (i) => (i < 500 ? { i } : { i, s: 'x' }))
  for (const record of records) emit(record, Number.NaN)
  partitions[0]!.flush()
  t.deepEqual(pollAll(gates[0]!).values, records)
  t.not(partitions[0]!.emit, emit)
})

test('what goes to a closed consumer within the slot is dropped', (t) => {
  const { partitions, gates } = exchangePair({})
  gates[0]!.close()
  for (let i = 0; i < 100_000; i++) partitions[0]!.emit(i, Number.NaN)
  partitions[0]!.broadcastEvent({ kind: 'end-of-partition' })
  t.false(partitions[0]!.isBackPressured)
  t.is(gates[0]!.poll(), undefined)
})
