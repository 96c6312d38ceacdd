/**
 * The decisions of the checkpoint coordinator: when one begins, when it is complete, when it is given up. Pure: the shell
 * (checkpoint-coordinator.ts) brings events in order and performs the effects. One checkpoint at a time goes through
 *
 *   snapshotting-sources -> collecting -> storing (its manifest) -> committing (the job's fact names it) -> completed
 *
 * and can be aborted until its fact is being set: from then on only the outcome of that `set` decides.
 */
import { FlottError, isPassingTrouble } from '#core/errors.js'
import type { CoordinatorState, SubtaskSnapshot } from '#protocol/checkpoint/manifest.js'
import type { CheckpointAcknowledgement, CheckpointMetrics } from '#protocol/gateways/job-master-gateway.js'
import type { ExecutionView } from '../job-master-context.js'
import type { CheckpointSettings } from './checkpoint-settings.js'

/** Ids that one `set` of the fact reserves. A takeover goes on above them, so that no id is ever used twice. */
export const RESERVED_IDS = 128
/** How soon a trigger that found tasks not ready, or a final checkpoint that failed, is tried again. */
export const RETRY_MS = 1_000

export type PendingPhase = 'snapshotting-sources' | 'collecting' | 'storing' | 'committing'

export interface AcknowledgedSubtask {
  readonly snapshot: SubtaskSnapshot
  readonly metrics?: CheckpointMetrics
  /** Wall clock. */
  readonly timestamp: number
}

export interface PendingCheckpoint {
  readonly id: number
  /** Wall clock, for barriers and people. */
  readonly timestamp: number
  readonly phase: PendingPhase
  /** All subtasks as they were when it began. */
  readonly tasks: readonly ExecutionView[]
  /** Attempts that the trigger is sent to. */
  readonly targets: readonly string[]
  readonly coordinators: Readonly<Record<string, CoordinatorState>>
  /** By attempt id. */
  readonly acknowledged: ReadonlyMap<string, AcknowledgedSubtask>
  /** Attempts that had asked for their final checkpoint when it began. */
  readonly finalFor: readonly string[]
}

export interface CheckpointState {
  readonly settings: CheckpointSettings
  readonly triggering: boolean
  readonly closed: boolean
  readonly nextId: number
  readonly reservedUpTo: number
  readonly reserving: boolean
  /** Monotonic. */
  readonly lastTriggered: number | undefined
  readonly consecutiveFailures: number
  /** Attempts whose data has ended. */
  readonly awaitingFinal: ReadonlySet<string>
  /** One shall begin as soon as the pending one has ended. */
  readonly finalDue: boolean
  /** Somebody waits for one to complete: they follow each other without a pause until one has. */
  readonly asked: boolean
  readonly pending: PendingCheckpoint | undefined
}

/** `now` is monotonic, `timestamp` wall clock. `targets`: the attempts that get no barrier from a running producer. */
export type CheckpointEvent =
  /** `dueMs`: when the first one is due, where that is not a whole interval from now. */
  | { readonly kind: 'start'; readonly now: number; readonly targets: readonly string[]; readonly dueMs?: number }
  | { readonly kind: 'stop'; readonly cause: Error }
  | { readonly kind: 'asked' }
  | {
      readonly kind: 'trigger-due'
      readonly now: number
      readonly timestamp: number
      readonly tasks: readonly ExecutionView[]
      readonly targets: readonly string[]
    }
  | { readonly kind: 'ids-reserved'; readonly upTo: number }
  | { readonly kind: 'reservation-failed' }
  | {
      readonly kind: 'sources-snapshotted'
      readonly checkpointId: number
      readonly coordinators: Readonly<Record<string, CoordinatorState>>
    }
  | { readonly kind: 'sources-failed'; readonly checkpointId: number; readonly cause: Error; readonly now: number }
  | { readonly kind: 'trigger-failed'; readonly checkpointId: number; readonly cause: Error; readonly now: number }
  | { readonly kind: 'acknowledged'; readonly ack: CheckpointAcknowledgement; readonly timestamp: number }
  | {
      readonly kind: 'declined'
      readonly attemptId: string
      readonly checkpointId: number
      readonly cause: Error
      readonly now: number
    }
  | { readonly kind: 'expired'; readonly checkpointId: number; readonly now: number }
  | { readonly kind: 'execution-finished'; readonly attemptId: string; readonly timestamp: number }
  | { readonly kind: 'awaiting-final'; readonly attemptId: string; readonly targets: readonly string[] }
  | { readonly kind: 'manifest-stored'; readonly checkpointId: number }
  | { readonly kind: 'store-failed'; readonly checkpointId: number; readonly cause: Error; readonly now: number }
  | { readonly kind: 'fact-set'; readonly checkpointId: number; readonly now: number }
  | { readonly kind: 'close' }

