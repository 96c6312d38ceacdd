import test from 'ava'
import { SlotMemory } from '#taskmanager/slot-memory.js'

const usage = (bytes: number, count: number) => ({
  heapUsedBytes: bytes,
  heapCommittedBytes: bytes,
  heapMaxBytes: bytes,
  nonHeapBytes: bytes,
  directBytes: bytes,
  collections: { scavenge: { count, timeMs: count * 2 } },
})

test('main thread and slots together; a worker that is gone holds no memory, and its collections still count', (t) => {
  const memory = new SlotMemory()
  memory.reported(0, usage(10, 1))
  memory.reported(1, usage(100, 2))
  memory.reported(1, usage(200, 3))
  t.deepEqual(memory.with(usage(1, 5)), usage(211, 9))
  memory.workerGone(1)
  memory.workerGone(1)
  t.deepEqual(memory.with(usage(1, 5)), usage(11, 9))
  memory.reported(1, usage(1_000, 1))
  t.deepEqual(memory.with(usage(1, 5)), usage(1_011, 10))
})
