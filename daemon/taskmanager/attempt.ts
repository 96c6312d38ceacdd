/**
 * What the TaskManager knows of an attempt, so that a new leader can adopt it: its state, its checkpoints, what its readers hold. Pure:
 * messages from the leader and from the slot worker are events, `reportOf` is what registration says.
 */

import type { ExecutionState, ReaderEvent, TaskExecutionReport } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { NumberedEvent } from '#protocol/gateways/task-executor-gateway.js'
import type { TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'

export interface Attempt {
  readonly jobId: string
  readonly descriptor: TaskDeploymentDescriptor
  readonly deploymentNumber: number
  readonly state: ExecutionState
  readonly lastCheckpointCompleted: number
  readonly pendingCheckpoints: readonly number[]
  readonly awaitingFinalCheckpoint: boolean
  /** By operator id of a source. */
  readonly readers: Readonly<Record<string, ReaderRecord>>
  /** By checkpoint: for each operator id the number up to which events belong to it. */
  readonly assigned: Readonly<Record<number, Readonly<Record<string, number>>>>
  /** What came with its terminal state. */
  readonly outcome?: AttemptOutcome
}
export type AttemptOutcome = Pick<TaskExecutionReport, 'error' | 'accumulators' | 'metrics'>
export interface ReaderRecord {
  readonly received: number
  /** Since the last completed checkpoint. */
  readonly events: readonly NumberedEvent[]
  readonly splitRequested: boolean
}

export type AttemptEvent =
  | { readonly kind: 'state-reported'; readonly state: ExecutionState; readonly outcome?: AttemptOutcome }
  | { readonly kind: 'cancel-requested' }
  | {
      readonly kind: 'checkpoint-triggered'
      readonly checkpointId: number
      readonly assigned: Readonly<Record<string, Readonly<Record<number, number>>>>
    }
  | { readonly kind: 'checkpoint-acknowledged'; readonly checkpointId: number }
  | { readonly kind: 'checkpoint-completed'; readonly checkpointId: number }
  | { readonly kind: 'checkpoint-aborted'; readonly checkpointId: number }
  | { readonly kind: 'events-received'; readonly operatorId: string; readonly events: readonly NumberedEvent[] }
  | { readonly kind: 'reader-event'; readonly operatorId: string; readonly event: ReaderEvent }
  | { readonly kind: 'final-checkpoint-awaited' }

/** In the order in which a task goes through them; terminal ones are equal. CANCELING is entered by the request alone. */
const RANK: Readonly<Record<ExecutionState, number>> = {
  CREATED: 0,
  SCHEDULED: 0,
  DEPLOYING: 1,
  INITIALIZING: 2,
  RUNNING: 3,
  CANCELING: 4,
  FINISHED: 5,
  CANCELED: 5,
  FAILED: 5,
}
export function isTerminal(state: ExecutionState): boolean {
  return RANK[state] === 5
}

export function createAttempt(jobId: string, descriptor: TaskDeploymentDescriptor, deploymentNumber: number): Attempt {
  return {
    jobId,
    descriptor,
    deploymentNumber,
    state: 'DEPLOYING',
    lastCheckpointCompleted: descriptor.restore?.checkpointId ?? 0,
    pendingCheckpoints: [],
    awaitingFinalCheckpoint: false,
    readers: {},
    assigned: {},
  }
}

/** Returns the same object when the event changes nothing: it is repeated, or late. */
export function stepAttempt(attempt: Attempt, event: AttemptEvent): Attempt {
  if (isTerminal(attempt.state)) return attempt
  const { checkpointId } = event as { checkpointId: number }
  switch (event.kind) {
    case 'state-reported':
      return enter(attempt, event.state, event.outcome)
    case 'cancel-requested':
      return enter(attempt, 'CANCELING')
    case 'checkpoint-triggered':
      return { ...attempt, assigned: { ...attempt.assigned, [checkpointId]: assignedTo(attempt, event.assigned) } }
    case 'checkpoint-acknowledged':
      if (checkpointId <= attempt.lastCheckpointCompleted || attempt.pendingCheckpoints.includes(checkpointId)) return attempt
      return { ...attempt, pendingCheckpoints: [...attempt.pendingCheckpoints, checkpointId] }
    case 'checkpoint-completed':
      return checkpointId <= attempt.lastCheckpointCompleted ? attempt : complete(attempt, checkpointId)
    case 'checkpoint-aborted':
      return { ...attempt, pendingCheckpoints: attempt.pendingCheckpoints.filter((id) => id !== checkpointId) }
    case 'events-received':
      return receive(attempt, event.operatorId, event.events)
    case 'reader-event':
      return readerSaid(attempt, event.operatorId, event.event)
    case 'final-checkpoint-awaited':
      return { ...attempt, awaitingFinalCheckpoint: true }
  }
}

export function reportOf(attempt: Attempt): AttemptReport {
  const { jobId, descriptor, deploymentNumber, state, lastCheckpointCompleted, pendingCheckpoints, readers } = attempt
  const { vertexId, subtaskIndex, attemptNumber, attemptId } = descriptor
  const entries = Object.entries(readers)
  return {
    jobId,
    vertexId,
    subtaskIndex,
    attemptNumber,
    attemptId,
    state,
    lastCheckpointCompleted,
    pendingCheckpoints,
    deploymentNumber,
    assignmentsReceived: Object.fromEntries(entries.map(([id, reader]) => [id, reader.received])),
    eventsReceived: Object.fromEntries(entries.map(([id, reader]) => [id, reader.events])),
    splitRequests: entries.filter(([, reader]) => reader.splitRequested).map(([id]) => id),
    ...(attempt.awaitingFinalCheckpoint ? { awaitingFinalCheckpoint: true } : {}),
  }
}

function enter(attempt: Attempt, state: ExecutionState, outcome?: AttemptOutcome): Attempt {
  if (RANK[state] <= RANK[attempt.state]) return attempt
  return { ...attempt, state, ...(outcome && isTerminal(state) ? { outcome } : {}) }
}

function assignedTo(attempt: Attempt, assigned: Readonly<Record<string, Readonly<Record<number, number>>>>): Record<string, number> {
  const reader = attempt.descriptor.subtaskIndex
  return Object.fromEntries(
    Object.entries(assigned).flatMap(([id, byReader]) => (byReader[reader] === undefined ? [] : [[id, byReader[reader]]])),
  )
}

/** What the completed checkpoint holds need not be told again. */
function complete(attempt: Attempt, checkpointId: number): Attempt {
  const held = attempt.assigned[checkpointId] ?? {}
  const keep = (id: string, reader: ReaderRecord) => ({ ...reader, events: reader.events.filter(({ number }) => number > (held[id] ?? 0)) })
  return {
    ...attempt,
    lastCheckpointCompleted: checkpointId,
    pendingCheckpoints: attempt.pendingCheckpoints.filter((id) => id > checkpointId),
    readers: Object.fromEntries(Object.entries(attempt.readers).map(([id, reader]) => [id, keep(id, reader)])),
    assigned: Object.fromEntries(Object.entries(attempt.assigned).filter(([id]) => Number(id) > checkpointId)),
  }
}

const UNKNOWN_READER: ReaderRecord = { received: 0, events: [], splitRequested: false }

function receive(attempt: Attempt, operatorId: string, events: readonly NumberedEvent[]): Attempt {
  const reader = attempt.readers[operatorId] ?? UNKNOWN_READER
  const fresh = events.filter(({ number }) => number > reader.received)
  if (fresh.length === 0) return attempt
  const record = { received: fresh.at(-1)!.number, events: [...reader.events, ...fresh], splitRequested: false }
  return { ...attempt, readers: { ...attempt.readers, [operatorId]: record } }
}

function readerSaid(attempt: Attempt, operatorId: string, event: ReaderEvent): Attempt {
  const reader = attempt.readers[operatorId] ?? UNKNOWN_READER
  const record =
    event.kind === 'split-requested'
      ? { ...reader, splitRequested: true }
      : { ...reader, received: Math.max(reader.received, event.received) }
  return { ...attempt, readers: { ...attempt.readers, [operatorId]: record } }
}
