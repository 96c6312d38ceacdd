import test from 'ava'
import {
  createSlotTable,
  NEXT_SLOT_STATES,
  type SlotEvent,
  type SlotState,
  stepSlots,
  type TaskSlotTable,
} from '#taskmanager/slots/task-slot-table.js'

const held = { slotIndex: 0, jobId: 'job', allocationId: 'a' }
const TABLES: Readonly<Record<SlotState, TaskSlotTable>> = {
  FREE: createSlotTable(1),
  ALLOCATED: [{ ...held, state: 'ALLOCATED' }],
  ACTIVE: [{ ...held, state: 'ACTIVE' }],
  RELEASING: [{ ...held, state: 'RELEASING' }],
}
const EVENTS: Readonly<Record<string, SlotEvent>> = {
  requested: { kind: 'slot-requested', ...held },
  'requested by another allocation': { kind: 'slot-requested', ...held, allocationId: 'b' },
  'requested for another job': { kind: 'slot-requested', ...held, jobId: 'other' },
  submitted: { kind: 'tasks-submitted', ...held },
  'submitted by another allocation': { kind: 'tasks-submitted', ...held, allocationId: 'b' },
  freed: { kind: 'slot-freed', allocationId: 'a' },
  'freed by another allocation': { kind: 'slot-freed', allocationId: 'b' },
  exited: { kind: 'worker-exited', slotIndex: 0 },
}
const REFUSED = 'SLOT_NOT_AVAILABLE'
/** For each state and event: the state after it and the effects. */
const EXPECTED: Readonly<Record<SlotState, Readonly<Record<string, string>>>> = {
  FREE: {
    requested: 'ALLOCATED assign-worker',
    'requested by another allocation': 'ALLOCATED assign-worker',
    'requested for another job': 'ALLOCATED assign-worker',
    submitted: REFUSED,
    'submitted by another allocation': REFUSED,
    freed: 'FREE',
    'freed by another allocation': 'FREE',
    exited: 'FREE',
  },
  ALLOCATED: {
    requested: 'ALLOCATED',
    'requested by another allocation': REFUSED,
    'requested for another job': REFUSED,
    submitted: 'ACTIVE assign-worker',
    'submitted by another allocation': REFUSED,
    freed: 'RELEASING discard-worker',
    'freed by another allocation': 'ALLOCATED',
    exited: 'ALLOCATED report-slots',
  },
  ACTIVE: {
    requested: 'ACTIVE',
    'requested by another allocation': REFUSED,
    'requested for another job': REFUSED,
    submitted: 'ACTIVE assign-worker',
    'submitted by another allocation': REFUSED,
    freed: 'RELEASING discard-worker',
    'freed by another allocation': 'ACTIVE',
    exited: 'ALLOCATED report-slots',
  },
  RELEASING: {
    requested: REFUSED,
    'requested by another allocation': REFUSED,
    'requested for another job': REFUSED,
    submitted: REFUSED,
    'submitted by another allocation': REFUSED,
    freed: 'RELEASING',
    'freed by another allocation': 'RELEASING',
    exited: 'FREE report-slots',
  },
}

for (const [state, slots] of Object.entries(TABLES) as [SlotState, TaskSlotTable][])
  for (const [name, event] of Object.entries(EVENTS))
    test(`${state}, ${name}`, (t) => {
      const expected = EXPECTED[state][name]!
      if (expected === REFUSED) return void t.throws(() => stepSlots(slots, event), { code: REFUSED })
      const step = stepSlots(slots, event)
      t.is([step.slots[0]!.state, ...step.effects.map(({ kind }) => kind)].join(' '), expected)
      t.true(step.slots[0]!.state === state || NEXT_SLOT_STATES[state].includes(step.slots[0]!.state))
      if (step.slots[0]!.state === 'FREE') t.deepEqual(step.slots[0], { slotIndex: 0, state: 'FREE' })
    })

test('there is no such slot', (t) => {
  t.throws(() => stepSlots(createSlotTable(2), { ...EVENTS['requested']!, slotIndex: 2 } as SlotEvent), { code: REFUSED })
})
