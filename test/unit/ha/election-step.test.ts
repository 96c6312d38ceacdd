import test from 'ava'
import { type ElectionEvent, type ElectionState, STOPPED, step } from '#ha/election-step.js'

const epoch = { incarnation: 0, czxid: '0000000000000001' }
const STATES: Record<string, ElectionState> = {
  STOPPED,
  OPENING: { kind: 'OPENING', turn: 1 },
  CHECKING: { kind: 'CHECKING', turn: 1 },
  OUTSIDE: { kind: 'OUTSIDE', turn: 1 },
  ENTERING: { kind: 'ENTERING', turn: 1 },
  QUEUED: { kind: 'QUEUED', turn: 1 },
  CONFIRMING: { kind: 'CONFIRMING', turn: 1 },
  LEADING: { kind: 'LEADING', turn: 1, epoch, suspended: false },
  SUSPENDED: { kind: 'LEADING', turn: 1, epoch, suspended: true },
  CLOSING: { kind: 'CLOSING', turn: 1, again: true, wait: false },
  'CLOSING-wait': { kind: 'CLOSING', turn: 1, again: true, wait: true },
  'CLOSING-last': { kind: 'CLOSING', turn: 1, again: false, wait: false },
  WAITING: { kind: 'WAITING', turn: 1 },
}
const EVENTS: Record<string, ElectionEvent> = {
  start: { kind: 'start' },
  'step-down-again': { kind: 'step-down', again: true, reason: 'r' },
  'step-down-last': { kind: 'step-down', again: false, reason: 'r' },
  'session-opened': { kind: 'session-opened', turn: 1 },
  'open-failed': { kind: 'open-failed', turn: 1 },
  'member-found': { kind: 'member-found', turn: 1 },
  'outsider-found': { kind: 'outsider-found', turn: 1 },
  'isr-changed': { kind: 'isr-changed', turn: 1 },
  entered: { kind: 'entered', turn: 1 },
  'first-found': { kind: 'first-found', turn: 1 },
  'predecessor-gone': { kind: 'predecessor-gone', turn: 1 },
  'own-node-gone': { kind: 'own-node-gone', turn: 1 },
  confirmed: { kind: 'confirmed', turn: 1, epoch },
  suspended: { kind: 'suspended', turn: 1 },
  reconnected: { kind: 'reconnected', turn: 1 },
  interrupted: { kind: 'interrupted', turn: 1 },
  failed: { kind: 'failed', turn: 1, reason: 'r' },
  'lease-expired': { kind: 'lease-expired', turn: 1 },
  'session-lost': { kind: 'session-lost', turn: 1 },
  'session-closed': { kind: 'session-closed', turn: 1 },
  'retry-due': { kind: 'retry-due', turn: 1 },
}

