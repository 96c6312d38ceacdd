import test from 'ava'
import { between } from '#core/random.js'
import { DEFAULT_CHECKPOINT_SETTINGS } from '#jobmanager/jobmaster/checkpoint/checkpoint-settings.js'
import { type Chances, CheckpointWorld, NO_FAULTS } from './checkpoint-world.js'

const settings = { ...DEFAULT_CHECKPOINT_SETTINGS, intervalMs: 100, timeoutMs: 400, tolerableFailures: 2 }
const FAULTS: Chances = {
  decline: 0.05,
  silent: 0.03,
  lostNotification: 0.3,
  lostTrigger: 0.05,
  blobFails: 0.02,
  factRefused: 0.03,
  tellsTold: true,
}

for (const tellsTold of [true, false])
  test(`whatever fails, a checkpoint is complete when its fact is set, and nothing that it needs is deleted (told: ${tellsTold})`, async (t) => {
    let completed = 0
    let failures = 0
    for (let seed = 1; seed <= 8; seed++) {
      const start = seed % 2 === 0 ? 500 : 0 // Of another job.
      const world = new CheckpointWorld(t, seed, { ...settings, maxRetained: 1 + (seed % 3) }, { ...FAULTS, tellsTold }, start)
      for (let round = 0; round < 12; round++) {
        await world.clock.advance(between(world.random, 10, 1_000))
        const { history } = world.coordinator.statistics()
        // Where tasks say what they were told, no delta finds its base deleted; where not, the checkpoint fails instead of naming it.
        if (tellsTold) t.false(history.some(({ failureMessage }) => failureMessage?.includes('is gone')))
        world.pickFault()
      }
      // The faults end: checkpoints complete again, and what was left behind goes.
      world.chances = { ...NO_FAULTS, tellsTold }
      const before = world.completed
      await world.clock.advance(5_000)
      t.true(world.completed >= before + 5, `seed ${seed}: ${world.completed - before} completed once the faults had ended`)
      t.true(world.garbage.length <= 12 * 4, `seed ${seed}: ${world.garbage.join('\n')}`)
      t.is(world.coordinator.statistics().counts.inProgress <= 1, true)
      completed += world.completed
      failures += world.failures
    }
    t.true(completed > 400, `${completed}`)
    t.true(failures > 0, 'some jobs failed for their checkpoints')
  })

test('after a takeover the next checkpoint begins when it would have begun, or at once', async (t) => {
  const slow = { ...settings, intervalMs: 10_000, minPauseMs: 1_000, timeoutMs: 5_000 }
  const completedAfter = async (world: CheckpointWorld, ms: number) => {
    const before = world.completed
    await world.clock.advance(ms)
    return world.completed - before
  }
  const world = new CheckpointWorld(t, 1, slow, NO_FAULTS)
  t.is(await completedAfter(world, 11_000), 1)
  await world.takeOver()
  t.is(await completedAfter(world, 8_000), 0)
  t.is(await completedAfter(world, 2_000), 1)
  await world.clock.advance(8_800)
  await world.takeOver()
  t.is(await completedAfter(world, 1_000), 1)
  world.chances = { ...NO_FAULTS, silent: 1 } // None completes.
  await world.clock.advance(30_000)
  world.chances = NO_FAULTS
  await world.takeOver()
  t.is(await completedAfter(world, 1_000), 1)
  // An ordinary restart waits for an interval.
  world.restart()
  t.is(await completedAfter(world, 9_500), 0)
  t.is(await completedAfter(world, 1_500), 1)
})
