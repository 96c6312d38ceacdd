import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { compareEpochs } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { EmbeddedLeaderElection, FixedLeaderRetrieval } from '#ha/embedded/embedded-leader-election.js'
import { levelFactStore } from '#ha/embedded/level-fact-store.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { overLevel } from '#storage/data-directory.js'
import { BINARY, type LevelDatabase } from '#storage/level-database.js'
import { FakeClock } from '../../support/fake-clock.js'

async function process(db: LevelDatabase) {
  const disk = await overLevel(db)
  const clock = new FakeClock()
  const retrieval = new FixedLeaderRetrieval()
  const heard: (string | undefined)[] = []
  retrieval.watch((leader) => heard.push(leader?.jobManagerId))
  const election = new EmbeddedLeaderElection({
    facts: levelFactStore(db),
    disk,
    clock,
    logger: silentLogger,
    retryWaitMs: 100,
    onPublished: (leader) => retrieval.set(leader),
  })
  const reigns: Reign[] = []
  return { disk, clock, retrieval, election, reigns, heard }
}

test('the only candidate leads at once; each start and each reign has a higher epoch, on disk before', async (t) => {
  const db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
  const first = await process(db)
  await first.election.start({
    onGranted: async (reign) => {
      first.reigns.push(reign)
      t.deepEqual(first.disk.epoch, reign.epoch)
    },
  })
  await first.election.stepDown('test')
  await first.election.stop()
  const second = await process(db)
  await second.election.start({ onGranted: async (reign) => void second.reigns.push(reign) })
  const epochs = [...first.reigns, ...second.reigns].map((r) => r.epoch)
  t.is(epochs.length, 3)
  t.true(compareEpochs(epochs[1]!, epochs[0]!) > 0 && compareEpochs(epochs[2]!, epochs[1]!) > 0)
  t.true(first.reigns.every((r) => r.signal.aborted))
  await t.throwsAsync(first.reigns[0]!.whenConfirmed(), { code: 'NOT_LEADER' })
})

test('who publishes is found in this process, until the reign ends', async (t) => {
  const { election, heard } = await process(new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase)
  const info = (reign: Reign): LeaderInfo => ({ jobManagerId: 'a', rpcAddress: 'a:1', restUrl: 'http://a', epoch: reign.epoch })
  await election.start({ onGranted: (reign) => reign.publish(info(reign)) })
  await election.stepDown('test', { again: false })
  t.deepEqual(heard, ['a', undefined])
})

test('a takeover that fails is tried again', async (t) => {
  const { clock, election, reigns } = await process(new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase)
  await election.start({
    onGranted: async (reign) => {
      reigns.push(reign)
      if (reigns.length === 1) throw new Error('not yet')
    },
  })
  await clock.runUntil(() => reigns.length === 2, { withinMs: 1_000 })
  t.true(reigns[0]!.signal.aborted)
  t.false(reigns[1]!.signal.aborted)
  await election.stop()
})
