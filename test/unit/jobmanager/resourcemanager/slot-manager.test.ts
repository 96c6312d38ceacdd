import test from 'ava'
import {
  freeSlotCount,
  NO_SLOTS,
  type SlotEvent,
  type SlotManagerState,
  stepSlots,
  waitingFor,
} from '#jobmanager/resourcemanager/slot-manager.js'
import type { SlotReport } from '#protocol/gateways/resource-manager-gateway.js'

const free = (count: number): SlotReport[] => Array.from({ length: count }, (_, slotIndex) => ({ slotIndex, state: 'FREE' }))
const registered = (taskManagerId: string, slots: readonly SlotReport[], keep: readonly string[] = []): SlotEvent => ({
  kind: 'task-manager-registered',
  taskManagerId,
  slots,
  keep: new Set(keep),
  blocked: false,
})
const requested = (jobId: string, ...allocationIds: string[]): SlotEvent => ({
  kind: 'slots-requested',
  jobId,
  requests: allocationIds.map((allocationId) => ({ allocationId, group: 'default' })),
})
const confirmed = (allocationId: string, taskManagerId = 'tm1'): SlotEvent => ({
  kind: 'allocation-confirmed',
  allocationId,
  taskManagerId,
})

/** Runs events and says what each led to. */
function play(...events: SlotEvent[]): { state: SlotManagerState; said: string[] } {
  let state = NO_SLOTS
  const said = events.map((event) => {
    const step = stepSlots(state, event)
    state = step.state
    return step.effects
      .map((e) => (e.kind === 'grant' ? `grant ${e.jobId} ${e.slots.map((s) => s.allocationId).join('+')}` : `${e.kind} ${e.allocationId}`))
      .join(', ')
  })
  return { state, said }
}
const slotsOf = ({ taskManagers }: SlotManagerState) =>
  taskManagers.flatMap((tm) => tm.slots.map((s) => `${tm.taskManagerId}/${s.slotIndex} ${s.state}`))

test('a batch is granted when the TaskManagers have confirmed all of it', (t) => {
  const { said, state } = play(registered('tm1', free(2)), requested('j', 'a', 'b'), confirmed('a'), confirmed('b'), confirmed('b'))
  t.deepEqual(said, ['', 'request-slot a, request-slot b', '', 'grant j a+b', ''])
  t.deepEqual(state.batches, [])
})

test('a batch waits for all its slots; a later one that fits goes ahead', (t) => {
  const { said, state } = play(registered('tm1', free(2)), requested('big', 'a', 'b', 'c'), requested('small', 'd'))
  t.deepEqual(said, ['', '', 'request-slot d'])
  t.is(waitingFor(state, 'big'), 'needs 3 slots of group default, 1 is free')
  t.is(waitingFor(state, 'small'), undefined)
  const more = stepSlots(state, registered('tm2', free(2)))
  t.deepEqual(
    more.effects.map((effect) => effect.kind),
    ['request-slot', 'request-slot', 'request-slot'],
  )
})

test('TaskManagers are filled in the order in which they registered', (t) => {
  const { state } = play(registered('tm1', free(2)), registered('tm2', free(2)), requested('j', 'a', 'b', 'c'))
  t.deepEqual(slotsOf(state), ['tm1/0 REQUESTED', 'tm1/1 REQUESTED', 'tm2/0 REQUESTED', 'tm2/1 FREE'])
})

test('a slot is taken on the TaskManager that the request prefers; the preference outlives the loss of what it got', (t) => {
  const preferring: SlotEvent = {
    kind: 'slots-requested',
    jobId: 'j',
    requests: [
      { allocationId: 'a', group: 'default', preferred: 'tm2' },
      { allocationId: 'b', group: 'default' },
    ],
  }
  const { state } = play(registered('tm1', free(2)), registered('tm2', free(1)), preferring)
  t.deepEqual(slotsOf(state), ['tm1/0 REQUESTED', 'tm1/1 FREE', 'tm2/0 REQUESTED'])
  const lost = stepSlots(state, { kind: 'task-manager-lost', taskManagerId: 'tm2', cause: 'x' })
  t.deepEqual(slotsOf(lost.state), ['tm1/0 REQUESTED', 'tm1/1 REQUESTED'])
  t.is(lost.state.batches[0]?.requests[0]?.preferred, 'tm2')
})

test('a refused slot is looked for elsewhere, and used again once it is reported free', (t) => {
  const refused: SlotEvent = { kind: 'allocation-refused', allocationId: 'a', taskManagerId: 'tm1' }
  const { said, state } = play(registered('tm1', free(1)), registered('tm2', free(1)), requested('j', 'a'), refused, confirmed('a', 'tm2'))
  t.deepEqual(said.slice(3), ['free-slot a, request-slot a', 'grant j a'])
  t.deepEqual(slotsOf(state), ['tm1/0 RELEASING', 'tm2/0 ALLOCATED'])
  const after = stepSlots(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: free(1) })
  t.deepEqual(slotsOf(after.state), ['tm1/0 FREE', 'tm2/0 ALLOCATED'])
})

test('a lost TaskManager costs granted slots; requests go elsewhere', (t) => {
  const lost: SlotEvent = { kind: 'task-manager-lost', taskManagerId: 'tm1', cause: 'gone' }
  const { said } = play(
    registered('tm1', free(2)),
    registered('tm2', free(1)),
    requested('j', 'a'),
    confirmed('a'),
    requested('k', 'b'),
    lost,
  )
  t.is(said.at(-1), 'slot-lost a, request-slot b')
})

