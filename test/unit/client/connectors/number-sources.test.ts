import test from 'ava'
import { CollectionSource } from '#client/connectors/collection-source.js'
import { generatorSource, SequenceSource } from '#client/connectors/sequence-source.js'
import type { Source, SourceSplit } from '#core/functions/source.js'
import { between, seededRandom } from '#core/random.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { SourceDriver } from '../../../support/source-driver.js'

type AnySource<T> = Source<T, SourceSplit, unknown>
const clock = new FakeClock()

/** All records, with a restore at another parallelism somewhere on the way. */
function interrupted<T>(source: AnySource<T>, seed: number): readonly T[] {
  const random = seededRandom(seed)
  const first = new SourceDriver(source, { parallelism: between(random, 1, 5), clock })
  for (let polls = between(random, 0, 15); polls > 0; polls--) first.poll(between(random, 0, first.parallelism))
  const second = new SourceDriver(source, { parallelism: between(random, 1, 5), clock, restored: first.snapshot() })
  return [...first.records, ...second.drain()]
}

test('sequence, generator and collection give each record once', (t) => {
  const expected = Array.from({ length: 4_000 }, (_, i) => i)
  for (let seed = 1; seed <= 12; seed++) {
    const sorted = (records: readonly number[]) => [...records].sort((a, b) => a - b)
    t.deepEqual(sorted(interrupted(new SequenceSource(0, 3_999) as unknown as AnySource<number>, seed)), expected)
    t.deepEqual(
      sorted(
        interrupted(
          generatorSource((i) => i, { count: 4_000 }),
          seed,
        ),
      ),
      expected,
    )
    t.deepEqual(sorted(interrupted(new CollectionSource(expected) as unknown as AnySource<number>, seed)), expected)
  }
})

test('an empty sequence ends', (t) => {
  t.deepEqual(new SourceDriver(new SequenceSource(5, 4) as unknown as AnySource<number>, { parallelism: 3, clock }).drain(), [])
  t.deepEqual(new SourceDriver(new CollectionSource([]) as unknown as AnySource<number>, { parallelism: 1, clock }).drain(), [])
})

test('a rate is kept over all subtasks, and a pause is not made up for without bound', async (t) => {
  const paced = new FakeClock()
  const run = new SourceDriver(
    generatorSource((i) => i, { ratePerSecond: 100 }),
    { parallelism: 2, clock: paced },
  )
  const pollBoth = () => {
    for (let i = 0; i < 6; i++) run.poll(i % 2)
  }
  pollBoth()
  await paced.advance(10_000)
  t.true(run.records.length <= 2)
  pollBoth() // One second's worth.
  t.true(run.records.length <= 104, `${run.records.length}`)
  const before = run.records.length
  for (let i = 0; i < 100; i++) {
    await paced.advance(100)
    pollBoth()
  }
  t.true(Math.abs(run.records.length - before - 1_000) <= 4, `${run.records.length - before}`)
  t.is(new Set(run.records).size, run.records.length)
})
