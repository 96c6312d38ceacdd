import test from 'ava'
import { FlottError } from '#core/errors.js'
import { DEFAULT_CHECKPOINT_SETTINGS } from '#jobmanager/jobmaster/checkpoint/checkpoint-settings.js'
import {
  type CheckpointEffect,
  type CheckpointEvent,
  type CheckpointState,
  initialCheckpointState,
  RESERVED_IDS,
  step,
} from '#jobmanager/jobmaster/checkpoint/checkpoint-steps.js'
import { triggerTargets } from '#jobmanager/jobmaster/checkpoint/trigger-targets.js'
import type { CheckpointAcknowledgement } from '#protocol/gateways/job-master-gateway.js'
import { executionsOf, linearGraph } from '../../../../support/job-master-fixture.js'

const graph = linearGraph([
  { name: 'source', kind: 'source', parallelism: 1 },
  { name: 'sink', kind: 'sink', parallelism: 1 },
])
const tasks = executionsOf(graph, 1)
const [SOURCE, SINK] = tasks.map((task) => task.attemptId) as [string, string]
const settings = { ...DEFAULT_CHECKPOINT_SETTINGS, intervalMs: 1_000, timeoutMs: 10_000 }
const cause = new Error('cause')

const due = (now = 1_000): CheckpointEvent => ({ kind: 'trigger-due', now, timestamp: now, tasks, targets: triggerTargets(graph, tasks) })
const ack = (attemptId: string, checkpointId = 1): CheckpointEvent => ({
  kind: 'acknowledged',
  ack: ackOf(attemptId, checkpointId),
  timestamp: 1_100,
})
function ackOf(attemptId: string, checkpointId: number): CheckpointAcknowledgement {
  const metrics = {
    checkpointStartDelayMs: 0,
    alignmentDurationMs: 0,
    syncDurationMs: 0,
    asyncDurationMs: 0,
    checkpointedBytes: 1,
    stateBytes: 1,
    unaligned: false,
  }
  return { attemptId, checkpointId, snapshot: { subtaskIndex: 0, finished: false, operators: {} }, metrics }
}
const START: CheckpointEvent = { kind: 'start', now: 0, targets: [SOURCE] }
const RESERVED: CheckpointEvent = { kind: 'ids-reserved', upTo: RESERVED_IDS }
const SNAPSHOTTED = { kind: 'sources-snapshotted', checkpointId: 1, coordinators: {} } as const satisfies CheckpointEvent
const STORED: CheckpointEvent = { kind: 'manifest-stored', checkpointId: 1 }

function run(events: readonly CheckpointEvent[], from = initialCheckpointState(settings, 0)) {
  let state = from
  let effects: readonly CheckpointEffect[] = []
  for (const event of events) ({ state, effects } = step(state, event))
  return { state, effects }
}

const history = {
  idle: [],
  waiting: [START, due(), RESERVED],
  reserving: [START, due()],
  'snapshotting-sources': [START, due(), RESERVED, due()],
  collecting: [START, due(), RESERVED, due(), SNAPSHOTTED],
  'one acknowledged': [START, due(), RESERVED, due(), SNAPSHOTTED, ack(SOURCE)],
  storing: [START, due(), RESERVED, due(), SNAPSHOTTED, ack(SOURCE), ack(SINK)],
  committing: [START, due(), RESERVED, due(), SNAPSHOTTED, ack(SOURCE), ack(SINK), STORED],
  stopped: [START, due(), RESERVED, { kind: 'stop', cause }],
  closed: [START, due(), RESERVED, { kind: 'close' }],
} satisfies Record<string, readonly CheckpointEvent[]>

const events: readonly CheckpointEvent[] = [
  START,
  { kind: 'stop', cause },
  { kind: 'close' },
  due(2_000),
  RESERVED,
  { kind: 'reservation-failed' },
  SNAPSHOTTED,
  { kind: 'sources-failed', checkpointId: 1, cause, now: 1_500 },
  { kind: 'trigger-failed', checkpointId: 1, cause, now: 1_500 },
  ack(SOURCE),
  ack(SINK),
  ack('sink_0_0'),
  ack(SINK, 7),
  { kind: 'declined', attemptId: SINK, checkpointId: 1, cause, now: 1_500 },
  { kind: 'declined', attemptId: 'sink_0_0', checkpointId: 1, cause, now: 1_500 },
  { kind: 'expired', checkpointId: 1, now: 11_000 },
  { kind: 'expired', checkpointId: 0, now: 11_000 },
  { kind: 'execution-finished', attemptId: SINK, timestamp: 1_500 },
  { kind: 'awaiting-final', attemptId: SOURCE, targets: [SOURCE] },
  { kind: 'awaiting-final', attemptId: SINK, targets: [SOURCE] },
  STORED,
  { kind: 'store-failed', checkpointId: 1, cause, now: 1_500 },
  { kind: 'fact-set', checkpointId: 1, now: 1_500 },
]

