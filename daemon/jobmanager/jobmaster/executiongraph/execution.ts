/** One try at a subtask. Its attempt id fences: what older attempts still say is late, not wrong, and changes nothing. */
import { FlottError } from '#core/errors.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'

export const NEXT: Readonly<Record<ExecutionState, readonly ExecutionState[]>> = {
  CREATED: ['SCHEDULED', 'CANCELED', 'FAILED'],
  SCHEDULED: ['DEPLOYING', 'CANCELED', 'FAILED'],
  DEPLOYING: ['INITIALIZING', 'RUNNING', 'FINISHED', 'CANCELING', 'CANCELED', 'FAILED'],
  INITIALIZING: ['RUNNING', 'FINISHED', 'CANCELING', 'CANCELED', 'FAILED'],
  RUNNING: ['FINISHED', 'CANCELING', 'CANCELED', 'FAILED'],
  CANCELING: ['CANCELED'], // However the task ends.
  FINISHED: [],
  CANCELED: [],
  FAILED: [],
}

/** A slot that the ResourceManager granted to the job. */
export interface AllocatedSlot {
  readonly allocationId: string
  readonly taskManagerId: string
  readonly slotIndex: number
  /** The TaskManager's data address. */
  readonly host: string
  readonly dataPort: number
  /** The TaskManager's process. */
  readonly processId?: string
}

export interface Execution {
  /** Before it is deployed, the id is a provisional one: higher than any that ran. */
  readonly attempt: string
  readonly attemptNumber: number
  readonly state: ExecutionState
  readonly slot?: AllocatedSlot
}

export type ExecutionEvent =
  | { readonly kind: 'scheduled' }
  /** The deployment record that names this attempt in this slot is durable. */
  | { readonly kind: 'deployed'; readonly attempt: string; readonly attemptNumber: number; readonly slot: AllocatedSlot }
  /** An attempt reports in order: each report awaits the acknowledgement of the last. */
  | { readonly kind: 'task-reported'; readonly attempt: string; readonly state: ExecutionState }
  | { readonly kind: 'cancel-requested' }
  /** It runs no more, or never did: the TaskManager or slot is gone, or the task was refused. */
  | { readonly kind: 'task-lost'; readonly attempt: string }

export interface ExecutionEffect {
  readonly kind: 'submit-task' | 'cancel-task'
  readonly attempt: string
  readonly slot: AllocatedSlot
}
export interface ExecutionStep {
  readonly execution: Execution
  readonly effects: readonly ExecutionEffect[]
}

export function isTerminal(state: ExecutionState): boolean {
  return NEXT[state].length === 0
}

/** Decides; performs nothing. */
export function step(execution: Execution, event: ExecutionEvent): ExecutionStep {
  const { attempt, state, slot } = execution
  const stay = { execution, effects: [] }
  switch (event.kind) {
    case 'scheduled':
      return { execution: enter(execution, 'SCHEDULED'), effects: [] }
    case 'deployed': {
      const { attempt, attemptNumber, slot } = event
      return {
        execution: { ...enter(execution, 'DEPLOYING'), attempt, attemptNumber, slot },
        effects: [{ kind: 'submit-task', attempt, slot }],
      }
    }
    case 'task-reported':
      return event.attempt === attempt ? reported(execution, event.state) : stay
    case 'cancel-requested':
      if (state === 'CANCELING' || isTerminal(state)) return stay
      if (state === 'CREATED' || state === 'SCHEDULED' || slot === undefined)
        return { execution: enter(execution, 'CANCELED'), effects: [] }
      return { execution: enter(execution, 'CANCELING'), effects: [{ kind: 'cancel-task', attempt, slot }] }
    case 'task-lost':
      if (event.attempt !== attempt || isTerminal(state)) return stay
      return { execution: enter(execution, state === 'CANCELING' ? 'CANCELED' : 'FAILED'), effects: [] }
  }
}

const ORDER: readonly ExecutionState[] = ['CREATED', 'SCHEDULED', 'DEPLOYING', 'INITIALIZING', 'RUNNING']

function reported(execution: Execution, to: ExecutionState): ExecutionStep {
  const { state } = execution
  const stay = { execution, effects: [] }
  if (to === state || isTerminal(state)) return stay
  if (state === 'CANCELING') return isTerminal(to) ? { execution: enter(execution, 'CANCELED'), effects: [] } : stay
  if (ORDER.indexOf(to) >= 0 && ORDER.indexOf(to) < ORDER.indexOf(state)) return stay // A repeated report.
  if (to === 'CANCELING') return stay // Nobody asked here; the end follows.
  return { execution: enter(execution, to), effects: [] }
}

function enter(execution: Execution, to: ExecutionState): Execution {
  if (NEXT[execution.state].includes(to)) return { ...execution, state: to }
  throw new FlottError('ILLEGAL_TRANSITION', `${execution.attempt}: ${execution.state} -> ${to}`)
}