/** Whatever is not listed stays as it is, without effects. State after the arrow, then effects. */
const TABLE: Record<string, Record<string, string>> = {
  STOPPED: { start: 'OPENING/2 open-session' },
  OPENING: {
    'step-down-last': 'CLOSING-last',
    'session-opened': 'CHECKING check-membership',
    'open-failed': 'WAITING wait',
  },
  CHECKING: {
    'step-down-again': 'CLOSING close-session',
    'step-down-last': 'CLOSING-last close-session',
    'member-found': 'ENTERING enter',
    'outsider-found': 'OUTSIDE',
    'isr-changed': 'CHECKING check-membership',
    interrupted: 'CHECKING check-membership',
    failed: 'CLOSING-wait close-session',
    'session-lost': 'OPENING/2 open-session',
  },
  OUTSIDE: {
    'step-down-again': 'CLOSING close-session',
    'step-down-last': 'CLOSING-last close-session',
    'isr-changed': 'CHECKING check-membership',
    reconnected: 'CHECKING check-membership',
    interrupted: 'CHECKING check-membership',
    failed: 'CLOSING-wait close-session',
    'session-lost': 'OPENING/2 open-session',
  },
  ENTERING: {
    'step-down-again': 'CLOSING close-session',
    'step-down-last': 'CLOSING-last close-session',
    entered: 'QUEUED look-at-queue',
    interrupted: 'ENTERING enter',
    failed: 'CLOSING-wait close-session',
    'session-lost': 'OPENING/2 open-session',
  },
  QUEUED: {
    'step-down-again': 'CLOSING close-session',
    'step-down-last': 'CLOSING-last close-session',
    'first-found': 'CONFIRMING confirm',
    'predecessor-gone': 'QUEUED look-at-queue',
    'own-node-gone': 'ENTERING enter',
    reconnected: 'QUEUED look-at-queue',
    interrupted: 'QUEUED look-at-queue',
    failed: 'CLOSING-wait close-session',
    'session-lost': 'OPENING/2 open-session',
  },
  CONFIRMING: {
    'step-down-again': 'CLOSING close-session',
    'step-down-last': 'CLOSING-last close-session',
    'outsider-found': 'CLOSING-wait close-session',
    'own-node-gone': 'ENTERING enter',
    confirmed: 'LEADING grant',
    interrupted: 'CONFIRMING confirm',
    failed: 'CLOSING-wait close-session',
    'session-lost': 'OPENING/2 open-session',
  },
  LEADING: {
    'step-down-again': 'CLOSING revoke close-session',
    'step-down-last': 'CLOSING-last revoke close-session',
    'own-node-gone': 'CLOSING revoke close-session',
    suspended: 'SUSPENDED suspend',
    reconnected: 'LEADING resume',
    failed: 'CLOSING-wait revoke close-session',
    'lease-expired': 'CLOSING revoke close-session',
    'session-lost': 'OPENING/2 revoke open-session',
  },
  SUSPENDED: {
    'step-down-again': 'CLOSING revoke close-session',
    'step-down-last': 'CLOSING-last revoke close-session',
    'own-node-gone': 'CLOSING revoke close-session',
    suspended: 'SUSPENDED suspend',
    reconnected: 'LEADING resume',
    failed: 'CLOSING-wait revoke close-session',
    'lease-expired': 'CLOSING revoke close-session',
    'session-lost': 'OPENING/2 revoke open-session',
  },
  CLOSING: {
    'step-down-last': 'CLOSING-last',
    'session-opened': 'CLOSING close-session',
    'open-failed': 'OPENING/2 open-session',
    'session-closed': 'OPENING/2 open-session',
  },
  'CLOSING-wait': {
    'step-down-last': 'CLOSING-last-wait',
    'session-opened': 'CLOSING-wait close-session',
    'open-failed': 'WAITING wait',
    'session-closed': 'WAITING wait',
  },
  'CLOSING-last': {
    'session-opened': 'CLOSING-last close-session',
    'open-failed': 'STOPPED/1',
    'session-closed': 'STOPPED/1',
  },
  WAITING: {
    'step-down-last': 'STOPPED/1',
    'retry-due': 'OPENING/2 open-session',
  },
}

function print(state: ElectionState): string {
  const at =
    state.kind === 'OPENING' && state.turn === 1 ? '' : state.kind === 'OPENING' || state.kind === 'STOPPED' ? `/${state.turn}` : ''
  if (state.kind === 'LEADING' && state.suspended) return 'SUSPENDED'
  if (state.kind === 'CLOSING') return `CLOSING${state.again ? '' : '-last'}${state.wait ? '-wait' : ''}`
  return `${state.kind}${at}`
}

for (const [name, state] of Object.entries(STATES))
  test(`${name}: every event`, (t) => {
    const before = { ...state, turn: 1 }
    for (const [event, value] of Object.entries(EVENTS)) {
      const result = step(before, value)
      const printed = [print(result.state), ...result.effects.map((e) => e.kind)].join(' ')
      t.is(printed, TABLE[name]![event] ?? print(before), event)
    }
  })

test('what happened in an earlier turn is late', (t) => {
  for (const [name, state] of Object.entries(STATES)) {
    if (state.kind === 'STOPPED') continue
    for (const [event, value] of Object.entries(EVENTS)) {
      if (!('turn' in value)) continue
      const later = { ...state, turn: 2 }
      t.deepEqual(step(later, value), { state: later, effects: [] }, `${name}, ${event}`)
    }
  }
})

test('no way leads to a grant past the confirmation, and each grant is revoked before its session ends', (t) => {
  // All histories of six events from LEADING: a turn is never left without a revocation.
  const explore = (state: ElectionState, depth: number): void => {
    if (depth === 0) return
    for (const value of Object.values(EVENTS)) {
      const event = 'turn' in value ? { ...value, turn: state.turn } : value
      const next = step(state, event)
      const kinds = next.effects.map((e) => e.kind)
      if (state.kind !== 'LEADING' && next.state.kind === 'LEADING' && state.kind !== 'CONFIRMING') t.fail(`${state.kind} -> LEADING`)
      if (state.kind === 'LEADING' && next.state.kind !== 'LEADING' && kinds[0] !== 'revoke')
        t.fail(`${event.kind} leaves the reign unrevoked`)
      if (next.state.turn !== state.turn || next.state.kind !== state.kind) explore(next.state, depth - 1)
    }
  }
  explore(STOPPED, 6)
  t.pass()
})
