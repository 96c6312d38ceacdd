import test from 'ava'
import { silentLogger } from '#core/logger.js'
import { JobHistory, loadHistory, type RunningHistory } from '#jobmanager/jobmaster/job-history.js'
import type { JobMasterContext } from '#jobmanager/jobmaster/job-master-context.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { jobFact, linearGraph, MapBlobStore } from '../../../support/job-master-fixture.js'

function world() {
  const jobGraph = linearGraph([{ name: 'source', kind: 'source', parallelism: 1 }])
  const clock = new FakeClock()
  const blobs = new MapBlobStore()
  const state = { fact: jobFact(jobGraph), writes: 0, ended: false }
  const reign = new AbortController()
  const context = {
    jobGraph,
    clock,
    blobs,
    logger: silentLogger,
    signal: reign.signal,
    get fact() {
      return state.fact
    },
    updateFact: async (change: (fact: JobFact) => JobFact) => {
      state.writes++
      if (!state.ended) state.fact = change(state.fact)
      return state.fact
    },
    run: (turn: () => void) => turn(),
  } as unknown as JobMasterContext
  let failed = 0
  const current = (): RunningHistory => ({
    exceptions: [],
    exceptionsTruncated: false,
    timestamps: {},
    checkpoints: { counts: { restored: 0, total: failed, inProgress: 0, completed: 0, failed }, history: [] },
  })
  const history = new JobHistory(context, current)
  const change = () => {
    failed++
    history.changed()
  }
  return { clock, blobs, state, reign, change, stored: () => loadHistory(blobs, state.fact) }
}

test('the first change is stored at once, later ones at most every two seconds, and always the newest', async (t) => {
  const { clock, blobs, state, change, stored } = world()
  change()
  await clock.advance(1)
  t.is(state.writes, 1)
  for (let i = 0; i < 100; i++) {
    change()
    await clock.advance(100)
  }
  t.true(state.writes <= 7, String(state.writes))
  await clock.advance(2_000)
  t.is((await stored())?.checkpoints.counts.failed, 101)
  t.deepEqual([...blobs.blobs.keys()], [state.fact.history!], 'older ones are deleted')
  const { writes } = state
  await clock.advance(10_000)
  t.is(state.writes, writes, 'nothing has changed')
})

test('what the fact of an ended job does not take leaves nothing behind', async (t) => {
  const { clock, blobs, state, change } = world()
  state.ended = true
  change()
  await clock.advance(1)
  t.is(blobs.blobs.size, 0)
})

test('a store that fails is tried again with the next change; the end of the reign ends it', async (t) => {
  const { clock, blobs, state, reign, change, stored } = world()
  blobs.failing = () => new Error('full')
  change()
  await clock.advance(5_000)
  t.is(state.writes, 0)
  blobs.failing = () => undefined
  change()
  await clock.advance(1)
  t.is((await stored())?.checkpoints.counts.failed, 2)
  reign.abort()
  change()
  await clock.advance(10_000)
  t.is(state.writes, 1)
})

test('a history that is missing or can not be read is none', async (t) => {
  const { blobs, state } = world()
  t.is(await loadHistory(blobs, state.fact), undefined)
  t.is(await loadHistory(blobs, { ...state.fact, history: 'history/none' }), undefined)
})
