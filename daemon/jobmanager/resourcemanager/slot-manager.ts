/**
 * Which slot belongs to whom: a pure step over registrations, reports and requests. A job asks in batches, and a batch gets slots only
 * when there are enough for all of it, so that two jobs that need more than there is can not hold half each and wait for ever. Batches
 * are served in the order in which they came; a later one that fits goes ahead. A request gets a slot of the TaskManager that it prefers,
 * where one is free (choose-slots.ts).
 */
import type { SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import { chooseSlots, type FreeSlot } from './choose-slots.js'

/**
 * FREE; REQUESTED: the TaskManager was asked to reserve it; ALLOCATED: it said yes; RELEASING: until the TaskManager reports it FREE, so
 * that no new tasks meet what still runs there.
 */
export type SlotState = 'FREE' | 'REQUESTED' | 'ALLOCATED' | 'RELEASING'

export interface Slot {
  readonly slotIndex: number
  readonly state: SlotState
  readonly jobId?: string
  readonly allocationId?: string
}
export interface RegisteredTaskManager {
  readonly taskManagerId: string
  readonly slots: readonly Slot[]
  /** It is being drained: its free slots are nobody's. */
  readonly blocked: boolean
}
export interface SlotRef {
  readonly allocationId: string
  readonly taskManagerId: string
  readonly slotIndex: number
}
export interface RequestedSlot {
  readonly allocationId: string
  readonly group: string
  /** Id of a TaskManager. */
  readonly preferred?: string
  /** Where it was found; undefined while it waits. */
  readonly slot?: { readonly taskManagerId: string; readonly slotIndex: number; readonly confirmed: boolean }
}
export interface Batch {
  readonly jobId: string
  readonly requests: readonly RequestedSlot[]
}
export interface SlotManagerState {
  readonly taskManagers: readonly RegisteredTaskManager[]
  readonly batches: readonly Batch[]
}
export const NO_SLOTS: SlotManagerState = { taskManagers: [], batches: [] }

export type SlotEvent =
  /** `keep`: allocations that their jobs go on with. All others are freed. */
  | {
      readonly kind: 'task-manager-registered'
      readonly taskManagerId: string
      readonly slots: readonly SlotReport[]
      readonly keep: ReadonlySet<string>
      readonly blocked: boolean
    }
  /** Nothing is allocated there any more; what a batch that is not granted yet has there is looked for elsewhere. */
  | { readonly kind: 'task-manager-blocked'; readonly taskManagerId: string }
  | { readonly kind: 'task-manager-lost'; readonly taskManagerId: string; readonly cause: string }
  | { readonly kind: 'slots-reported'; readonly taskManagerId: string; readonly slots: readonly SlotReport[] }
  | {
      readonly kind: 'slots-requested'
      readonly jobId: string
      readonly requests: readonly Omit<RequestedSlot, 'slot'>[]
    }
  | { readonly kind: 'requests-withdrawn'; readonly jobId: string }
  /** What the TaskManager answers. */
  | { readonly kind: 'allocation-confirmed' | 'allocation-refused'; readonly allocationId: string; readonly taskManagerId: string }
  | { readonly kind: 'slots-released'; readonly allocationIds: readonly string[]; readonly cause: string }

export type SlotEffect =
  | ({ readonly kind: 'request-slot'; readonly jobId: string } & SlotRef)
  | { readonly kind: 'free-slot'; readonly taskManagerId: string; readonly allocationId: string; readonly cause: string }
  | { readonly kind: 'grant'; readonly jobId: string; readonly slots: readonly SlotRef[] }
  | { readonly kind: 'slot-lost'; readonly jobId: string; readonly allocationId: string; readonly cause: string }
export interface SlotStep {
  readonly state: SlotManagerState
  readonly effects: readonly SlotEffect[]
}

export function stepSlots(state: SlotManagerState, event: SlotEvent): SlotStep {
  const draft = new Draft(state)
  switch (event.kind) {
    case 'task-manager-registered':
      draft.register(event)
      break
    case 'task-manager-blocked':
      draft.block(event.taskManagerId)
      break
    case 'task-manager-lost':
      draft.lose(event.taskManagerId, event.cause)
      break
    case 'slots-reported':
      draft.report(event.taskManagerId, event.slots)
      break
    case 'slots-requested':
      draft.batches.push({ jobId: event.jobId, requests: event.requests })
      break
    case 'requests-withdrawn':
      draft.withdraw(event.jobId)
      break
    case 'allocation-confirmed':
      draft.confirm(event)
      break
    case 'allocation-refused':
      draft.refuse(event)
      break
    case 'slots-released':
      for (const allocationId of event.allocationIds) draft.release(allocationId, event.cause)
      break
  }
  draft.match()
  return draft.result()
}

type Answer = SlotEvent & { readonly kind: 'allocation-confirmed' | 'allocation-refused' }

/** A request, and where it stands. */
interface Asked {
  readonly batch: number
  readonly at: number
  readonly request: RequestedSlot
}

/** The state while one step changes it. Thousands of slots are confirmed one by one: a step looks at each thing once at most. */
class Draft {
  taskManagers: readonly RegisteredTaskManager[]
  batches: Batch[]
  readonly #effects: SlotEffect[] = []

  constructor(state: SlotManagerState) {
    this.taskManagers = state.taskManagers // Most reports change none of them.
    this.batches = [...state.batches]
  }
  result(): SlotStep {
    return { state: { taskManagers: this.taskManagers, batches: this.batches }, effects: this.#effects }
  }

  register(event: SlotEvent & { kind: 'task-manager-registered' }): void {
    const { taskManagerId, keep, blocked } = event
    const before = this.taskManagers.find((tm) => tm.taskManagerId === taskManagerId)
    const slots = event.slots.map((report): Slot => {
      const { slotIndex, jobId, allocationId } = report
      if (report.state === 'FREE' || allocationId === undefined || jobId === undefined) return { slotIndex, state: 'FREE' }
      if (keep.has(allocationId)) return { slotIndex, state: 'ALLOCATED', jobId, allocationId }
      this.#free(taskManagerId, allocationId, 'no job of this leader goes on with it')
      return { slotIndex, state: 'RELEASING', jobId, allocationId }
    })
    this.#put({ taskManagerId, slots, blocked })
    const present = new Set(slots.flatMap((slot) => (slot.state === 'ALLOCATED' ? [slot.allocationId] : [])))
    for (const slot of before?.slots ?? [])
      if (!present.has(slot.allocationId)) this.#gone(slot, 'the TaskManager came back without the slot')
  }

  block(taskManagerId: string): void {
    const at = this.taskManagers.findIndex((tm) => tm.taskManagerId === taskManagerId)
    const taskManager = this.taskManagers[at]
    if (!taskManager || taskManager.blocked) return
    this.taskManagers = this.taskManagers.with(at, { ...taskManager, blocked: true })
    // What it was asked for and has not answered yet it refuses by itself.
    for (const { state, allocationId } of taskManager.slots) {
      if (state !== 'ALLOCATED' || allocationId === undefined || !this.#askAnew(allocationId)) continue
      this.release(allocationId, 'the TaskManager is being drained')
    }
  }

  lose(taskManagerId: string, cause: string): void {
    const at = this.taskManagers.findIndex((tm) => tm.taskManagerId === taskManagerId)
    if (at < 0) return
    const lost = this.taskManagers[at]!
    this.taskManagers = this.taskManagers.toSpliced(at, 1)
    for (const slot of lost.slots) this.#gone(slot, cause)
  }

  report(taskManagerId: string, reports: readonly SlotReport[]): void {
    const taskManager = this.taskManagers.find((tm) => tm.taskManagerId === taskManagerId)
    if (!taskManager) return
    for (const slot of taskManager.slots) {
      const report = reports.find((r) => r.slotIndex === slot.slotIndex)
      if (!report) continue
      const reserved = report.state === 'ALLOCATED' || report.state === 'ACTIVE'
      if (slot.state === 'RELEASING' && report.state === 'FREE') this.#set(taskManagerId, { slotIndex: slot.slotIndex, state: 'FREE' })
      if (slot.state === 'ALLOCATED' && (!reserved || report.allocationId !== slot.allocationId)) {
        this.#set(taskManagerId, { slotIndex: slot.slotIndex, state: report.state === 'FREE' ? 'FREE' : 'RELEASING' })
        this.#gone(slot, 'the TaskManager gave the slot up')
      }
    }
  }

  withdraw(jobId: string): void {
    const mine = this.batches.filter((batch) => batch.jobId === jobId)
    this.batches = this.batches.filter((batch) => batch.jobId !== jobId)
    for (const { allocationId, slot } of mine.flatMap((batch) => batch.requests))
      if (slot) this.release(allocationId, 'the request was withdrawn')
  }

  confirm(answer: Answer): void {
    const asked = this.#unanswered(answer)
    if (!asked) return
    const { batch, request, slot } = asked
    this.#set(answer.taskManagerId, { ...slot, state: 'ALLOCATED' })
    this.#ask(asked, { ...request, slot: { ...request.slot!, confirmed: true } })
    const { jobId, requests } = this.batches[batch]!
    if (!requests.every((r) => r.slot?.confirmed)) return
    this.batches.splice(batch, 1)
    const slots = requests.map(({ allocationId, slot }) => ({
      allocationId,
      taskManagerId: slot!.taskManagerId,
      slotIndex: slot!.slotIndex,
    }))
    this.#effects.push({ kind: 'grant', jobId, slots })
  }

  /** Whether the slot is free only a report can say; the request looks for another one. */
  refuse(answer: Answer): void {
    const asked = this.#unanswered(answer)
    if (!asked) return
    this.#set(answer.taskManagerId, { ...asked.slot, state: 'RELEASING' })
    this.#free(answer.taskManagerId, answer.allocationId, 'the allocation failed')
    this.#ask(asked, withoutSlot(asked.request))
  }
  /** What the answer is to; undefined when it is late: the request was granted, or looks for a slot elsewhere by now. */
  #unanswered({ allocationId, taskManagerId }: Answer): (Asked & { readonly slot: Slot }) | undefined {
    const asked = this.#asked(allocationId)
    const at = asked?.request.slot
    if (!asked || !at || at.confirmed || at.taskManagerId !== taskManagerId) return undefined
    const { jobId } = this.batches[asked.batch]!
    return { ...asked, slot: { slotIndex: at.slotIndex, state: 'REQUESTED', jobId, allocationId } }
  }

  release(allocationId: string, cause: string): void {
    const found = this.#find(allocationId)
    if (!found) return
    this.#set(found.taskManagerId, { ...found.slot, state: 'RELEASING' })
    this.#free(found.taskManagerId, allocationId, cause)
  }

  match(): void {
    let free: readonly FreeSlot[] | undefined
    this.batches.forEach(({ jobId, requests }, at) => {
      const missing = requests.filter((request) => !request.slot)
      if (missing.length === 0) return
      free ??= this.#freeSlots()
      const chosen = chooseSlots(missing, free)
      if (!chosen) return
      const taken = new Set(chosen)
      free = free.filter((slot) => !taken.has(slot))
      const slots = chosen.values()
      const matched = requests.map((request): RequestedSlot => {
        if (request.slot) return request
        const { taskManagerId, slotIndex } = slots.next().value!
        const { allocationId } = request
        this.#set(taskManagerId, { slotIndex, state: 'REQUESTED', jobId, allocationId })
        this.#effects.push({ kind: 'request-slot', jobId, allocationId, taskManagerId, slotIndex })
        return { ...request, slot: { taskManagerId, slotIndex, confirmed: false } }
      })
      this.batches[at] = { jobId, requests: matched }
    })
  }

  #freeSlots(): readonly FreeSlot[] {
    return this.taskManagers.flatMap(({ taskManagerId, slots, blocked }) =>
      slots.filter((slot) => slot.state === 'FREE' && !blocked).map(({ slotIndex }) => ({ taskManagerId, slotIndex })),
    )
  }
  /** A slot that was in use is no more: its job is told, or its request looks for another one. */
  #gone(slot: Slot, cause: string): void {
    const { allocationId, jobId } = slot
    if (allocationId === undefined || jobId === undefined || slot.state === 'FREE' || slot.state === 'RELEASING') return
    if (this.#askAnew(allocationId)) return
    this.#effects.push({ kind: 'slot-lost', jobId, allocationId, cause })
  }
  /** True when the allocation belongs to a batch not yet granted: its request looks for another slot. */
  #askAnew(allocationId: string): boolean {
    const asked = this.#asked(allocationId)
    if (asked) this.#ask(asked, withoutSlot(asked.request))
    return asked !== undefined
  }
  /** In the batches not yet granted. */
  #asked(allocationId: string): Asked | undefined {
    for (const [batch, { requests }] of this.batches.entries()) {
      const at = requests.findIndex((request) => request.allocationId === allocationId)
      if (at >= 0) return { batch, at, request: requests[at]! }
    }
    return undefined
  }
  #ask({ batch, at }: Asked, request: RequestedSlot): void {
    const { jobId, requests } = this.batches[batch]!
    this.batches[batch] = { jobId, requests: requests.with(at, request) }
  }
  #free(taskManagerId: string, allocationId: string, cause: string): void {
    this.#effects.push({ kind: 'free-slot', taskManagerId, allocationId, cause })
  }
  /** The slot that has the allocation now; one that is being released may have had it before. */
  #find(allocationId: string): { taskManagerId: string; slot: Slot } | undefined {
    for (const { taskManagerId, slots } of this.taskManagers)
      for (const slot of slots) if (slot.allocationId === allocationId && slot.state !== 'RELEASING') return { taskManagerId, slot }
    return undefined
  }
  #set(taskManagerId: string, slot: Slot): void {
    const at = this.taskManagers.findIndex((tm) => tm.taskManagerId === taskManagerId)
    const taskManager = this.taskManagers[at]!
    const slots = taskManager.slots.map((s) => (s.slotIndex === slot.slotIndex ? slot : s))
    this.taskManagers = this.taskManagers.with(at, { ...taskManager, slots })
  }
  #put(taskManager: RegisteredTaskManager): void {
    const at = this.taskManagers.findIndex((tm) => tm.taskManagerId === taskManager.taskManagerId)
    this.taskManagers = at < 0 ? [...this.taskManagers, taskManager] : this.taskManagers.with(at, taskManager)
  }
}

function withoutSlot({ slot: _, ...request }: RequestedSlot): RequestedSlot {
  return request
}

export function freeSlotCount({ taskManagers }: SlotManagerState): number {
  return taskManagers.flatMap((tm) => (tm.blocked ? [] : tm.slots)).filter((slot) => slot.state === 'FREE').length
}

/** Why the job waits: 'needs 4 slots of group default, 2 are free'. Undefined where it waits for nothing that is missing. */
export function waitingFor(state: SlotManagerState, jobId: string): string | undefined {
  const missing = state.batches
    .filter((batch) => batch.jobId === jobId)
    .flatMap((batch) => batch.requests.filter((request) => !request.slot))
  if (missing.length === 0) return undefined
  const byGroup = new Map<string, number>()
  for (const { group } of missing) byGroup.set(group, (byGroup.get(group) ?? 0) + 1)
  const free = freeSlotCount(state)
  const needs = [...byGroup].map(([group, count]) => `${count} ${count === 1 ? 'slot' : 'slots'} of group ${group}`).join(' and ')
  return `needs ${needs}, ${free} ${free === 1 ? 'is' : 'are'} free`
}
