import test from 'ava'
import { restoreOf } from '#jobmanager/jobmaster/checkpoint/restore.js'
import type { CheckpointManifest, SubtaskState } from '#protocol/checkpoint/manifest.js'

const state = (subtaskIndex: number, from: number, to: number): SubtaskState => ({
  subtaskIndex,
  keyed: [{ blob: `chunk/${subtaskIndex}`, bytes: 1, crc32: 0, keyGroups: [from, to] }],
})
function manifestOf(states: readonly SubtaskState[]): CheckpointManifest {
  const subtasks = states.map((s) => ({ subtaskIndex: s.subtaskIndex, finished: false, operators: { op: s } }))
  const vertex = { vertexId: 'v', parallelism: states.length, maxParallelism: 128, operatorIds: ['op'], subtasks }
  return {
    version: 1,
    jobId: 'job',
    checkpointId: 3,
    triggerTimestamp: 0,
    completedTimestamp: 0,
    kind: 'checkpoint',
    vertices: [vertex],
    coordinators: {},
    checkpointedSize: 0,
    stateSize: 0,
  }
}
const sources = (manifest: CheckpointManifest, subtask: number, parallelism: number) =>
  restoreOf(manifest, 'v', subtask, parallelism)?.operators['op']?.map(({ subtaskIndex, keyed }) => `${subtaskIndex}:${keyed.length}`)

test('at the same parallelism a subtask restores its own', (t) => {
  const manifest = manifestOf([state(0, 0, 64), state(1, 64, 128)])
  t.deepEqual(sources(manifest, 1, 2), ['1:1'])
  t.is(restoreOf(manifest, 'other', 0, 2), undefined)
})

test('at another parallelism it gets every state whose key groups overlap its own, and no other', (t) => {
  const manifest = manifestOf([state(0, 0, 64), state(1, 64, 128)])
  t.deepEqual(
    [0, 1, 2].map((subtask) => sources(manifest, subtask, 3)),
    [['0:1'], ['0:1', '1:1'], ['1:1']],
  )
  t.deepEqual(sources(manifest, 0, 1), ['0:1', '1:1'])
  t.throws(() => sources(manifest, 0, 129), { code: 'PARALLELISM_ABOVE_MAX' })
})

test('operator state goes to all, for the operator to share out', (t) => {
  const manifest = manifestOf([{ ...state(0, 0, 64), inline: new Uint8Array(1) }, state(1, 64, 128)])
  t.deepEqual(sources(manifest, 2, 3), ['0:0', '1:1'])
})

test('a subtask that had FINISHED is told so, at the same parallelism', (t) => {
  const manifest = manifestOf([state(0, 0, 64), state(1, 64, 128)])
  const [vertex] = manifest.vertices
  const subtasks = [vertex!.subtasks[0]!, { subtaskIndex: 1, finished: true, operators: {} }]
  const coordinators = { op: { bytes: new Uint8Array(), assigned: { 0: 4, 1: 6 } }, other: { bytes: new Uint8Array(), assigned: { 1: 9 } } }
  const finished = { ...manifest, coordinators, vertices: [{ ...vertex!, subtasks }] }
  t.deepEqual(restoreOf(finished, 'v', 1, 2), { checkpointId: 3, operators: {}, parallelism: 2, finished: { received: { op: 6 } } })
  t.is(restoreOf(finished, 'v', 0, 2)?.finished, undefined)
  t.is(restoreOf(finished, 'v', 1, 3)?.finished, undefined)
})
