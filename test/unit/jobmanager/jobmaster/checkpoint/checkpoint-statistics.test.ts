import test from 'ava'
import { CheckpointStatisticsRecorder } from '#jobmanager/jobmaster/checkpoint/checkpoint-statistics.js'
import type { PendingCheckpoint } from '#jobmanager/jobmaster/checkpoint/checkpoint-steps.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'

const pending = (id: number): PendingCheckpoint => ({
  id,
  timestamp: id * 100,
  phase: 'collecting',
  tasks: [],
  targets: [],
  coordinators: {},
  acknowledged: new Map(),
  finalFor: [],
})
const manifest = (checkpointId: number): CheckpointManifest => ({
  version: 1,
  jobId: 'job',
  checkpointId,
  triggerTimestamp: checkpointId * 100,
  completedTimestamp: checkpointId * 100 + 7,
  kind: 'checkpoint',
  vertices: [
    {
      vertexId: 'v',
      parallelism: 2,
      maxParallelism: 128,
      operatorIds: ['op'],
      subtasks: [0, 1].map((subtaskIndex) => ({ subtaskIndex, finished: false, operators: {} })),
    },
  ],
  coordinators: {},
  checkpointedSize: 3,
  stateSize: 5,
})
/** Two completed, one failed, one going on. */
function earlier() {
  const recorder = new CheckpointStatisticsRecorder()
  recorder.completed(pending(1), manifest(1), 'one')
  recorder.aborted(pending(2), new Error('late'), 250)
  recorder.completed(pending(3), manifest(3), 'three')
  recorder.restored(1, 120, 'one')
  return recorder.snapshot(pending(4), 450)
}

test('a new leader counts on, and what was going on has failed', (t) => {
  const recorder = new CheckpointStatisticsRecorder()
  recorder.import(earlier())
  recorder.completed(pending(129), manifest(129), 'next')
  const { counts, history, latestRestored } = recorder.snapshot(undefined, 13_000)
  t.deepEqual(counts, { restored: 1, total: 5, inProgress: 0, completed: 3, failed: 2 })
  t.deepEqual(
    history.map(({ id, status }) => `${id} ${status}`),
    ['129 COMPLETED', '4 FAILED', '3 COMPLETED', '2 FAILED', '1 COMPLETED'],
  )
  t.is(latestRestored?.id, 1)
})

test('what had been completed, and was not written down any more, is found in the fact', (t) => {
  const recorder = new CheckpointStatisticsRecorder()
  recorder.import(earlier())
  for (const id of [1, 3, 4, 5]) recorder.found(manifest(id), `blob ${id}`)
  const { counts, history } = recorder.snapshot(undefined, 13_000)
  t.deepEqual(counts, { restored: 1, total: 5, inProgress: 0, completed: 4, failed: 1 })
  t.deepEqual(
    history.map(({ id, status }) => `${id} ${status}`),
    ['5 COMPLETED', '4 COMPLETED', '3 COMPLETED', '2 FAILED', '1 COMPLETED'],
  )
  const [newest] = history
  t.like(newest, {
    externalPath: 'blob 5',
    endToEndDurationMs: 7,
    stateSize: 5,
    checkpointedSize: 3,
    subtasksTotal: 2,
    subtasksAcknowledged: 2,
  })
})
