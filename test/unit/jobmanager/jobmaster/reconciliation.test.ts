import test from 'ava'
import { NO_EPOCH } from '#core/epoch.js'
import {
  beginReconciliation,
  isReconciled,
  type Reconciliation,
  type ReconciliationEffect,
  type ReconciliationEvent,
  stepReconciliation,
  waitsFor,
} from '#jobmanager/jobmaster/reconciliation.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport, SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { AttemptLocation, DeploymentRecord } from '#protocol/graph/deployment.js'

const at = (taskManagerId: string, attemptId: string, more: Partial<AttemptLocation> = {}): AttemptLocation => ({
  vertexId: attemptId,
  subtaskIndex: 0,
  attemptNumber: 1,
  attemptId,
  taskManagerId,
  slotIndex: 0,
  allocationId: `slot of ${attemptId}`,
  dataHost: taskManagerId,
  dataPort: 1,
  processId: `process of ${taskManagerId}`,
  ...more,
})
const record = (...attempts: readonly AttemptLocation[]): DeploymentRecord => ({
  jobId: 'j',
  deploymentNumber: 1,
  epoch: NO_EPOCH,
  attempts,
})
const report = (attemptId: string, state: ExecutionState) => ({ attemptId, state }) as AttemptReport
const slot = (attemptId: string, state: SlotReport['state']): SlotReport => ({
  slotIndex: 0,
  state,
  jobId: 'j',
  allocationId: `slot of ${attemptId}`,
})
function registered(attempts: readonly AttemptReport[], slots: readonly SlotReport[], processId = 'process of tm'): ReconciliationEvent {
  return { kind: 'task-manager-registered', taskManagerId: 'tm', processId, attempts, slots }
}
const listed = (names: readonly string[], connected: readonly string[] = []): ReconciliationEvent => ({
  kind: 'registrations-listed',
  names: new Set(names),
  connected: new Set(connected),
})
const CAME_BACK_WITHOUT = 'TaskManager tm came back without them'
const lost = (cause: string, ...attemptIds: readonly string[]): ReconciliationEffect => ({ kind: 'lost', attemptIds, cause })

/** The verdict on attempt 'a' of 'tm', the only one. */
function verdict(event: ReconciliationEvent, more: Partial<AttemptLocation> = {}, finished: readonly string[] = []) {
  const state = beginReconciliation(record(at('tm', 'a', more)), new Set(finished))
  const { reconciliation, effects } = stepReconciliation(state, event)
  return { effects, over: isReconciled(reconciliation) }
}

const STATES: readonly ExecutionState[] = ['DEPLOYING', 'INITIALIZING', 'RUNNING', 'CANCELING', 'FINISHED', 'CANCELED', 'FAILED']
for (const state of STATES)
  test(`reported ${state}: adopted as it is, whatever else is known of it`, (t) => {
    const found = report('a', state)
    for (const finished of [[], ['a']])
      for (const slots of [[], [slot('a', 'ACTIVE')]])
        for (const processId of ['process of tm', 'another'])
          t.deepEqual(verdict(registered([found], slots, processId), {}, finished), {
            effects: [{ kind: 'adopt', report: found }],
            over: true,
          })
  })

test('not reported by the process that was to have it, which still has its slot: sent again', (t) => {
  for (const state of ['ALLOCATED', 'ACTIVE'] as const)
    t.deepEqual(verdict(registered([report('other', 'RUNNING')], [slot('a', state)])).effects, [{ kind: 'send-again', attemptId: 'a' }])
})

test('not reported, and the slot is gone: it may have run, so it is lost', (t) => {
  for (const slots of [[], [slot('other', 'ACTIVE')], [slot('a', 'RELEASING')], [slot('a', 'FREE')]])
    t.deepEqual(verdict(registered([], slots)).effects, [lost(CAME_BACK_WITHOUT, 'a')])
})

test('not reported by another process, or by one that the record does not know: lost', (t) => {
  const slots = [slot('a', 'ACTIVE')]
  t.deepEqual(verdict(registered([], slots, 'another')).effects, [lost(CAME_BACK_WITHOUT, 'a')])
  const { processId: _, ...unknown } = at('tm', 'a')
  const { effects } = stepReconciliation(beginReconciliation(record(unknown)), registered([], slots))
  t.deepEqual(effects, [lost(CAME_BACK_WITHOUT, 'a')])
})

