import test from 'ava'
import { between, seededRandom } from '#core/random.js'
import { type Barrier, BarrierAligner } from '#taskmanager/task/barrier-aligner.js'

const barrier = (checkpointId: number, epoch = '1:0000000000000001'): Barrier => ({ kind: 'barrier', checkpointId, epoch, timestamp: 0 })
const kinds = (effects: readonly { kind: string }[]) => effects.map((e) => e.kind)

test('holds channels back until the last barrier', (t) => {
  const aligner = new BarrierAligner(3, true)
  t.deepEqual(aligner.barrierReceived(0, barrier(1)), [{ kind: 'block', channel: 0 }])
  t.deepEqual(aligner.barrierReceived(2, barrier(1)), [{ kind: 'block', channel: 2 }])
  t.deepEqual(kinds(aligner.barrierReceived(1, barrier(1))), ['block', 'aligned', 'unblock', 'unblock', 'unblock'])
})

test('at least once, nothing is held back', (t) => {
  const aligner = new BarrierAligner(2, false)
  t.deepEqual(aligner.barrierReceived(0, barrier(1)), [])
  t.deepEqual(kinds(aligner.barrierReceived(1, barrier(1))), ['aligned'])
})

test('an ended channel counts as aligned', (t) => {
  const aligner = new BarrierAligner(2, true)
  aligner.barrierReceived(0, barrier(1))
  t.deepEqual(kinds(aligner.channelEnded(1)), ['aligned', 'unblock'])
  t.deepEqual(kinds(aligner.barrierReceived(0, barrier(2))), ['block', 'aligned', 'unblock'])
})

test('a message triggers a task whose channels have all ended', (t) => {
  const aligner = new BarrierAligner(1, true)
  t.deepEqual(aligner.channelEnded(0), [])
  t.deepEqual(kinds(aligner.barrierReceived(undefined, barrier(4))), ['aligned'])
})

test('late barriers are ignored, higher ones end an alignment', (t) => {
  const aligner = new BarrierAligner(2, true)
  aligner.barrierReceived(0, barrier(2))
  const effects = aligner.barrierReceived(1, barrier(3))
  t.deepEqual(kinds(effects), ['unblock', 'superseded', 'block'])
  t.deepEqual(aligner.barrierReceived(1, barrier(2)), [])
  t.deepEqual(kinds(aligner.barrierReceived(0, barrier(3))), ['block', 'aligned', 'unblock', 'unblock'])
  t.deepEqual(aligner.barrierReceived(0, barrier(3)), [])
})

test('an aborted checkpoint lets go of the channels, and its barriers are ignored', (t) => {
  const aligner = new BarrierAligner(2, true)
  aligner.barrierReceived(0, barrier(5))
  t.deepEqual(aligner.aborted(5), [{ kind: 'unblock', channel: 0 }])
  t.deepEqual(aligner.barrierReceived(1, barrier(5)), [])
  t.deepEqual(kinds(aligner.barrierReceived(1, barrier(6))), ['block'])
  t.deepEqual(aligner.aborted(5), [])
  t.is(aligner.aligning?.checkpointId, 6)
})

test('barriers of a deposed leader lose against those of its successor', (t) => {
  const aligner = new BarrierAligner(2, true)
  aligner.barrierReceived(0, barrier(9, '1:0000000000000001'))
  t.true(kinds(aligner.barrierReceived(1, barrier(8, '1:0000000000000002'))).includes('superseded'))
  t.deepEqual(aligner.barrierReceived(1, barrier(10, '1:0000000000000001')), [])
})

test('random interleavings: every record is on the right side of every completed checkpoint', (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed)
    const channelCount = between(random, 1, 5)
    const last = between(random, 1, 6)
    // Each channel: records named by the barriers before them, barriers (some are lost: the checkpoint was aborted), an end.
    const lost = new Set(Array.from({ length: last }, (_, i) => i + 1).filter(() => random.next() < 0.2))
    const streams = Array.from({ length: channelCount }, () =>
      Array.from({ length: last }, (_, i) => i + 1).flatMap((id) => [
        ...Array.from({ length: between(random, 0, 3) }, () => ({ record: id - 1 })),
        ...(lost.has(id) && random.next() < 0.5 ? [] : [{ barrier: id }]),
      ]),
    )
    const aligner = new BarrierAligner(channelCount, true)
    const blocked = new Set<number>()
    const completed: number[] = []
    let taken = 0
    const apply = (effects: ReturnType<BarrierAligner['channelEnded']>) => {
      for (const effect of effects) {
        if (effect.kind === 'block') blocked.add(effect.channel)
        else if (effect.kind === 'unblock') blocked.delete(effect.channel)
        else if (effect.kind === 'aligned') {
          completed.push(effect.barrier.checkpointId)
          taken = effect.barrier.checkpointId
        }
      }
    }
    const ended = new Set<number>()
    while (ended.size < channelCount) {
      const open = Array.from({ length: channelCount }, (_, c) => c).filter((c) => !blocked.has(c) && !ended.has(c))
      if (open.length === 0) {
        // All wait for a barrier that was lost: the coordinator aborts it.
        apply(aligner.aborted(aligner.aligning!.checkpointId))
        continue
      }
      const channel = open[between(random, 0, open.length)]!
      const next = streams[channel]!.shift()
      if (!next) {
        ended.add(channel)
        apply(aligner.channelEnded(channel))
      } else if ('barrier' in next) apply(aligner.barrierReceived(channel, barrier(next.barrier)))
      else t.true(next.record >= taken, `seed ${seed}: a record from before checkpoint ${taken} came after it`)
    }
    t.deepEqual(
      [...completed].sort((a, b) => a - b),
      completed,
      `seed ${seed}`,
    )
    t.is(blocked.size, 0, `seed ${seed}`)
    if (lost.size === 0) t.is(completed.length, last, `seed ${seed}`)
  }
})
