import test from 'ava'
import { FlottError } from '#core/errors.js'
import { between, pick, seededRandom } from '#core/random.js'
import { CollectedResults } from '#jobmanager/jobmaster/collected-results.js'
import { MemoryBlobs } from '../../../support/memory-storage.js'

const group = (attemptId: string, subtaskIndex: number, checkpointId: number, records: readonly unknown[]) => ({
  attemptId,
  operatorId: 'op',
  subtaskIndex,
  checkpointId,
  records,
})
let reigns = 0
function resultsOn(blobs: MemoryBlobs, { checkpointing = true, unfetchedMax = 100 } = {}): CollectedResults {
  const onNotDeleted = (error: unknown) => {
    throw error
  }
  const epoch = { incarnation: 0, czxid: (++reigns).toString(16).padStart(16, '0') }
  return new CollectedResults({ jobId: 'job', checkpointing, epoch, blobs, unfetchedMax, onNotDeleted })
}

test('with checkpoints a group that comes again, also from another attempt, is shown once', async (t) => {
  const results = resultsOn(new MemoryBlobs())
  await results.add(group('v_0_0', 0, 1, ['a', 'b']))
  await results.add(group('v_0_0', 0, 1, ['a', 'b']))
  await results.add(group('v_0_1', 0, 1, ['a', 'b']))
  await results.add(group('v_1_1', 1, 1, ['c']))
  t.deepEqual(results.fetch('op', 0), { records: ['a', 'b', 'c'], next: 3, more: false })
})

test('without checkpoints only a repeated call is recognised', async (t) => {
  const results = resultsOn(new MemoryBlobs(), { checkpointing: false })
  await results.add(group('v_0_0', 0, 1, ['a']))
  await results.add(group('v_0_0', 0, 1, ['a']))
  await results.add(group('v_0_1', 0, 1, ['a']))
  t.deepEqual(results.fetch('op', 0).records, ['a', 'a'])
})

test('what has arrived makes room', async (t) => {
  const results = resultsOn(new MemoryBlobs(), { unfetchedMax: 2 })
  await results.add(group('v_0_0', 0, 1, [1, 2]))
  t.false(results.hasRoom('op'))
  t.deepEqual(results.fetch('op', 0), { records: [1, 2], next: 2, more: false })
  t.deepEqual(results.fetch('op', 1), { records: [2], next: 2, more: false })
  t.true(results.hasRoom('op'))
  t.deepEqual(results.fetch('op', 2), { records: [], next: 2, more: false })
  t.deepEqual(results.fetch('unknown', 0), { records: [], next: 0, more: false })
})

test('an answer is of bounded size, and says that there is more', async (t) => {
  const results = resultsOn(new MemoryBlobs())
  await results.add(group('v_0_0', 0, 1, new Array(8_000).fill('x')))
  await results.add(group('v_0_0', 0, 2, new Array(8_000).fill('y')))
  const first = results.fetch('op', 0)
  t.is(first.records.length, 10_000)
  t.true(first.more)
  t.deepEqual(results.fetch('op', first.next), { records: new Array(6_000).fill('y'), next: 16_000, more: false })
})

test('nothing is shown, or counts as taken, before it is stored', async (t) => {
  const blobs = new MemoryBlobs()
  const results = resultsOn(blobs)
  blobs.beforePut = () => Promise.reject(new FlottError('STORAGE_FULL', 'full'))
  await t.throwsAsync(results.add(group('v_0_0', 0, 1, ['a'])), { code: 'STORAGE_FULL' })
  t.deepEqual(results.fetch('op', 0), { records: [], next: 0, more: false })
  blobs.beforePut = () => {}
  await results.add(group('v_0_0', 0, 1, ['a']))
  t.deepEqual(results.fetch('op', 0).records, ['a'])
})

