/**
 * The slots that a job holds and has asked for, by the shared slot they stand for. They outlive a restart, so that tasks come back where
 * they were. Where a TaskManager is drained, a held slot gets a replacement before its tasks move; then the old one is retired, and given
 * back when nothing runs there any more.
 */
import type { AllocatedSlot } from '../executiongraph/execution.js'
import { RequestedSlots } from './requested-slots.js'
import type { SharedSlot } from './slot-sharing.js'

export interface SlotRequest {
  readonly allocationId: string
  readonly group: string
  /** The TaskManager where the tasks of this slot ran before: it has a copy of their state. */
  readonly preferred?: string
}

export class SlotPool {
  readonly #held = new Map<string, AllocatedSlot>()
  readonly #requested = new RequestedSlots()
  /** The TaskManager that had it last, by the shared slot's key. */
  readonly #last = new Map<string, string>()
  /** As replacements. */
  readonly #replacing = new RequestedSlots()
  readonly #replacements = new Map<string, AllocatedSlot>()
  #retired: readonly AllocatedSlot[] = []

  /** Asks for what is neither held nor asked for. The requests to send. */
  acquire(slots: readonly SharedSlot[], newAllocationId: () => string): readonly SlotRequest[] {
    const requests: SlotRequest[] = []
    for (const { key, group } of slots) {
      if (this.#held.has(key) || this.#requested.has(key) || this.#takeReplacement(key)) continue
      const allocationId = newAllocationId()
      this.#requested.add(key, allocationId)
      const preferred = this.#last.get(key)
      requests.push({ allocationId, group, ...(preferred === undefined ? {} : { preferred }) })
    }
    return requests
  }
  /** A slot that was asked for; false when nobody waits for it any more, and it has to go back. */
  offer(slot: AllocatedSlot): boolean {
    const { allocationId } = slot
    const key = this.#requested.take(allocationId)
    const replaced = this.#replacing.take(allocationId)
    if (key !== undefined) this.#hold(key, slot)
    else if (replaced !== undefined) this.#replacements.set(replaced, slot)
    return key !== undefined || replaced !== undefined
  }
  /** A slot that the job held under an earlier leader. */
  adopt(key: string, slot: AllocatedSlot): void {
    this.#hold(key, slot)
  }
  /** Where its tasks ran under an earlier leader. */
  ranOn(key: string, taskManagerId: string): void {
    this.#last.set(key, taskManagerId)
  }
  slotOf(key: string): AllocatedSlot | undefined {
    return this.#held.get(key)
  }
  holdsAll(slots: readonly SharedSlot[]): boolean {
    return slots.every(({ key }) => this.#held.has(key))
  }
  /** The slot is gone. True when it was held. */
  lose(allocationId: string): boolean {
    this.#requested.take(allocationId)
    this.#replacing.take(allocationId)
    this.#retired = this.#retired.filter((slot) => slot.allocationId !== allocationId)
    for (const [key, slot] of this.#replacements) if (slot.allocationId === allocationId) this.#replacements.delete(key)
    for (const [key, slot] of this.#held) if (slot.allocationId === allocationId) return this.#held.delete(key)
    return false
  }
  /** Forgets what was asked for and not granted. */
  withdrawRequests(): void {
    this.#requested.clear()
    this.#replacing.clear()
  }
  /** Of any kind. */
  slotsOn(taskManagerId: string): readonly AllocatedSlot[] {
    return [...this.all(), ...this.#replacements.values(), ...this.#retired].filter((slot) => slot.taskManagerId === taskManagerId)
  }
  all(): readonly AllocatedSlot[] {
    return [...this.#held.values()]
  }

  /** Keys of the slots that are held on any of these TaskManagers. */
  keysOn(taskManagers: ReadonlySet<string>): readonly string[] {
    return [...this.#held].filter(([, slot]) => taskManagers.has(slot.taskManagerId)).map(([key]) => key)
  }
  /** Asks for replacements of these, where there are none and none are asked for. The requests to send. */
  acquireReplacements(slots: readonly SharedSlot[], newAllocationId: () => string): readonly SlotRequest[] {
    return slots
      .filter(({ key }) => !this.#replacing.has(key) && !this.#replacements.has(key))
      .map(({ key, group }) => {
        const allocationId = newAllocationId()
        this.#replacing.add(key, allocationId)
        return { allocationId, group }
      })
  }
  hasReplacement(key: string): boolean {
    return this.#replacements.has(key)
  }
  /** The replacements are held from now on; what they replace is retired. */
  replace(keys: readonly string[]): void {
    for (const key of keys) {
      const old = this.#held.get(key)
      if (!old || !this.#replacements.has(key)) continue
      this.#takeReplacement(key)
      this.#retired = [...this.#retired, old]
    }
  }
  get retired(): readonly AllocatedSlot[] {
    return this.#retired
  }
  /** Forgets replacements that are on any of these TaskManagers. They have to go back. */
  dropReplacements(taskManagers: ReadonlySet<string>): readonly AllocatedSlot[] {
    const dropped = [...this.#replacements].filter(([, slot]) => taskManagers.has(slot.taskManagerId))
    for (const [key] of dropped) this.#replacements.delete(key)
    return dropped.map(([, slot]) => slot)
  }
  get requestedCount(): number {
    return this.#requested.count
  }
  clear(): void {
    this.#held.clear()
    this.#requested.clear()
    this.#replacing.clear()
    this.#replacements.clear()
    this.#retired = []
  }
  /** True when there is one, or when one that was asked for will be it. */
  #takeReplacement(key: string): boolean {
    const replacement = this.#replacements.get(key)
    this.#replacements.delete(key)
    if (replacement) this.#hold(key, replacement)
    const asked = replacement ? undefined : this.#replacing.takeKey(key)
    if (asked !== undefined) this.#requested.add(key, asked)
    return replacement !== undefined || asked !== undefined
  }
  #hold(key: string, slot: AllocatedSlot): void {
    this.#held.set(key, slot)
    this.#last.set(key, slot.taskManagerId)
  }
}