export type CheckpointEffect =
  | { readonly kind: 'schedule-trigger'; readonly delayMs: number }
  | { readonly kind: 'cancel-trigger' }
  | { readonly kind: 'schedule-expiry'; readonly checkpointId: number; readonly delayMs: number }
  | { readonly kind: 'cancel-expiry' }
  | { readonly kind: 'reserve-ids'; readonly upTo: number }
  | { readonly kind: 'snapshot-sources'; readonly checkpointId: number }
  | { readonly kind: 'send-triggers'; readonly pending: PendingCheckpoint }
  | { readonly kind: 'store-manifest'; readonly pending: PendingCheckpoint }
  | { readonly kind: 'set-fact'; readonly pending: PendingCheckpoint }
  | { readonly kind: 'completed'; readonly pending: PendingCheckpoint }
  | { readonly kind: 'aborted'; readonly pending: PendingCheckpoint; readonly cause: Error }
  | { readonly kind: 'fail-job'; readonly cause: Error }

export interface CheckpointStep {
  readonly state: CheckpointState
  readonly effects: readonly CheckpointEffect[]
}

export function initialCheckpointState(settings: CheckpointSettings, checkpointIdReserved: number): CheckpointState {
  return {
    settings,
    triggering: false,
    closed: false,
    nextId: checkpointIdReserved + 1,
    reservedUpTo: checkpointIdReserved,
    reserving: false,
    lastTriggered: undefined,
    consecutiveFailures: 0,
    awaitingFinal: new Set(),
    finalDue: false,
    asked: false,
    pending: undefined,
  }
}

/** Decides; performs nothing. What refers to another checkpoint than the pending one is late, not wrong. */
export function step(state: CheckpointState, event: CheckpointEvent): CheckpointStep {
  if (state.closed) return stay(state)
  switch (event.kind) {
    case 'start':
      return start(state, event)
    case 'stop':
      return stop(state, event.cause)
    case 'asked':
      return withTrigger({ ...state, asked: true }, 0)
    case 'close':
      return close(state)
    case 'trigger-due':
      return trigger(state, event)
    case 'ids-reserved':
      return withTrigger({ ...state, reserving: false, reservedUpTo: event.upTo }, 0)
    case 'reservation-failed':
      return withTrigger({ ...state, reserving: false }, RETRY_MS)
    case 'execution-finished':
      return finished(state, event.attemptId, event.timestamp)
    case 'awaiting-final':
      return awaitingFinal(state, event)
    case 'acknowledged':
      return acknowledged(state, event)
    case 'sources-snapshotted':
    case 'sources-failed':
    case 'trigger-failed':
    case 'declined':
    case 'expired':
    case 'manifest-stored':
    case 'store-failed':
    case 'fact-set': {
      const { pending } = state
      return pending?.id === event.checkpointId ? progress(state, pending, event) : stay(state)
    }
  }
}

type ProgressEvent = Extract<CheckpointEvent, { checkpointId: number }>

function progress(state: CheckpointState, pending: PendingCheckpoint, event: ProgressEvent): CheckpointStep {
  const { phase } = pending
  switch (event.kind) {
    case 'sources-snapshotted':
      return phase === 'snapshotting-sources' ? sendTriggers(state, { ...pending, coordinators: event.coordinators }) : stay(state)
    case 'sources-failed':
      return phase === 'snapshotting-sources' ? fail(state, pending, event.cause, event.now) : stay(state)
    case 'trigger-failed':
      // A task that it did not reach is lost, and its region restarts; the checkpoint itself is not to blame.
      return phase === 'collecting' ? abort(state, pending, event.cause, event.now) : stay(state)
    case 'declined':
      if (phase !== 'collecting' || !pending.tasks.some((task) => task.attemptId === event.attemptId)) return stay(state)
      return fail(state, pending, event.cause, event.now)
    case 'expired':
      if (phase === 'committing') return stay(state)
      return fail(state, pending, new FlottError('CHECKPOINT_FAILED', `checkpoint ${pending.id} expired`), event.now)
    case 'manifest-stored':
      if (phase !== 'storing') return stay(state)
      return enter(state, { ...pending, phase: 'committing' }, (p) => [{ kind: 'set-fact', pending: p }])
    case 'store-failed':
      return phase === 'storing' || phase === 'committing' ? fail(state, pending, event.cause, event.now) : stay(state)
    case 'fact-set':
      return phase === 'committing' ? complete(state, pending, event.now) : stay(state)
  }
}

