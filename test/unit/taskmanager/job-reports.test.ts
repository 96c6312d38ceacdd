import test from 'ava'
import { FlottError } from '#core/errors.js'
import { createOutbox, type JobMessage, type Outbox, type OutboxEffect, type OutboxEvent, stepOutbox } from '#taskmanager/job-reports.js'

const state = (s: 'RUNNING' | 'FINISHED'): JobMessage => ({ method: 'updateTaskExecutionState', request: { attemptId: 'a', state: s } })
const decline: JobMessage = {
  method: 'declineCheckpoint',
  request: { attemptId: 'a', checkpointId: 1, cause: { name: 'Error', message: 'x' } },
}
const reader = (kind: 'split-requested' | 'reader-registered'): JobMessage => ({
  method: 'sendReaderEvent',
  request: { attemptId: 'a', operatorId: 'o', reader: 0, event: kind === 'split-requested' ? { kind } : { kind, received: 0 } },
})

function run(...events: readonly OutboxEvent[]): { outbox: Outbox; effects: OutboxEffect[][] } {
  let outbox = createOutbox('job', 0)
  const effects = events.map((event) => {
    const step = stepOutbox(outbox, event)
    outbox = step.outbox
    return [...step.effects]
  })
  return { outbox, effects }
}
const acknowledged: OutboxEvent = { kind: 'acknowledged', reign: 0 }
const failed = (
  code: 'CONNECTION_LOST' | 'JOB_NOT_FOUND' | 'UNKNOWN_METHOD' | 'ZOOKEEPER_SESSION_EXPIRED',
  jobIsHere = true,
): OutboxEvent => ({
  kind: 'failed',
  reign: 0,
  error: new FlottError(code, 'x'),
  jobIsHere,
})

test('one at a time, in order', (t) => {
  const { outbox, effects } = run(
    { kind: 'reported', message: state('RUNNING') },
    { kind: 'reported', message: state('FINISHED') },
    acknowledged,
    acknowledged,
  )
  t.deepEqual(effects, [
    [{ kind: 'send', message: state('RUNNING'), reign: 0 }],
    [],
    [{ kind: 'send', message: state('FINISHED'), reign: 0 }],
    [],
  ])
  t.deepEqual(outbox.waiting, [])
})

test('a failure that may pass is repeated, later and later, and nothing overtakes it', (t) => {
  const retry: OutboxEvent = { kind: 'retry-due', reign: 0 }
  const { effects } = run(
    { kind: 'reported', message: state('RUNNING') },
    failed('CONNECTION_LOST'),
    { kind: 'reported', message: state('FINISHED') },
    retry,
    failed('JOB_NOT_FOUND'),
    retry,
  )
  t.deepEqual(effects.slice(1), [
    [{ kind: 'retry-after', delayMs: 100, reign: 0 }],
    [],
    [{ kind: 'send', message: state('RUNNING'), reign: 0 }],
    [{ kind: 'retry-after', delayMs: 200, reign: 0 }],
    [{ kind: 'send', message: state('RUNNING'), reign: 0 }],
  ])
})

test('what a leader could not store since its session has ended is kept for the next one', (t) => {
  const { outbox, effects } = run({ kind: 'reported', message: state('FINISHED') }, failed('ZOOKEEPER_SESSION_EXPIRED'))
  t.deepEqual(effects[1], [{ kind: 'retry-after', delayMs: 100, reign: 0 }])
  t.deepEqual(outbox.waiting, [state('FINISHED')])
})

test('a failure for good is dropped, and the next one goes', (t) => {
  for (const failure of [failed('UNKNOWN_METHOD'), failed('JOB_NOT_FOUND', false)]) {
    const { effects } = run({ kind: 'reported', message: decline }, { kind: 'reported', message: state('FINISHED') }, failure)
    t.deepEqual(
      effects[2]!.map(({ kind }) => kind),
      ['dropped', 'send'],
    )
  }
})

test('a new leader is told again what it must know, and not what it has aborted or learns otherwise', (t) => {
  const { outbox, effects } = run(
    { kind: 'reported', message: decline },
    { kind: 'reported', message: reader('reader-registered') },
    { kind: 'reported', message: reader('split-requested') },
    { kind: 'reported', message: state('FINISHED') },
    { kind: 'registration-made' },
    { kind: 'leader-changed', reign: 1, takeover: true },
    acknowledged, // Of the old leader: late.
  )
  t.deepEqual(effects[5], [{ kind: 'send', message: reader('reader-registered'), reign: 1 }])
  t.deepEqual(effects[6], [])
  t.deepEqual(outbox.waiting, [reader('reader-registered'), state('FINISHED')])
})

test('what is said between the registration and its answer is news to the leader that took it', (t) => {
  const { outbox, effects } = run(
    { kind: 'reported', message: reader('split-requested') },
    { kind: 'registration-made' },
    { kind: 'acknowledged', reign: 0 }, // By the old leader, in time: the registration said so, too.
    { kind: 'reported', message: reader('split-requested') },
    { kind: 'leader-changed', reign: 1, takeover: true },
  )
  t.deepEqual(effects[4], [{ kind: 'send', message: reader('split-requested'), reign: 1 }])
  t.is(outbox.waiting.length, 1)
})

test('the same leader over a new connection is told everything that it has not acknowledged', (t) => {
  const { outbox, effects } = run(
    { kind: 'reported', message: decline },
    { kind: 'reported', message: state('FINISHED') },
    { kind: 'leader-changed', reign: 1, takeover: false },
  )
  t.deepEqual(effects[2], [{ kind: 'send', message: decline, reign: 1 }])
  t.is(outbox.waiting.length, 2)
})
