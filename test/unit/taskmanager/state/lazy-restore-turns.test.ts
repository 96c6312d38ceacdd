import test from 'ava'
import { LazyRestore } from '#taskmanager/state/lazy-restore.js'
import type { PendingRows } from '#taskmanager/state/pending-rows.js'
import { FakeClock } from '../../../support/fake-clock.js'

/** Time also passes within a turn. */
class WorkClock extends FakeClock {
  workedMs = 0
  override monotonicMs(): number {
    return super.monotonicMs() + this.workedMs
  }
}

/** A restore of so many blocks, each of which takes so long. */
function underTest(blocks: number, blockMs: number) {
  const clock = new WorkClock()
  let left = blocks
  const rows = {
    get hashCount() {
      return left
    },
    step() {
      left--
      clock.workedMs += blockMs
    },
  } as unknown as PendingRows
  let isOver = false
  const restore = new LazyRestore({ clock, fail: (error) => Promise.reject(error), over: () => (isOver = true) })
  restore.add(rows)
  return { clock, restore, left: () => left, isOver: () => isOver }
}

test('after a block that takes long the task has as much time for itself', async (t) => {
  const { clock, left, isOver } = underTest(3, 50)
  await clock.advance(0)
  t.is(left(), 2)
  await clock.advance(49)
  t.is(left(), 2)
  await clock.advance(1)
  t.is(left(), 1)
  await clock.advance(50)
  t.true(isOver())
})

test('small blocks follow each other at once', async (t) => {
  const { clock, isOver } = underTest(100, 1)
  await clock.advance(0)
  t.true(isOver())
})

test('closed in such a pause, it takes no more turn', async (t) => {
  const { clock, restore, left } = underTest(3, 50)
  await clock.advance(0)
  restore.close()
  await clock.advance(1_000)
  t.is(left(), 2)
})
