import test from 'ava'
import { Alignment } from '#taskmanager/task/alignment.js'

const barrier = (checkpointId: number) => ({ kind: 'barrier', checkpointId, epoch: '1:0000000000000001', timestamp: 0 }) as const

function alignment() {
  const at = { ms: 0, bytes: 0 }
  const measured = new Alignment(
    () => at.ms,
    () => at.bytes,
  )
  const pass = (ms: number, bytes: number) => {
    at.ms += ms
    at.bytes += bytes
  }
  return { measured, pass }
}

test('from the first barrier on, whatever comes before and however many barriers follow', (t) => {
  const { measured, pass } = alignment()
  pass(100, 1_000)
  measured.barrierCame(barrier(1))
  pass(5, 40)
  measured.barrierCame(barrier(1))
  pass(2, 2)
  t.deepEqual(measured.soFar(), { durationMs: 7, processedBytes: 42 })
})

test('a newer barrier begins anew; a late one does not', (t) => {
  const { measured, pass } = alignment()
  measured.barrierCame(barrier(2))
  pass(5, 40)
  measured.barrierCame(barrier(3))
  pass(1, 3)
  measured.barrierCame(barrier(2))
  pass(1, 4)
  t.deepEqual(measured.soFar(), { durationMs: 2, processedBytes: 7 })
})
