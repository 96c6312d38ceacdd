import test from 'ava'
import { type JobEvent, NEXT, nextStatus } from '#jobmanager/jobmaster/scheduler/job-status.js'
import type { JobStatus } from '#protocol/ha/facts.js'

const STATUSES = Object.keys(NEXT) as JobStatus[]
const EVENTS: readonly JobEvent[] = [
  { kind: 'initialized', deployedBefore: false },
  { kind: 'initialized', deployedBefore: true },
  { kind: 'reconciled' },
  { kind: 'scheduled' },
  { kind: 'restart-begun' },
  { kind: 'regions-restarted' },
  { kind: 'failed-for-good' },
  { kind: 'cancel-requested' },
  { kind: 'ended' },
]

test('every status meets every event', (t) => {
  const changes = (event: JobEvent) =>
    STATUSES.flatMap((status) => (nextStatus(status, event) === status ? [] : [`${status} -> ${nextStatus(status, event)}`]))
  t.deepEqual(
    EVENTS.map((event) => changes(event).join(', ')),
    [
      'INITIALIZING -> CREATED',
      'INITIALIZING -> RECONCILING',
      'CREATED -> RUNNING, RECONCILING -> RUNNING',
      'CREATED -> RUNNING, RECONCILING -> RUNNING',
      'RUNNING -> RESTARTING, RECONCILING -> RESTARTING',
      'RESTARTING -> RUNNING',
      'INITIALIZING -> FAILING, CREATED -> FAILING, RUNNING -> FAILING, RESTARTING -> FAILING, RECONCILING -> FAILING',
      'INITIALIZING -> CANCELLING, CREATED -> CANCELLING, RUNNING -> CANCELLING, RESTARTING -> CANCELLING, FAILING -> CANCELLING, RECONCILING -> CANCELLING',
      'RUNNING -> FINISHED, FAILING -> FAILED, CANCELLING -> CANCELED',
    ],
  )
})

test('a terminal status is final', (t) => {
  for (const status of ['FINISHED', 'FAILED', 'CANCELED'] as const) for (const event of EVENTS) t.is(nextStatus(status, event), status)
})