const stay = (state: CheckpointState): CheckpointStep => ({ state, effects: [] })

function enter(
  state: CheckpointState,
  pending: PendingCheckpoint,
  effects: (pending: PendingCheckpoint) => readonly CheckpointEffect[],
): CheckpointStep {
  return { state: { ...state, pending }, effects: effects(pending) }
}

function withTrigger(state: CheckpointState, delayMs: number, before: readonly CheckpointEffect[] = []): CheckpointStep {
  if (!state.triggering || state.pending || state.reserving) return { state, effects: before }
  return { state, effects: [...before, { kind: 'schedule-trigger', delayMs }] }
}

function start(state: CheckpointState, event: Extract<CheckpointEvent, { kind: 'start' }>): CheckpointStep {
  if (state.triggering || state.settings.intervalMs === 0) return stay(state)
  const finalDue = allAwait(state.awaitingFinal, event.targets)
  return withTrigger({ ...state, triggering: true, finalDue }, finalDue || state.asked ? 0 : (event.dueMs ?? state.settings.intervalMs))
}

function stop(state: CheckpointState, cause: Error): CheckpointStep {
  const stopped = { ...state, triggering: false, finalDue: false, asked: false }
  const cancel: CheckpointEffect = { kind: 'cancel-trigger' }
  if (!state.pending || state.pending.phase === 'committing') return { state: stopped, effects: [cancel] }
  return {
    state: { ...stopped, pending: undefined },
    effects: [cancel, { kind: 'cancel-expiry' }, { kind: 'aborted', pending: state.pending, cause }],
  }
}

/** The reign or the job has ended: nothing more is decided. Tasks keep what they hold, for whoever comes next. */
function close(state: CheckpointState): CheckpointStep {
  return {
    state: { ...state, closed: true, triggering: false, pending: undefined },
    effects: [{ kind: 'cancel-trigger' }, { kind: 'cancel-expiry' }],
  }
}

function trigger(state: CheckpointState, event: Extract<CheckpointEvent, { kind: 'trigger-due' }>): CheckpointStep {
  if (!state.triggering || state.pending || state.reserving) return stay(state)
  if (!event.tasks.every(({ state: task }) => task === 'RUNNING' || task === 'FINISHED'))
    return withTrigger(state, Math.min(RETRY_MS, state.settings.intervalMs))
  if (event.targets.length === 0) return stay(state) // All have finished.
  if (state.nextId > state.reservedUpTo)
    return { state: { ...state, reserving: true }, effects: [{ kind: 'reserve-ids', upTo: state.nextId + RESERVED_IDS - 1 }] }
  const current = new Set(event.tasks.map((task) => task.attemptId))
  const awaiting = [...state.awaitingFinal].filter((attempt) => current.has(attempt))
  const done = event.tasks.filter((task) => task.state === 'FINISHED')
  const pending: PendingCheckpoint = {
    id: state.nextId,
    timestamp: event.timestamp,
    phase: 'snapshotting-sources',
    tasks: event.tasks,
    targets: event.targets,
    coordinators: {},
    acknowledged: new Map(done.map((task) => [task.attemptId, nothingLeft(task.subtaskIndex, event.timestamp)])),
    finalFor: awaiting,
  }
  return {
    state: {
      ...state,
      nextId: state.nextId + 1,
      lastTriggered: event.now,
      awaitingFinal: new Set(awaiting),
      finalDue: false,
      pending,
    },
    effects: [
      { kind: 'schedule-expiry', checkpointId: pending.id, delayMs: state.settings.timeoutMs },
      { kind: 'snapshot-sources', checkpointId: pending.id },
    ],
  }
}

/** What a subtask that has FINISHED contributes: it finished after a completed checkpoint had covered all that it did. */
function nothingLeft(subtaskIndex: number, timestamp: number): AcknowledgedSubtask {
  return { snapshot: { subtaskIndex, finished: true, operators: {} }, timestamp }
}

function sendTriggers(state: CheckpointState, pending: PendingCheckpoint): CheckpointStep {
  const sent = enter(state, { ...pending, phase: 'collecting' }, (p) => [{ kind: 'send-triggers', pending: p }])
  return withCompleteness(sent)
}

function acknowledged(state: CheckpointState, event: Extract<CheckpointEvent, { kind: 'acknowledged' }>): CheckpointStep {
  const { ack, timestamp } = event
  if (state.pending?.id !== ack.checkpointId) return stay(state)
  return collect(state, ack.attemptId, { snapshot: ack.snapshot, metrics: ack.metrics, timestamp })
}

