import test from 'ava'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import { type Attempt, type AttemptEvent, createAttempt, reportOf, stepAttempt } from '#taskmanager/attempt.js'
import { Attempts } from '#taskmanager/attempts.js'

const descriptor = (attemptNumber = 1) => ({
  attemptId: `v_0_${attemptNumber}`,
  vertexId: 'v',
  subtaskIndex: 0,
  attemptNumber,
  allocationId: 'a',
  slotIndex: 0,
})
const run = (...events: readonly AttemptEvent[]): Attempt => events.reduce(stepAttempt, createAttempt('job', descriptor(), 1))
const enter = (state: ExecutionState): AttemptEvent => ({ kind: 'state-reported', state })

test('states only go forward, and terminal ones are final', (t) => {
  t.is(run(enter('RUNNING'), enter('INITIALIZING')).state, 'RUNNING')
  t.is(run(enter('RUNNING'), { kind: 'cancel-requested' }, enter('RUNNING')).state, 'CANCELING')
  t.is(run({ kind: 'cancel-requested' }, enter('FINISHED')).state, 'FINISHED')
  t.is(run(enter('FINISHED'), enter('FAILED'), { kind: 'cancel-requested' }).state, 'FINISHED')
})

test('checkpoints: acknowledged ones are pending until they are completed or aborted', (t) => {
  const acknowledged = (checkpointId: number): AttemptEvent => ({ kind: 'checkpoint-acknowledged', checkpointId })
  const pending = [acknowledged(4), acknowledged(5), acknowledged(5), acknowledged(6)]
  t.deepEqual(run(...pending).pendingCheckpoints, [4, 5, 6])
  t.deepEqual(run(...pending, { kind: 'checkpoint-aborted', checkpointId: 5 }).pendingCheckpoints, [4, 6])
  const completed = run(...pending, { kind: 'checkpoint-completed', checkpointId: 5 })
  t.deepEqual([completed.lastCheckpointCompleted, completed.pendingCheckpoints], [5, [6]])
  t.is(stepAttempt(completed, { kind: 'checkpoint-completed', checkpointId: 4 }), completed)
})

test('a new leader learns which events a reader holds since the completed checkpoint, and what it waits for', (t) => {
  const events = (...numbers: number[]): AttemptEvent => ({
    kind: 'events-received',
    operatorId: 'o',
    events: numbers.map((number) => ({ number, event: { kind: 'no-more-splits' } })),
  })
  const attempt = run(
    { kind: 'reader-event', operatorId: 'o', event: { kind: 'reader-registered', received: 0 } },
    events(1, 2),
    events(2, 3),
    { kind: 'checkpoint-triggered', checkpointId: 7, assigned: { o: { 0: 2, 1: 9 }, other: { 1: 3 } } },
    { kind: 'checkpoint-completed', checkpointId: 7 },
    { kind: 'reader-event', operatorId: 'o', event: { kind: 'split-requested' } },
  )
  const report = reportOf(attempt)
  t.deepEqual(report.assignmentsReceived, { o: 3 })
  t.deepEqual(
    report.eventsReceived?.['o']?.map(({ number }) => number),
    [3],
  )
  t.deepEqual(report.splitRequests, ['o'])
  t.deepEqual(reportOf(stepAttempt(attempt, events(4))).splitRequests, [])
})

test('a new leader learns how attempts have ended, and what they have counted; heartbeats do not repeat it', (t) => {
  const attempts = new Attempts(() => 7)
  for (const number of [1, 2])
    attempts.add(createAttempt('job', { ...descriptor(number), subtaskIndex: number, attemptId: `v_${number}_1` }, 1))
  const error = { name: 'FlottError', code: 'USER_FUNCTION_FAILED', message: 'boom' } as const
  const accumulators = { n: { kind: 'count', value: 3 } } as const
  attempts.apply('v_1_1', { kind: 'state-reported', state: 'FAILED', outcome: { error, accumulators } })
  attempts.apply('v_1_1', { kind: 'state-reported', state: 'FINISHED', outcome: {} })
  const metrics = { numRecordsIn: 7, accumulators } as unknown as TaskMetrics
  const [failed, running] = attempts.fullReports(new Map([['v_2_1', metrics]]))
  t.deepEqual([failed!.state, failed!.error, failed!.accumulators], ['FAILED', error, accumulators])
  t.deepEqual(failed!.timestamps, { DEPLOYING: 7, FAILED: 7 })
  t.deepEqual([running!.metrics, running!.accumulators, running!.error], [metrics, accumulators, undefined])
  for (const report of attempts.reports())
    t.deepEqual([report.error, report.accumulators, report.metrics], [undefined, undefined, undefined])
})

test('ended attempts are remembered until a newer attempt of the subtask comes', (t) => {
  const attempts = new Attempts(() => 7)
  attempts.add(createAttempt('job', descriptor(1), 1))
  attempts.apply('v_0_1', enter('FAILED'))
  t.deepEqual(
    attempts.reports().map(({ state }) => state),
    ['FAILED'],
  )
  attempts.add(createAttempt('job', descriptor(2), 2))
  t.deepEqual(
    attempts.reports().map(({ attemptId }) => attemptId),
    ['v_0_2'],
  )
  t.is(attempts.apply('v_0_1', enter('RUNNING')), undefined)
})