test('what is known to have FINISHED needs nobody who says so', (t) => {
  const finished = [{ kind: 'finished', attemptId: 'a' }] as const
  const gone: readonly ReconciliationEvent[] = [
    registered([], [], 'another'),
    registered([], [slot('a', 'ACTIVE')]),
    { kind: 'task-manager-lost', taskManagerId: 'tm', cause: 'gone' },
    { kind: 'deadline', waitedMs: 5 },
    listed([]),
  ]
  for (const event of gone) {
    t.deepEqual(verdict(event, { finished: true }), { effects: finished, over: true }, event.kind)
    t.deepEqual(verdict(event, {}, ['a']), { effects: finished, over: true }, event.kind)
  }
})

test('a lost TaskManager, and one that has not come in time, take their attempts with them', (t) => {
  t.deepEqual(verdict({ kind: 'task-manager-lost', taskManagerId: 'tm', cause: 'gone' }), { effects: [lost('gone', 'a')], over: true })
  const cause = 'tm did not come back within 5 ms of the change of leader (heartbeat.timeout)'
  t.deepEqual(verdict({ kind: 'deadline', waitedMs: 5 }), { effects: [lost(cause, 'a')], over: true })
})

test('one that is registered in ZooKeeper no more is lost at once, unless it is connected', (t) => {
  t.deepEqual(verdict(listed([])), { effects: [lost('not registered in ZooKeeper any more: TaskManager tm', 'a')], over: true })
  const stays = { effects: [], over: false }
  t.deepEqual(verdict(listed(['tm@process of tm'])), stays)
  t.deepEqual(verdict(listed(['tm@process of tm', 'tm@another'])), stays)
  t.deepEqual(verdict(listed([], ['tm'])), stays, 'its session is over, it is not')
  t.is(verdict(listed(['tm@another', 'tm'], ['other'])).effects.length, 1, 'a process that came after it, and others, do not stand for it')
})

test('one of which the record does not know all processes, or one of them is there, is waited for', (t) => {
  const { processId: _, ...unknown } = at('tm', 'a')
  const step = (attempts: readonly AttemptLocation[], event: ReconciliationEvent) =>
    stepReconciliation(beginReconciliation(record(...attempts)), event).effects
  t.deepEqual(step([unknown], listed([])), [])
  const two = [at('tm', 'a'), at('tm', 'b', { processId: 'next' })]
  t.deepEqual(step(two, listed(['tm@next'])), [])
  t.deepEqual(step(two, listed([])), [lost('not registered in ZooKeeper any more: TaskManager tm', 'a', 'b')])
})

test('all that a list does not have are one failure', (t) => {
  const state = beginReconciliation(record(at('tm', 'a'), at('tm2', 'b'), at('tm3', 'c')))
  const { effects, reconciliation } = stepReconciliation(state, listed(['tm2@process of tm2']))
  t.deepEqual(effects, [lost('not registered in ZooKeeper any more: TaskManager tm, tm3', 'a', 'c')])
  t.is(waitsFor(reconciliation), 'waits for tm2 to say which tasks run there')
})

test('each TaskManager is waited for, the verdicts of one are one failure, and nobody is judged twice', (t) => {
  let state: Reconciliation = beginReconciliation(record(at('tm', 'a'), at('tm', 'b'), at('tm', 'c'), at('tm2', 'd'), at('tm3', 'e')))
  t.is(waitsFor(state), 'waits for tm, tm2, tm3 to say which tasks run there')
  const step = (event: ReconciliationEvent) => {
    const { reconciliation, effects } = stepReconciliation(state, event)
    state = reconciliation
    return effects
  }
  const running = report('b', 'RUNNING')
  const event = registered([running], [slot('b', 'ACTIVE')])
  t.deepEqual(step(event), [{ kind: 'adopt', report: running }, lost(CAME_BACK_WITHOUT, 'a', 'c')])
  t.deepEqual(step(event), [])
  t.deepEqual(step({ kind: 'task-manager-lost', taskManagerId: 'tm', cause: 'gone' }), [])
  t.deepEqual(step({ kind: 'task-manager-lost', taskManagerId: 'stranger', cause: 'gone' }), [])
  t.false(isReconciled(state))
  t.deepEqual(step({ kind: 'task-manager-lost', taskManagerId: 'tm2', cause: 'gone' }), [lost('gone', 'd')])
  t.is(waitsFor(state), 'waits for tm3 to say which tasks run there')
  t.is(step({ kind: 'deadline', waitedMs: 5 }).length, 1)
  t.true(isReconciled(state))
  t.deepEqual(step({ kind: 'deadline', waitedMs: 5 }), [])
})

test('a record without attempts waits for nobody', (t) => {
  t.true(isReconciled(beginReconciliation(record())))
})