function describeEvent(event: CheckpointEvent): string {
  const attempt = event.kind === 'acknowledged' ? event.ack.attemptId : 'attemptId' in event ? event.attemptId : ''
  const id = event.kind === 'acknowledged' ? event.ack.checkpointId : 'checkpointId' in event ? event.checkpointId : ''
  return [event.kind, attempt, id].filter((part) => part !== '').join(' ')
}
function describeState(state: CheckpointState): string {
  if (state.closed) return 'closed'
  const phase = state.pending ? `${state.pending.phase} ${state.pending.id} (${state.pending.acknowledged.size} of 2)` : 'none pending'
  return [state.triggering ? '' : 'not triggering', phase, state.reserving ? 'reserving' : '', state.finalDue ? 'final due' : '']
    .filter((part) => part !== '')
    .join(', ')
}
function describeEffect(effect: CheckpointEffect): string {
  return 'delayMs' in effect ? `${effect.kind} ${effect.delayMs}` : effect.kind
}

for (const [name, before] of Object.entries(history))
  test(`${name}: what each event does`, (t) => {
    const lines = events.map((event) => {
      const from = run(before).state
      const { state, effects } = step(from, event)
      const to = describeState(state) === describeState(from) ? '' : `-> ${describeState(state)}`
      return [`${describeEvent(event)}:`, to, ...effects.map((effect) => `[${describeEffect(effect)}]`)]
        .filter((part) => part !== '')
        .join(' ')
    })
    t.snapshot(lines.join('\n'), describeState(run(before).state))
  })

test('a checkpoint from its trigger to its completion', (t) => {
  const { state, effects } = run([...history.committing, { kind: 'fact-set', checkpointId: 1, now: 1_500 }])
  t.deepEqual(effects.map(describeEffect), ['cancel-expiry', 'completed', 'schedule-trigger 500'])
  t.is(state.nextId, 2)
  t.is(state.pending, undefined)
})

test('failures in a row beyond the tolerable ones fail the job; a completion forgets them', (t) => {
  const failing = (id: number): CheckpointEvent[] => [
    due(),
    { kind: 'sources-snapshotted', checkpointId: id, coordinators: {} },
    { kind: 'expired', checkpointId: id, now: 0 },
  ]
  const from = initialCheckpointState({ ...settings, tolerableFailures: 1 }, 0)
  const begin: CheckpointEvent[] = [START, due(), RESERVED]
  t.false(kinds(run([...begin, ...failing(1)], from)).includes('fail-job'))
  t.true(kinds(run([...begin, ...failing(1), ...failing(2)], from)).includes('fail-job'))
  const completed: CheckpointEvent[] = [
    due(),
    { kind: 'sources-snapshotted', checkpointId: 2, coordinators: {} },
    ack(SOURCE, 2),
    ack(SINK, 2),
    { kind: 'manifest-stored', checkpointId: 2 },
    { kind: 'fact-set', checkpointId: 2, now: 0 },
  ]
  t.false(kinds(run([...begin, ...failing(1), ...completed, ...failing(3)], from)).includes('fail-job'))
})

test('a trigger that a task did not receive aborts, but is no failure of the checkpoint', (t) => {
  const { state, effects } = run([...history.collecting, { kind: 'trigger-failed', checkpointId: 1, cause, now: 1_500 }])
  t.deepEqual(effects.map(describeEffect), ['cancel-expiry', 'aborted', 'schedule-trigger 500'])
  t.is(state.consecutiveFailures, 0)
})

test('what had finished before counts as acknowledged', (t) => {
  const now = tasks.map((task) => (task.attemptId === SOURCE ? { ...task, state: 'FINISHED' as const } : task))
  const targets = triggerTargets(graph, now)
  t.deepEqual(targets, [SINK]) // No barrier comes from a source that is gone.
  const { state } = run([...history.waiting, { kind: 'trigger-due', now: 0, timestamp: 0, tasks: now, targets }, SNAPSHOTTED])
  t.deepEqual([...state.pending!.acknowledged.keys()], [SOURCE])
  t.true(state.pending!.acknowledged.get(SOURCE)!.snapshot.finished)
})

test('tasks that are not ready are asked for again, and nothing begins', (t) => {
  const now = tasks.map((task) => (task.attemptId === SINK ? { ...task, state: 'INITIALIZING' as const } : task))
  const { state, effects } = run([...history.waiting, { kind: 'trigger-due', now: 0, timestamp: 0, tasks: now, targets: [SOURCE] }])
  t.is(state.pending, undefined)
  t.deepEqual(effects.map(describeEffect), ['schedule-trigger 1000'])
})

