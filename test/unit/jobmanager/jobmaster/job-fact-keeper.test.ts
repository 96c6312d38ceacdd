import test from 'ava'
import { FlottError } from '#core/errors.js'
import { JobFactKeeper } from '#jobmanager/jobmaster/job-fact-keeper.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { FakeReign } from '../../../support/control-plane.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { MemoryFacts } from '../../../support/memory-storage.js'

const FACT: JobFact = {
  jobId: 'j',
  jobName: 'job',
  target: 'RUNNING',
  submittedTime: 0,
  jobGraph: 'graph/g',
  checkpoints: [],
  checkpointIdReserved: 0,
  attemptNumber: 0,
  restarts: { count: 0 },
}
const reserve = (upTo: number) => (fact: JobFact) => ({ ...fact, checkpointIdReserved: upTo })

async function world() {
  const facts = new MemoryFacts()
  const version = await facts.createJob(FACT)
  const clock = new FakeClock()
  const reign = new FakeReign({ incarnation: 0, czxid: '1' }, facts)
  const keeper = new JobFactKeeper(reign, clock, { value: FACT, version })
  return { facts, clock, reign, keeper }
}

test('a set that a full disk refused is repeated until there is room', async (t) => {
  const { facts, clock, keeper } = await world()
  let full = true
  facts.beforeWrite = () => {
    if (full) throw new FlottError('STORAGE_FULL', 'the disk is full')
  }
  let done = false
  const update = keeper.update(reserve(7)).then(() => (done = true))
  await clock.advance(5_000)
  t.false(done)
  full = false
  await clock.advance(1_000)
  await update
  t.is(facts.jobs.get('j')!.value.checkpointIdReserved, 7)
})

test('a set that was reported as failed, and shows up later, is taken for what it is', async (t) => {
  const { facts, clock, keeper } = await world()
  const late = { value: reserve(7)(FACT), version: 1 }
  let attempts = 0
  facts.beforeWrite = () => {
    if (++attempts === 1) throw new FlottError('STORAGE_FAILED', 'sync failed')
    if (attempts === 2) facts.jobs.set('j', late) // Opened anew by this write.
  }
  const update = keeper.update(reserve(7))
  await clock.advance(1_000)
  await update
  t.is(keeper.version, 1)
  await keeper.update(reserve(8))
  t.is(facts.jobs.get('j')!.version, 2)
})

test("someone else's write is a conflict, also after a failure", async (t) => {
  const { facts, clock, keeper } = await world()
  let attempts = 0
  facts.beforeWrite = () => {
    if (++attempts === 1) throw new FlottError('STORAGE_FAILED', 'sync failed')
    facts.jobs.set('j', { value: reserve(99)(FACT), version: 1 })
  }
  const update = keeper.update(reserve(7))
  const rejected = t.throwsAsync(update, { code: 'FACT_CONFLICT' })
  await clock.advance(1_000)
  await rejected
})

test('the end of the session is the end of the reign, and no failure of the set', async (t) => {
  const { facts, clock, reign, keeper } = await world()
  facts.beforeWrite = () => {
    throw new FlottError('ZOOKEEPER_SESSION_EXPIRED', 'session 1 has ended')
  }
  let failure: unknown
  const update = keeper.update(reserve(7)).catch((error: unknown) => (failure = error))
  await clock.advance(1_000)
  t.is(failure, undefined) // The reign has not learnt it yet: nobody draws a conclusion.
  reign.end()
  await update
  t.is((failure as FlottError).code, 'NOT_LEADER')
})
