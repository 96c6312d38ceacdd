/**
 * The slots of a TaskManager: FREE -> ALLOCATED (to a job) -> ACTIVE (tasks were submitted) -> RELEASING (its worker is being thrown
 * away) -> FREE. A worker that dies by itself leaves the slot with its job: the next attempts get a new worker.
 */
import { FlottError } from '#core/errors.js'
import type { SlotReport } from '#protocol/gateways/resource-manager-gateway.js'

export type SlotState = SlotReport['state']
export interface TaskSlot {
  readonly slotIndex: number
  readonly state: SlotState
  readonly jobId?: string
  readonly allocationId?: string
}
export type TaskSlotTable = readonly TaskSlot[]

export type SlotEvent =
  | { readonly kind: 'slot-requested'; readonly slotIndex: number; readonly allocationId: string; readonly jobId: string }
  | { readonly kind: 'tasks-submitted'; readonly slotIndex: number; readonly allocationId: string; readonly jobId: string }
  | { readonly kind: 'slot-freed'; readonly allocationId: string }
  | { readonly kind: 'worker-exited'; readonly slotIndex: number }
export type SlotEffect =
  /** The slot needs a worker of its own, unless it has one. */
  | { readonly kind: 'assign-worker'; readonly slotIndex: number }
  /** All that runs in the slot fails; its worker is thrown away, which ends with 'worker-exited'. */
  | { readonly kind: 'discard-worker'; readonly slotIndex: number }
  | { readonly kind: 'report-slots' }

export interface SlotStep {
  readonly slots: TaskSlotTable
  readonly effects: readonly SlotEffect[]
}

/** From a state, the states that an event may lead to. */
export const NEXT_SLOT_STATES: Readonly<Record<SlotState, readonly SlotState[]>> = {
  FREE: ['ALLOCATED'],
  ALLOCATED: ['ALLOCATED', 'ACTIVE', 'RELEASING'],
  ACTIVE: ['ALLOCATED', 'ACTIVE', 'RELEASING'],
  RELEASING: ['FREE'],
}

export function createSlotTable(slotCount: number): TaskSlotTable {
  return Array.from({ length: slotCount }, (_, slotIndex) => ({ slotIndex, state: 'FREE' as const }))
}

/** Repeated events change nothing. SLOT_NOT_AVAILABLE where the slot is not the asking job's. */
export function stepSlots(slots: TaskSlotTable, event: SlotEvent): SlotStep {
  switch (event.kind) {
    case 'slot-requested':
      return request(slots, event)
    case 'tasks-submitted':
      return submit(slots, event)
    case 'slot-freed': {
      const slot = slots.find((s) => s.allocationId === event.allocationId)
      if (!slot || slot.state === 'RELEASING') return { slots, effects: [] }
      return {
        slots: enter(slots, slot, { ...slot, state: 'RELEASING' }),
        effects: [{ kind: 'discard-worker', slotIndex: slot.slotIndex }],
      }
    }
    case 'worker-exited':
      return exit(slots, slotAt(slots, event.slotIndex))
  }
}

function request(slots: TaskSlotTable, event: SlotEvent & { kind: 'slot-requested' }): SlotStep {
  const { slotIndex, allocationId, jobId } = event
  const slot = slotAt(slots, slotIndex)
  if (slot.state === 'FREE')
    return {
      slots: enter(slots, slot, { slotIndex, state: 'ALLOCATED', jobId, allocationId }),
      effects: [{ kind: 'assign-worker', slotIndex }],
    }
  if (!isHeldBy(slot, allocationId, jobId)) throw notAvailable(slot, allocationId)
  return { slots, effects: [] }
}

function submit(slots: TaskSlotTable, event: SlotEvent & { kind: 'tasks-submitted' }): SlotStep {
  const slot = slotAt(slots, event.slotIndex)
  if (!isHeldBy(slot, event.allocationId, event.jobId)) throw notAvailable(slot, event.allocationId)
  // Its worker may have died since: then it gets a new one now.
  return { slots: enter(slots, slot, { ...slot, state: 'ACTIVE' }), effects: [{ kind: 'assign-worker', slotIndex: slot.slotIndex }] }
}

function exit(slots: TaskSlotTable, slot: TaskSlot): SlotStep {
  const { slotIndex } = slot
  if (slot.state === 'FREE') return { slots, effects: [] }
  if (slot.state === 'RELEASING') return { slots: enter(slots, slot, { slotIndex, state: 'FREE' }), effects: [{ kind: 'report-slots' }] }
  return { slots: enter(slots, slot, { ...slot, state: 'ALLOCATED' }), effects: [{ kind: 'report-slots' }] }
}

function isHeldBy(slot: TaskSlot, allocationId: string, jobId: string): boolean {
  return slot.state !== 'RELEASING' && slot.allocationId === allocationId && slot.jobId === jobId
}

function slotAt(slots: TaskSlotTable, slotIndex: number): TaskSlot {
  const slot = slots[slotIndex]
  if (!slot) throw new FlottError('SLOT_NOT_AVAILABLE', `there is no slot ${slotIndex}, there are ${slots.length}`)
  return slot
}

function notAvailable(slot: TaskSlot, allocationId: string): FlottError {
  return new FlottError(
    'SLOT_NOT_AVAILABLE',
    `slot ${slot.slotIndex} is ${slot.state}, held by ${slot.allocationId}; ${allocationId} asked`,
  )
}

function enter(slots: TaskSlotTable, from: TaskSlot, to: TaskSlot): TaskSlotTable {
  if (!NEXT_SLOT_STATES[from.state].includes(to.state))
    throw new FlottError('ILLEGAL_TRANSITION', `slot ${from.slotIndex}: ${from.state} -> ${to.state}`)
  return slots.with(from.slotIndex, to)
}