function finished(state: CheckpointState, attemptId: string, timestamp: number): CheckpointStep {
  const awaiting = new Set(state.awaitingFinal)
  awaiting.delete(attemptId)
  const task = state.pending?.tasks.find((t) => t.attemptId === attemptId)
  const next = { ...state, awaitingFinal: awaiting }
  return task ? collect(next, attemptId, nothingLeft(task.subtaskIndex, timestamp)) : stay(next)
}

function collect(state: CheckpointState, attemptId: string, subtask: AcknowledgedSubtask): CheckpointStep {
  const { pending } = state
  if (!pending || (pending.phase !== 'collecting' && pending.phase !== 'snapshotting-sources')) return stay(state)
  if (pending.acknowledged.has(attemptId) || !pending.tasks.some((task) => task.attemptId === attemptId)) return stay(state)
  const next = { ...pending, acknowledged: new Map(pending.acknowledged).set(attemptId, subtask) }
  return withCompleteness({ state: { ...state, pending: next }, effects: [] })
}

function withCompleteness({ state, effects }: CheckpointStep): CheckpointStep {
  const { pending } = state
  if (pending?.phase !== 'collecting' || pending.acknowledged.size < pending.tasks.length) return { state, effects }
  const stored = enter(state, { ...pending, phase: 'storing' }, (p) => [{ kind: 'store-manifest', pending: p }])
  return { state: stored.state, effects: [...effects, ...stored.effects] }
}

function complete(state: CheckpointState, pending: PendingCheckpoint, now: number): CheckpointStep {
  const awaiting = new Set(state.awaitingFinal)
  for (const attempt of pending.finalFor) awaiting.delete(attempt)
  const next = { ...state, pending: undefined, consecutiveFailures: 0, awaitingFinal: awaiting, asked: false }
  return withTrigger(next, state.finalDue ? 0 : delayToNext(state, now), [{ kind: 'cancel-expiry' }, { kind: 'completed', pending }])
}

function abort(state: CheckpointState, pending: PendingCheckpoint, cause: Error, now: number): CheckpointStep {
  // Those that waited for this one wait for the next.
  const finalDue = state.finalDue || pending.finalFor.length > 0
  const delay = Math.max(delayToNext(state, now), 0)
  const next = { ...state, pending: undefined, finalDue }
  return withTrigger(next, finalDue || state.asked ? Math.min(delay, RETRY_MS) : delay, [
    { kind: 'cancel-expiry' },
    { kind: 'aborted', pending, cause },
  ])
}

/**
 * Aborts one that failed by itself: more of these in a row than are tolerable fail the job. A disk that is full or fails, or a leader out of
 * reach, is not counted: the job could store no more after a restart than before, and would lose the work since its last checkpoint.
 */
function fail(state: CheckpointState, pending: PendingCheckpoint, cause: Error, now: number): CheckpointStep {
  if (isPassingTrouble(cause)) return abort(state, pending, cause, now)
  const failures = state.consecutiveFailures + 1
  const aborted = abort({ ...state, consecutiveFailures: failures }, pending, cause, now)
  if (failures <= state.settings.tolerableFailures) return aborted
  const failure = new FlottError('CHECKPOINT_FAILED', `checkpoint ${pending.id} failed, ${failures} in a row`, { cause })
  const effects = aborted.effects.filter((effect) => effect.kind !== 'schedule-trigger')
  return {
    state: { ...aborted.state, triggering: false, consecutiveFailures: 0 },
    effects: [...effects, { kind: 'fail-job', cause: failure }],
  }
}

function delayToNext(state: CheckpointState, now: number): number {
  const { intervalMs, minPauseMs } = state.settings
  return Math.max((state.lastTriggered ?? now) + intervalMs - now, minPauseMs, 0)
}

function awaitingFinal(state: CheckpointState, event: Extract<CheckpointEvent, { kind: 'awaiting-final' }>): CheckpointStep {
  const awaiting = new Set(state.awaitingFinal).add(event.attemptId)
  const next = { ...state, awaitingFinal: awaiting }
  if (!state.triggering || state.finalDue || !allAwait(awaiting, event.targets)) return stay(next)
  return withTrigger({ ...next, finalDue: true }, 0)
}

function allAwait(awaiting: ReadonlySet<string>, targets: readonly string[]): boolean {
  return targets.length > 0 && targets.every((attempt) => awaiting.has(attempt))
}
