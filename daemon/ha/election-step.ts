import type { Epoch } from '#core/epoch.js'

/**
 * The decisions of a candidate. A turn is one session; what happens in an earlier one is late. Effects can be repeated: when the
 * connection breaks in the middle of one, it is done again over the same session.
 */
export type ElectionState =
  | { readonly kind: 'STOPPED'; readonly turn: number }
  | { readonly kind: 'OPENING'; readonly turn: number }
  | { readonly kind: 'CHECKING'; readonly turn: number } // May this disk lead?
  | { readonly kind: 'OUTSIDE'; readonly turn: number } // No: waits for a change of the in-sync set.
  | { readonly kind: 'ENTERING'; readonly turn: number } // Creates its node.
  | { readonly kind: 'QUEUED'; readonly turn: number } // Watches its predecessor only.
  | { readonly kind: 'CONFIRMING'; readonly turn: number } // It is first: sync, check owner, epoch, disk.
  | { readonly kind: 'LEADING'; readonly turn: number; readonly epoch: Epoch; readonly suspended: boolean }
  | { readonly kind: 'CLOSING'; readonly turn: number; readonly again: boolean; readonly wait: boolean }
  | { readonly kind: 'WAITING'; readonly turn: number } // Something failed; tries again later.

export type ElectionEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'step-down'; readonly again: boolean; readonly reason: string }
  | ({ readonly turn: number } & (
      | { readonly kind: 'session-opened' }
      | { readonly kind: 'open-failed' }
      | { readonly kind: 'member-found' }
      | { readonly kind: 'outsider-found' }
      | { readonly kind: 'isr-changed' }
      | { readonly kind: 'entered' }
      | { readonly kind: 'first-found' }
      | { readonly kind: 'predecessor-gone' }
      | { readonly kind: 'own-node-gone' }
      | { readonly kind: 'confirmed'; readonly epoch: Epoch }
      | { readonly kind: 'suspended' }
      | { readonly kind: 'reconnected' }
      | { readonly kind: 'interrupted' } // The effect of the state broke off; the connection is back.
      | { readonly kind: 'failed'; readonly reason: string } // It failed for another reason, or the leader's work did.
      | { readonly kind: 'lease-expired' }
      | { readonly kind: 'session-lost' }
      | { readonly kind: 'session-closed' }
      | { readonly kind: 'retry-due' }
    ))

export type ElectionEffect =
  | { readonly kind: 'open-session' | 'check-membership' | 'enter' | 'look-at-queue' | 'confirm' | 'close-session' | 'wait' }
  | { readonly kind: 'grant'; readonly epoch: Epoch }
  | { readonly kind: 'suspend' | 'resume' }
  | { readonly kind: 'revoke'; readonly reason: string }

export interface ElectionStep {
  readonly state: ElectionState
  readonly effects: readonly ElectionEffect[]
}

export const STOPPED: ElectionState = { kind: 'STOPPED', turn: 0 }

export function step(state: ElectionState, event: ElectionEvent): ElectionStep {
  const stay: ElectionStep = { state, effects: [] }
  if (event.kind === 'start') return state.kind === 'STOPPED' ? open(state) : stay
  if (event.kind === 'step-down') return stepDown(state, event)
  if (event.turn !== state.turn) return stay
  switch (event.kind) {
    case 'session-opened':
      if (state.kind === 'OPENING') return go(state, 'CHECKING')
      return state.kind === 'CLOSING' ? { state, effects: [{ kind: 'close-session' }] } : stay // Stopped while it opened.
    case 'open-failed':
      return state.kind === 'OPENING' ? wait(state) : closed(state)
    case 'member-found':
      return state.kind === 'CHECKING' ? go(state, 'ENTERING') : stay
    case 'outsider-found':
      if (state.kind === 'CHECKING') return { state: { kind: 'OUTSIDE', turn: state.turn }, effects: [] }
      return state.kind === 'CONFIRMING' ? close(state, { again: true, wait: true }) : stay // Leaves the queue: others may lead.
    case 'isr-changed':
      return state.kind === 'OUTSIDE' || state.kind === 'CHECKING' ? go(state, 'CHECKING') : stay
    case 'entered':
      return state.kind === 'ENTERING' ? go(state, 'QUEUED') : stay
    case 'predecessor-gone':
      return state.kind === 'QUEUED' ? go(state, 'QUEUED') : stay
    case 'first-found':
      return state.kind === 'QUEUED' ? go(state, 'CONFIRMING') : stay
    case 'own-node-gone':
      if (state.kind === 'QUEUED' || state.kind === 'CONFIRMING') return go(state, 'ENTERING')
      return state.kind === 'LEADING' ? revoke(state, 'its election node is gone', { again: true, wait: false }) : stay
    case 'confirmed':
      if (state.kind !== 'CONFIRMING') return stay
      return {
        state: { kind: 'LEADING', turn: state.turn, epoch: event.epoch, suspended: false },
        effects: [{ kind: 'grant', epoch: event.epoch }],
      }
    case 'suspended':
      return state.kind === 'LEADING' ? { state: { ...state, suspended: true }, effects: [{ kind: 'suspend' }] } : stay
    case 'reconnected':
      if (state.kind === 'LEADING') return { state: { ...state, suspended: false }, effects: [{ kind: 'resume' }] }
      return state.kind === 'QUEUED' || state.kind === 'OUTSIDE' ? again(state) : stay
    case 'interrupted':
      return again(state)
    case 'failed':
      return failed(state, event.reason)
    case 'lease-expired':
      return state.kind === 'LEADING'
        ? revoke(state, 'ZooKeeper did not answer within the session time-out', { again: true, wait: false })
        : stay
    case 'session-lost':
      return lost(state)
    case 'session-closed':
      return closed(state)
    case 'retry-due':
      return state.kind === 'WAITING' ? open(state) : stay
  }
}

