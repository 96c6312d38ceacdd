/** The slots that a job holds and has asked for, by the shared slot they stand for. They outlive a restart, so that tasks come back where they were. */
import type { AllocatedSlot } from '../executiongraph/execution.js'
import type { SharedSlot } from './slot-sharing.js'

export interface SlotRequest {
  readonly allocationId: string
  readonly group: string
  /** The TaskManager where the tasks of this slot ran before: it has a copy of their state. */
  readonly preferred?: string
}

export class SlotPool {
  readonly #held = new Map<string, AllocatedSlot>()
  /** Asked for: the shared slot's key by allocation id. */
  readonly #requested = new Map<string, string>()
  /** The TaskManager that had it last, by the shared slot's key. */
  readonly #last = new Map<string, string>()

  /** Asks for what is neither held nor asked for. The requests to send. */
  acquire(slots: readonly SharedSlot[], newAllocationId: () => string): readonly SlotRequest[] {
    const asked = new Set(this.#requested.values())
    const requests: SlotRequest[] = []
    for (const { key, group } of slots) {
      if (this.#held.has(key) || asked.has(key)) continue
      const allocationId = newAllocationId()
      this.#requested.set(allocationId, key)
      const preferred = this.#last.get(key)
      requests.push({ allocationId, group, ...(preferred === undefined ? {} : { preferred }) })
    }
    return requests
  }
  /** A slot that was asked for; false when nobody waits for it any more, and it has to go back. */
  offer(slot: AllocatedSlot): boolean {
    const key = this.#requested.get(slot.allocationId)
    if (key === undefined) return false
    this.#requested.delete(slot.allocationId)
    this.#hold(key, slot)
    return true
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
    this.#requested.delete(allocationId)
    for (const [key, slot] of this.#held) if (slot.allocationId === allocationId) return this.#held.delete(key)
    return false
  }
  /** Forgets what was asked for and not granted. */
  withdrawRequests(): void {
    this.#requested.clear()
  }
  heldOn(taskManagerId: string): readonly AllocatedSlot[] {
    return this.all().filter((slot) => slot.taskManagerId === taskManagerId)
  }
  all(): readonly AllocatedSlot[] {
    return [...this.#held.values()]
  }
  get requestedCount(): number {
    return this.#requested.size
  }
  clear(): void {
    this.#held.clear()
    this.#requested.clear()
  }
  #hold(key: string, slot: AllocatedSlot): void {
    this.#held.set(key, slot)
    this.#last.set(key, slot.taskManagerId)
  }
}
