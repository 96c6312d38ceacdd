import test from 'ava'
import { NO_EPOCH } from '#core/epoch.js'
import { beginReconciliation, isReconciled, stepReconciliation, waitsFor } from '#jobmanager/jobmaster/reconciliation.js'
import type { AttemptLocation, DeploymentRecord } from '#protocol/graph/deployment.js'

const at = (taskManagerId: string, allocationId: string) => ({ taskManagerId, allocationId }) as AttemptLocation
const record: DeploymentRecord = {
  jobId: 'j',
  deploymentNumber: 1,
  epoch: NO_EPOCH,
  attempts: [at('tm1', 'a'), at('tm1', 'a'), at('tm1', 'b'), at('tm2', 'c')],
}
const held = (state: 'ACTIVE' | 'RELEASING' | 'FREE', allocationId: string) => ({ slotIndex: 0, state, jobId: 'j', allocationId })

test('a slot counts as rid of its attempts only when its TaskManager says so', (t) => {
  let state = beginReconciliation(record)
  t.deepEqual(state.outstanding, { tm1: ['a', 'b'], tm2: ['c'] })
  state = stepReconciliation(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: [held('ACTIVE', 'a'), held('RELEASING', 'b')] })
  t.deepEqual(state.outstanding['tm1'], ['a', 'b'])
  state = stepReconciliation(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: [held('RELEASING', 'b')] })
  t.deepEqual(state.outstanding['tm1'], ['b'])
  state = stepReconciliation(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: [] })
  t.deepEqual(state.outstanding, { tm2: ['c'] })
  t.is(waitsFor(state), 'waits until tm2 has ended the tasks of the deployment before')
  t.true(isReconciled(stepReconciliation(state, { kind: 'task-manager-lost', taskManagerId: 'tm2' })))
})

test('the deadline gives up who has not come, and waits on for who has', (t) => {
  const state = stepReconciliation(beginReconciliation(record), { kind: 'deadline', connected: new Set(['tm1']) })
  t.deepEqual(state.outstanding, { tm1: ['a', 'b'] })
  t.false(isReconciled(state))
})