test('what a TaskManager says of a slot does not concern the one that took its place', (t) => {
  const lost: SlotEvent = { kind: 'task-manager-lost', taskManagerId: 'tm1', cause: 'gone' }
  const late: SlotEvent = { kind: 'allocation-refused', allocationId: 'a', taskManagerId: 'tm1' } // Its connection closed: the call failed.
  const { said, state } = play(registered('tm1', free(1)), registered('tm2', free(1)), requested('j', 'a'), lost, late, confirmed('a'))
  t.deepEqual(said.slice(3), ['request-slot a', '', ''])
  t.deepEqual(slotsOf(state), ['tm2/0 REQUESTED'])
})

test('a released slot is free only when its TaskManager says so', (t) => {
  const release: SlotEvent = { kind: 'slots-released', allocationIds: ['a'], cause: 'ended' }
  const { said, state } = play(registered('tm1', free(1)), requested('j', 'a'), confirmed('a'), release, requested('k', 'b'))
  t.deepEqual(said.slice(3), ['free-slot a', ''])
  const still: SlotReport = { slotIndex: 0, state: 'RELEASING', jobId: 'j', allocationId: 'a' }
  t.deepEqual(stepSlots(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: [still] }).effects, [])
  const freed = stepSlots(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: free(1) })
  t.like(freed.effects[0], { kind: 'request-slot', allocationId: 'b' })
})

test('a withdrawn batch gives back what it was promised', (t) => {
  const { said, state } = play(registered('tm1', free(2)), requested('j', 'a', 'b'), confirmed('a'), {
    kind: 'requests-withdrawn',
    jobId: 'j',
  })
  t.is(said.at(-1), 'free-slot a, free-slot b')
  t.deepEqual(state.batches, [])
})

test('at registration only what its job goes on with is kept', (t) => {
  const active = (slotIndex: number, allocationId: string): SlotReport => ({ slotIndex, state: 'ACTIVE', jobId: 'j', allocationId })
  const { said, state } = play(registered('tm1', [active(0, 'old'), active(1, 'ours')], ['ours']))
  t.deepEqual(said, ['free-slot old'])
  t.deepEqual(slotsOf(state), ['tm1/0 RELEASING', 'tm1/1 ALLOCATED'])
  t.like(stepSlots(state, registered('tm1', free(2))).effects, { length: 1, 0: { kind: 'slot-lost', allocationId: 'ours' } })
})

test('a slot that its TaskManager gave up is lost', (t) => {
  const { state } = play(registered('tm1', free(1)), requested('j', 'a'), confirmed('a'))
  const step = stepSlots(state, { kind: 'slots-reported', taskManagerId: 'tm1', slots: free(1) })
  t.like(step.effects, { length: 1, 0: { kind: 'slot-lost', jobId: 'j', allocationId: 'a' } })
  t.deepEqual(slotsOf(step.state), ['tm1/0 FREE'])
})

test('events about what is unknown change nothing', (t) => {
  const { state } = play(registered('tm1', free(1)))
  const events: SlotEvent[] = [
    confirmed('x'),
    { kind: 'allocation-refused', allocationId: 'x', taskManagerId: 'tm1' },
    { kind: 'slots-released', allocationIds: ['x'], cause: '' },
    { kind: 'task-manager-lost', taskManagerId: 'x', cause: '' },
    { kind: 'slots-reported', taskManagerId: 'x', slots: free(1) },
    { kind: 'requests-withdrawn', jobId: 'x' },
  ]
  for (const event of events) t.deepEqual(stepSlots(state, event), { state, effects: [] }, event.kind)
})

test('nothing is allocated on a TaskManager that is drained; what a waiting batch has there is looked for elsewhere', (t) => {
  const blocked: SlotEvent = { kind: 'task-manager-blocked', taskManagerId: 'tm1' }
  const { said, state } = play(registered('tm1', free(2)), registered('tm2', free(1)), blocked, requested('j', 'a'), blocked)
  t.deepEqual(said, ['', '', '', 'request-slot a', ''])
  t.deepEqual(slotsOf(state), ['tm1/0 FREE', 'tm1/1 FREE', 'tm2/0 REQUESTED'])
  t.is(freeSlotCount(state), 0)
  const waiting = play(registered('tm1', free(2)), requested('j', 'a', 'b'), confirmed('a'), blocked, registered('tm2', free(1)))
  t.deepEqual(waiting.said.slice(3), ['free-slot a', 'request-slot a']) // b is refused by the TaskManager itself.
  t.deepEqual(slotsOf(waiting.state), ['tm1/0 RELEASING', 'tm1/1 REQUESTED', 'tm2/0 REQUESTED'])
})

test('what a job holds on a TaskManager that is drained stays its own; a registration may say at once that it is to go', (t) => {
  const granted = play(registered('tm1', free(1)), requested('j', 'a'), confirmed('a'), {
    kind: 'task-manager-blocked',
    taskManagerId: 'tm1',
  })
  t.deepEqual(slotsOf(granted.state), ['tm1/0 ALLOCATED'])
  const { said } = play({ ...registered('tm1', free(1)), blocked: true } as SlotEvent, requested('j', 'a'))
  t.deepEqual(said, ['', ''])
})