type Working = 'CHECKING' | 'ENTERING' | 'QUEUED' | 'CONFIRMING'
const WORK: Record<Working, ElectionEffect> = {
  CHECKING: { kind: 'check-membership' },
  ENTERING: { kind: 'enter' },
  QUEUED: { kind: 'look-at-queue' },
  CONFIRMING: { kind: 'confirm' },
}

/** Enters a state and does its work. */
function go({ turn }: ElectionState, kind: Working): ElectionStep {
  return { state: { kind, turn }, effects: [WORK[kind]] }
}

/** Does the work of the state once more. */
function again(state: ElectionState): ElectionStep {
  if (state.kind === 'OUTSIDE') return go(state, 'CHECKING')
  if (state.kind === 'CHECKING' || state.kind === 'ENTERING' || state.kind === 'QUEUED' || state.kind === 'CONFIRMING')
    return go(state, state.kind)
  return { state, effects: [] }
}

function open({ turn }: ElectionState): ElectionStep {
  return { state: { kind: 'OPENING', turn: turn + 1 }, effects: [{ kind: 'open-session' }] }
}

function close({ turn }: ElectionState, then: { again: boolean; wait: boolean }): ElectionStep {
  return { state: { kind: 'CLOSING', turn, ...then }, effects: [{ kind: 'close-session' }] }
}

/** First the leader's work ends, then the session: nobody else leads before. */
function revoke(state: ElectionState, reason: string, then: { again: boolean; wait: boolean }): ElectionStep {
  const closing = close(state, then)
  return { state: closing.state, effects: [{ kind: 'revoke', reason }, ...closing.effects] }
}

function wait({ turn }: ElectionState): ElectionStep {
  return { state: { kind: 'WAITING', turn }, effects: [{ kind: 'wait' }] }
}

function stepDown(state: ElectionState, event: { again: boolean; reason: string }): ElectionStep {
  const then = { again: event.again, wait: false }
  switch (state.kind) {
    case 'STOPPED':
      return { state, effects: [] }
    case 'LEADING':
      return revoke(state, event.reason, then)
    case 'CLOSING':
      return { state: { ...state, again: state.again && event.again }, effects: [] }
    case 'WAITING':
      return event.again ? { state, effects: [] } : { state: { kind: 'STOPPED', turn: state.turn }, effects: [] }
    case 'OPENING':
      return event.again ? { state, effects: [] } : { state: { kind: 'CLOSING', turn: state.turn, ...then }, effects: [] }
    default:
      return close(state, then)
  }
}

function failed(state: ElectionState, reason: string): ElectionStep {
  switch (state.kind) {
    case 'LEADING':
      return revoke(state, reason, { again: true, wait: true })
    case 'OPENING':
    case 'CLOSING': // Of work that the closing broke off.
    case 'STOPPED':
    case 'WAITING':
      return { state, effects: [] }
    default:
      return close(state, { again: true, wait: true })
  }
}

function lost(state: ElectionState): ElectionStep {
  switch (state.kind) {
    case 'LEADING': {
      const next = open(state)
      return { state: next.state, effects: [{ kind: 'revoke', reason: 'the ZooKeeper session ended' }, ...next.effects] }
    }
    case 'CHECKING':
    case 'OUTSIDE':
    case 'ENTERING':
    case 'QUEUED':
    case 'CONFIRMING':
      return open(state)
    default:
      return { state, effects: [] } // Closing: its end is reported by itself.
  }
}

function closed(state: ElectionState): ElectionStep {
  if (state.kind !== 'CLOSING') return { state, effects: [] }
  if (!state.again) return { state: { kind: 'STOPPED', turn: state.turn }, effects: [] }
  return state.wait ? wait(state) : open(state)
}
