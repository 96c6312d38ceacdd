import test from 'ava'
import { attemptIdOf } from '#core/ids.js'
import type { AttemptLocation, DeploymentRecord } from '#protocol/graph/deployment.js'
import { decodeDeployment, encodeDeployment } from '#protocol/graph/deployment-format.js'

/** A task a slot and vertex; TaskManagers have two slots. */
function recordOf(parallelism: number): DeploymentRecord {
  const attempts = ['source', 'sink'].flatMap((vertexId) =>
    Array.from({ length: parallelism }, (_, subtaskIndex): AttemptLocation => {
      const attemptNumber = subtaskIndex % 3
      return {
        vertexId,
        subtaskIndex,
        attemptNumber,
        attemptId: attemptIdOf('job', vertexId, subtaskIndex, attemptNumber),
        taskManagerId: `tm-${subtaskIndex >> 1}`,
        slotIndex: subtaskIndex & 1,
        allocationId: `allocation-${subtaskIndex}`,
        dataHost: `host-${subtaskIndex >> 1}`,
        dataPort: 7_000 + (subtaskIndex >> 1),
        ...(subtaskIndex % 4 < 2 ? { processId: `process of ${subtaskIndex >> 1}` } : {}),
        ...(subtaskIndex % 5 === 0 && vertexId === 'source' ? { finished: true } : {}),
      }
    }),
  )
  return { jobId: 'job', deploymentNumber: 2, epoch: { incarnation: 1, czxid: '00000000000000ff' }, attempts }
}

test('a record comes back as it was', (t) => {
  for (const parallelism of [0, 1, 2, 17]) {
    const record = recordOf(parallelism)
    t.deepEqual(decodeDeployment(encodeDeployment(record)), record)
    const restored = { ...record, restoredCheckpoint: { id: 7, manifest: 'manifest/x' } }
    t.deepEqual(decodeDeployment(encodeDeployment(restored)), restored)
  }
})

test('a slot that was given back and granted anew is another one; so is a process that took the place of another', (t) => {
  const [first, second] = recordOf(2).attempts
  const record = {
    ...recordOf(0),
    attempts: [first!, { ...second!, slotIndex: first!.slotIndex, allocationId: 'new', processId: 'new process' }],
  }
  t.deepEqual(decodeDeployment(encodeDeployment(record)), record)
})

test('each TaskManager and slot is written once: an attempt takes a few bytes', (t) => {
  const bytes = (parallelism: number) => encodeDeployment(recordOf(parallelism)).length
  const slots = 500
  t.true((bytes(2 * slots) - bytes(slots)) / (2 * slots) < 50)
  const wide = { ...recordOf(slots) }
  const deeper = { ...wide, attempts: [...wide.attempts, ...recordOf(slots).attempts.map(asVertex('another'))] }
  t.true((encodeDeployment(deeper).length - encodeDeployment(wide).length) / (2 * slots) < 5)
})
function asVertex(prefix: string): (location: AttemptLocation) => AttemptLocation {
  return (location) => {
    const vertexId = `${prefix} ${location.vertexId}`
    return { ...location, vertexId, attemptId: attemptIdOf('job', vertexId, location.subtaskIndex, location.attemptNumber) }
  }
}

test('an attempt with an id that is not made of its subtask and number is refused', (t) => {
  const record = recordOf(2)
  t.throws(() => encodeDeployment({ ...record, attempts: record.attempts.map((a) => ({ ...a, attemptId: 'other' })) }))
})
