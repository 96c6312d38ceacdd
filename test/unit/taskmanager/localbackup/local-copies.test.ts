import test from 'ava'
import type { SubtaskSnapshot } from '#protocol/checkpoint/manifest.js'
import { bytesOf, type CopiesEvent, type LocalCopies, NO_COPIES, stepCopies } from '#taskmanager/localbackup/local-copies.js'

/** 'attempt part' of checkpoint n. */
const chunk = (checkpointId: number, part: string) => `chunk/job/${checkpointId}/${part}`
const put = (checkpointId: number, part: string, room = 1_000): CopiesEvent => ({
  kind: 'chunk-put',
  blob: chunk(checkpointId, part),
  bytes: 10,
  room,
})
function snapshot(...blobs: readonly string[]): SubtaskSnapshot {
  const ref = (blob: string) => ({ blob, bytes: 10, crc32: 1 })
  const [operatorChunk, ...keyed] = blobs.map(ref)
  return {
    subtaskIndex: 0,
    finished: false,
    operators: { op: { subtaskIndex: 0, keyed, ...(operatorChunk ? { operatorChunk } : {}) }, empty: { subtaskIndex: 0, keyed: [] } },
  }
}
const acknowledged = (checkpointId: number, ...blobs: readonly string[]): CopiesEvent => ({
  kind: 'snapshot-acknowledged',
  checkpointId,
  snapshot: snapshot(...blobs),
})
const completed = (checkpointId: number): CopiesEvent => ({ kind: 'checkpoint-completed', checkpointId })
const aborted = (checkpointId: number): CopiesEvent => ({ kind: 'checkpoint-aborted', checkpointId })
const after = (...events: readonly CopiesEvent[]): LocalCopies => events.reduce(stepCopies, NO_COPIES)
const kept = ({ copies }: LocalCopies) => [...copies.keys()].map((blob) => blob.slice('chunk/job/'.length))

test('a delta keeps its base; a completion drops what it does not refer to', (t) => {
  const twoTasks = after(put(1, 'a'), put(1, 'b'), acknowledged(1, chunk(1, 'a')), acknowledged(1, chunk(1, 'b')), completed(1))
  t.deepEqual(kept(twoTasks), ['1/a', '1/b'])
  const delta = [put(2, 'a'), put(2, 'b'), acknowledged(2, chunk(1, 'a'), chunk(2, 'a')), acknowledged(2, chunk(2, 'b'))]
  const pending = delta.reduce(stepCopies, twoTasks)
  t.deepEqual(kept(pending), ['1/a', '1/b', '2/a', '2/b']) // Either may be what a restore begins from.
  const done = stepCopies(pending, completed(2))
  t.deepEqual(kept(done), ['1/a', '2/a', '2/b']) // b began a new base.
  t.is(bytesOf(done), 30)
})

test('chunks of a checkpoint that goes on are kept through the completion of the one before', (t) => {
  t.deepEqual(kept(after(put(1, 'a'), acknowledged(1, chunk(1, 'a')), put(2, 'a'), completed(1))), ['1/a', '2/a'])
})

test('what was aborted goes, and what was never told to have completed before it; what the newest completed one needs stays', (t) => {
  const state = after(put(1, 'a'), acknowledged(1, chunk(1, 'a')), completed(1), put(2, 'a'), acknowledged(2, chunk(2, 'a')), put(3, 'a'))
  const next = stepCopies(state, aborted(3))
  t.deepEqual(kept(next), ['1/a'])
  t.deepEqual([...next.referred.keys()], [1])
  t.deepEqual(kept(stepCopies(state, aborted(2))), ['1/a', '3/a'])
  t.deepEqual(kept(after(put(1, 'a'), aborted(1))), [])
})

test('a subtask that has moved away leaves nothing once a later checkpoint is complete', (t) => {
  const state = after(put(1, 'a'), acknowledged(1, chunk(1, 'a')), completed(1), put(2, 'b'), acknowledged(2, chunk(2, 'b')), completed(2))
  t.deepEqual(kept(state), ['2/b'])
})

test('repeated and late events change nothing', (t) => {
  const state = after(put(2, 'a'), acknowledged(2, chunk(2, 'a')), completed(2))
  for (const event of [completed(2), completed(1), aborted(2), aborted(1), put(1, 'late'), put(2, 'late'), acknowledged(1, chunk(1, 'a'))])
    t.is(stepCopies(state, event), state, event.kind)
})

test('what does not fit is not kept; what turned out to be lost is forgotten', (t) => {
  t.is(after(put(1, 'a', 9)), NO_COPIES)
  t.deepEqual(kept(after(put(1, 'a', 10))), ['1/a'])
  t.deepEqual(kept(after(put(1, 'a'), put(1, 'b'), { kind: 'copy-lost', blob: chunk(1, 'a') })), ['1/b'])
})
