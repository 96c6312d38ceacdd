import { type MemoryUsage, sumOfCollections } from '#metrics/thread-memory.js'

/** What slot workers have said of their memory last. Collections of workers that are gone still count, so that counts never fall. */
export class SlotMemory {
  readonly #bySlot = new Map<number, MemoryUsage>()
  #gone: MemoryUsage['collections'] = {}

  reported(slotIndex: number, usage: MemoryUsage): void {
    this.#bySlot.set(slotIndex, usage)
  }
  workerGone(slotIndex: number): void {
    const last = this.#bySlot.get(slotIndex)
    if (!last) return
    this.#gone = sumOfCollections([this.#gone, last.collections])
    this.#bySlot.delete(slotIndex)
  }
  /** That of the main thread and of the slots together. */
  with(own: MemoryUsage): MemoryUsage {
    const all = [own, ...this.#bySlot.values()]
    const sum = (bytes: (usage: MemoryUsage) => number) => all.reduce((total, usage) => total + bytes(usage), 0)
    return {
      heapUsedBytes: sum((usage) => usage.heapUsedBytes),
      heapCommittedBytes: sum((usage) => usage.heapCommittedBytes),
      heapMaxBytes: sum((usage) => usage.heapMaxBytes),
      nonHeapBytes: sum((usage) => usage.nonHeapBytes),
      directBytes: sum((usage) => usage.directBytes),
      collections: sumOfCollections([this.#gone, ...all.map((usage) => usage.collections)]),
    }
  }
}