test('the final checkpoint begins at once when all sources wait for it, and after the pending one otherwise', (t) => {
  const awaiting: CheckpointEvent = { kind: 'awaiting-final', attemptId: SOURCE, targets: [SOURCE] }
  t.deepEqual(run([...history.waiting, awaiting]).effects.map(describeEffect), ['schedule-trigger 0'])
  const pendingEnds: CheckpointEvent[] = [awaiting, { kind: 'fact-set', checkpointId: 1, now: 1_500 }]
  t.true(
    run([...history.committing, ...pendingEnds])
      .effects.map(describeEffect)
      .includes('schedule-trigger 0'),
  )
  // Once it is complete nothing is urgent any more.
  const begun = run([...history.waiting, awaiting, due()]).state
  const done = run([SNAPSHOTTED, ack(SOURCE), ack(SINK), STORED, { kind: 'fact-set', checkpointId: 1, now: 1_500 }], begun)
  t.deepEqual(done.effects.map(describeEffect), ['cancel-expiry', 'completed', 'schedule-trigger 500'])
})

test('ids begin above the reserved ones', (t) => {
  const { effects } = run([START, due()], initialCheckpointState(settings, 384))
  t.deepEqual(effects, [{ kind: 'reserve-ids', upTo: 384 + RESERVED_IDS }])
})

function kinds({ effects }: { effects: readonly CheckpointEffect[] }): readonly string[] {
  return effects.map((effect) => effect.kind)
}

test('a leader out of reach fails no job', (t) => {
  const unreachable = new FlottError('CHECKPOINT_FAILED', 'declined', { cause: new FlottError('CONNECTION_REFUSED', 'EHOSTUNREACH') })
  const declined: CheckpointEvent = { kind: 'declined', attemptId: SINK, checkpointId: 1, cause: unreachable, now: 1_500 }
  const { state, effects } = run([...history.collecting, declined], initialCheckpointState(settings, 0))
  t.deepEqual(effects.map(describeEffect), ['cancel-expiry', 'aborted', 'schedule-trigger 500'])
  t.is(state.consecutiveFailures, 0)
})

test('a disk that is full or fails fails no job, however often; the failures before it still count', (t) => {
  const full = new FlottError('CHECKPOINT_FAILED', 'declined', { cause: new FlottError('STORAGE_FULL', 'the disk is full') })
  const declined = (of: Error): CheckpointEvent => ({ kind: 'declined', attemptId: SINK, checkpointId: 1, cause: of, now: 1_500 })
  const tolerant = initialCheckpointState({ ...settings, tolerableFailures: 1 }, 0)
  const { state, effects } = run([...history.collecting, declined(full)], tolerant)
  t.deepEqual(effects.map(describeEffect), ['cancel-expiry', 'aborted', 'schedule-trigger 500'])
  t.is(state.consecutiveFailures, 0)
  const once = run([...history.collecting, declined(cause)], tolerant).state
  const storing: readonly CheckpointEvent[] = [due(2_000), { ...SNAPSHOTTED, checkpointId: 2 }, ack(SOURCE, 2), ack(SINK, 2)]
  const failed = (of: Error): CheckpointEvent => ({ kind: 'store-failed', checkpointId: 2, cause: of, now: 2_500 })
  t.is(run([...storing, failed(new FlottError('REPLICATION_FAILED', 'too few'))], once).state.consecutiveFailures, 1)
  t.is(run([...storing, failed(cause)], once).effects.at(-1)?.kind, 'fail-job')
})

test('one that is asked for begins at once, or is the pending one; aborted ones are followed soon, until one is complete', (t) => {
  const asked: CheckpointEvent = { kind: 'asked' }
  t.deepEqual(run([...history.waiting, asked]).effects.map(describeEffect), ['schedule-trigger 0'])
  t.deepEqual(run([...history.collecting, asked]).effects, [])
  const longInterval = initialCheckpointState({ ...settings, intervalMs: 60_000, tolerableFailures: 9 }, 0)
  const aborted = run([...history.collecting, asked, { kind: 'expired', checkpointId: 1, now: 11_000 }], longInterval)
  t.true(aborted.effects.map(describeEffect).includes('schedule-trigger 1000'))
  const second: CheckpointEvent[] = [
    due(12_000),
    { kind: 'sources-snapshotted', checkpointId: 2, coordinators: {} },
    ack(SOURCE, 2),
    ack(SINK, 2),
    { kind: 'manifest-stored', checkpointId: 2 },
    { kind: 'fact-set', checkpointId: 2, now: 13_000 },
  ]
  const complete = run(second, aborted.state)
  t.deepEqual(complete.effects.map(describeEffect), ['cancel-expiry', 'completed', 'schedule-trigger 59000'])
  t.false(complete.state.asked)
  t.false(run([...history.waiting, asked, { kind: 'stop', cause }]).state.asked)
  t.deepEqual(run([asked, START]).effects.map(describeEffect), ['schedule-trigger 0'])
})
