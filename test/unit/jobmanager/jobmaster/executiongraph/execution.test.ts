import test from 'ava'
import { attemptIdOf } from '#core/ids.js'
import {
  type AllocatedSlot,
  type Execution,
  type ExecutionEvent,
  isTerminal,
  NEXT,
  step,
} from '#jobmanager/jobmaster/executiongraph/execution.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'

const STATES = Object.keys(NEXT) as ExecutionState[]
const slot: AllocatedSlot = { allocationId: 'a', taskManagerId: 'tm', slotIndex: 0, host: 'h', dataPort: 1 }
const attempt = attemptIdOf('job', 'v', 0, 3)
const inState = (state: ExecutionState): Execution => ({
  attempt,
  attemptNumber: 3,
  state,
  ...(state === 'CREATED' || state === 'SCHEDULED' ? {} : { slot }),
})
const outcome = (state: ExecutionState, event: ExecutionEvent): string => {
  try {
    const { execution, effects } = step(inState(state), event)
    return [execution.state, ...effects.map((effect) => effect.kind)].join(' ')
  } catch (error) {
    return (error as { code: string }).code
  }
}
const row = (event: ExecutionEvent) => Object.fromEntries(STATES.map((state) => [state, outcome(state, event)]))

test('every state meets every event', (t) => {
  const ILLEGAL = 'ILLEGAL_TRANSITION'
  const all = (value: string) => Object.fromEntries(STATES.map((state) => [state, value]))
  const unchanged = Object.fromEntries(STATES.map((state) => [state, state as string]))
  t.deepEqual(row({ kind: 'scheduled' }), { ...all(ILLEGAL), CREATED: 'SCHEDULED' })
  t.deepEqual(row({ kind: 'deployed', attempt: 'next', attemptNumber: 4, slot }), { ...all(ILLEGAL), SCHEDULED: 'DEPLOYING submit-task' })
  t.deepEqual(row({ kind: 'cancel-requested' }), {
    ...unchanged,
    CREATED: 'CANCELED',
    SCHEDULED: 'CANCELED',
    DEPLOYING: 'CANCELING cancel-task',
    INITIALIZING: 'CANCELING cancel-task',
    RUNNING: 'CANCELING cancel-task',
  })
  t.deepEqual(row({ kind: 'task-lost', attempt }), {
    ...unchanged,
    CREATED: 'FAILED',
    SCHEDULED: 'FAILED',
    DEPLOYING: 'FAILED',
    INITIALIZING: 'FAILED',
    RUNNING: 'FAILED',
    CANCELING: 'CANCELED',
  })
  t.deepEqual(row({ kind: 'task-lost', attempt: 'older' }), unchanged)
})

test('a report moves an attempt on, never back, and any end of a cancelled one is CANCELED', (t) => {
  for (const state of STATES)
    for (const reported of STATES) {
      const late = { kind: 'task-reported', attempt: 'older', state: reported } as const
      t.is(outcome(state, late), state, `${state} and a late ${reported}`)
      const after = outcome(state, { kind: 'task-reported', attempt, state: reported })
      if (isTerminal(state) || state === reported) t.is(after, state)
      else if (state === 'CANCELING') t.is(after, isTerminal(reported) ? 'CANCELED' : 'CANCELING')
      else if (after === 'ILLEGAL_TRANSITION') t.true(state === 'CREATED' || state === 'SCHEDULED', `${state} -> ${reported}`)
      else t.true(after === state || NEXT[state].includes(after as ExecutionState), `${state} -> ${after}`)
    }
  t.is(outcome('RUNNING', { kind: 'task-reported', attempt, state: 'INITIALIZING' }), 'RUNNING')
})

test('a deployed attempt has the number of its record', (t) => {
  const { execution } = step(inState('SCHEDULED'), { kind: 'deployed', attempt: 'v_0_7', attemptNumber: 7, slot })
  t.like(execution, { attempt: 'v_0_7', attemptNumber: 7, state: 'DEPLOYING', slot })
})