test('of two groups that took the same number the one that was stored everywhere counts', async (t) => {
  const blobs = new MemoryBlobs()
  const results = resultsOn(blobs)
  // It is on this disk, but its sink was not told so.
  const { put } = blobs
  blobs.put = async (name, content) => {
    await put.call(blobs, name, content)
    throw new FlottError('REPLICATION_FAILED', 'the other disk does not answer')
  }
  await t.throwsAsync(results.add(group('v_0_0', 0, 1, ['a'])))
  blobs.put = put
  await results.add(group('v_1_0', 1, 1, ['b']))
  await results.add(group('v_0_0', 0, 1, ['a']))
  t.deepEqual(results.fetch('op', 0).records, ['b', 'a'])
  const next = resultsOn(blobs)
  await next.load()
  t.deepEqual(next.fetch('op', 0).records, ['b', 'a'])
})

test('a disk that was away brings back a group that nobody was told of: what was stored in its place counts', async (t) => {
  const [here, away] = [new MemoryBlobs(), new MemoryBlobs()]
  await resultsOn(away).add(group('v_0_0', 0, 1, ['a', 'a']))
  const results = resultsOn(here)
  await results.add(group('v_1_0', 1, 1, ['b']))
  await results.add(group('v_0_0', 0, 1, ['a', 'a']))
  for (const [name, content] of here.blobs) away.blobs.set(name, content)
  t.is(away.blobs.size, 3)
  const next = resultsOn(away)
  await next.load()
  t.deepEqual(next.fetch('op', 0).records, ['b', 'a', 'a'])
})

test('what the client has is deleted, but for the newest groups, which may come again', async (t) => {
  const blobs = new MemoryBlobs()
  const results = resultsOn(blobs)
  for (let checkpoint = 1; checkpoint <= 100; checkpoint++) {
    await results.add(group('v_0_0', 0, checkpoint, [checkpoint]))
    t.deepEqual(results.fetch('op', checkpoint - 1).records, [checkpoint])
    results.fetch('op', checkpoint)
  }
  t.is(blobs.names('collected/job/').length, 8)
  const next = resultsOn(blobs)
  await next.load()
  await next.add(group('v_0_1', 0, 99, [99]))
  await next.add(group('v_0_1', 0, 100, [100]))
  await next.add(group('v_0_1', 0, 101, [101]))
  t.deepEqual(next.fetch('op', 100), { records: [101], next: 101, more: false })
})

test('in any history of leaders, failed writes and repeated groups the client has each record once', async (t) => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed)
    const blobs = new MemoryBlobs()
    blobs.beforePut = () => {
      if (between(random, 0, 4) === 0) throw new FlottError('STORAGE_FAILED', 'not now')
    }
    let results = resultsOn(blobs)
    const got: unknown[] = []
    let after = 0
    let checkpoint = 0
    const unacknowledged: ReturnType<typeof group>[] = []
    const sent: unknown[] = []
    const fetch = () => {
      const answer = results.fetch('op', after)
      got.push(...answer.records)
      after = answer.next
    }
    for (let step = 0; step < 60; step++) {
      const action = between(random, 0, 5)
      if (action === 0) {
        checkpoint++
        for (const subtask of [0, 1]) {
          const records = Array.from({ length: between(random, 1, 4) }, (_, i) => `${subtask}/${checkpoint}/${i}`)
          sent.push(...records)
          unacknowledged.push(group(`v_${subtask}_0`, subtask, checkpoint, records))
        }
      } else if (action <= 2 && unacknowledged.length > 0) {
        const next = pick(random, unacknowledged)
        // Its answer may be lost.
        await results.add(next).then(
          () => between(random, 0, 2) === 0 || unacknowledged.splice(unacknowledged.indexOf(next), 1),
          () => {},
        )
      } else if (action === 3) {
        results = resultsOn(blobs)
        await results.load()
      } else fetch()
    }
    blobs.beforePut = () => {}
    for (const left of unacknowledged) await results.add(left)
    fetch()
    t.deepEqual(got.toSorted(), sent.toSorted(), `seed ${seed}`)
  }
})
