/**
 * Timers of one time domain: buckets by time stamp, and a heap of the time stamps. A timer is an entry of a versioned table, so that
 * registering, deleting and firing are in snapshots like any other change; buckets and heap are rebuilt on restore.
 */
import type { Key } from '#core/functions/functions.js'
import { hashNumber, hashString, keysEqual } from '#core/serialization/key-hash.js'
import { retained } from './retain.js'
import { emptySlots, grownSlots, isFull, placeSlot, removeSlot } from './slot-index.js'
import { TimeHeap } from './time-heap.js'
import { type EagerlyRestored, FREE, VersionedTable } from './versioned-table.js'

/** The namespace of users' timers; windows have others. */
export const NO_NAMESPACE = ''

class TimerEntry {
  epoch: number
  bucket: Bucket | undefined
  /** -1 once deleted or fired. */
  index = -1
  constructor(
    readonly key: Key,
    readonly hash: number,
    readonly timestamp: number,
    readonly namespace: string,
    readonly slotHash: number,
    epoch: number,
  ) {
    this.epoch = epoch
  }
}

interface Bucket {
  entries: TimerEntry[]
  live: number
}

export type FireTimer = (key: Key, hash: number, timestamp: number, namespace: string) => void

export class TimerQueue extends VersionedTable implements EagerlyRestored {
  readonly #entries: (TimerEntry | undefined)[] = []
  #slots = emptySlots()
  readonly #buckets = new Map<number, Bucket>()
  readonly #heap = new TimeHeap()

  register(key: Key, hash: number, timestamp: number, namespace: string): void {
    const slotHash = slotHashOf(hash, timestamp, namespace)
    if (this.#find(key, slotHash, timestamp, namespace) === undefined) this.#insert(key, hash, timestamp, namespace, slotHash)
  }
  delete(key: Key, hash: number, timestamp: number, namespace: string): void {
    const entry = this.#find(key, slotHashOf(hash, timestamp, namespace), timestamp, namespace)
    if (entry === undefined) return
    this.#remove(entry)
    const bucket = entry.bucket!
    bucket.live--
    if (this.#buckets.get(timestamp) !== bucket) return // It is being fired.
    if (bucket.live === 0) this.#buckets.delete(timestamp)
    else if (bucket.entries.length > 2 * bucket.live + 16) bucket.entries = bucket.entries.filter((other) => other.index >= 0)
  }
  /** Time stamp of the earliest timer. */
  get next(): number | undefined {
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (this.#buckets.has(top)) return top
      this.#heap.pop() // All of its timers were deleted.
    }
    return undefined
  }
  /** Fires all timers <= `time` in order of time stamps, those of one time stamp in order of registration. */
  advance(time: number, fire: FireTimer): void {
    for (let next = this.next; next !== undefined && next <= time; next = this.next) {
      const { entries } = this.#buckets.get(next)!
      this.#buckets.delete(next) // What is registered for this time meanwhile gets a new bucket.
      this.#heap.pop()
      for (const entry of entries) {
        if (entry.index < 0) continue
        this.#remove(entry)
        fire(entry.key, entry.hash, next, entry.namespace)
      }
    }
  }
  epochAt(index: number): number {
    return this.#entries[index]?.epoch ?? FREE
  }
  keyAt(index: number): unknown {
    return this.#entries[index]!.key
  }
  valueAt(index: number): unknown {
    const { timestamp, namespace } = this.#entries[index]!
    return namespace === NO_NAMESPACE ? timestamp : [timestamp, namespace]
  }
  restorePut(key: unknown, hash: number, value: unknown): void {
    const [timestamp, namespace] = timerOf(value)
    this.register(key as Key, hash, timestamp, namespace)
  }
  restoreDelete(key: unknown, hash: number, value: unknown): void {
    const [timestamp, namespace] = timerOf(value)
    this.delete(key as Key, hash, timestamp, namespace)
  }
  protected override tombstoneValueAt(index: number): unknown {
    return this.valueAt(index)
  }
  #find(key: Key, slotHash: number, timestamp: number, namespace: string): TimerEntry | undefined {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let at = (slotHash << 1) & mask; slots[at + 1] !== 0; at = (at + 2) & mask) {
      if (slots[at] !== slotHash) continue
      const entry = this.#entries[slots[at + 1]! - 1]!
      if (entry.timestamp === timestamp && entry.namespace === namespace && keysEqual(entry.key, key)) return entry
    }
    return undefined
  }
  #insert(key: Key, hash: number, timestamp: number, namespace: string, slotHash: number): void {
    if (isFull(this.#slots, this.count)) this.#slots = grownSlots(this.#slots, this.versions.memory)
    const entry = new TimerEntry(retained(key) as Key, hash, timestamp, namespace, slotHash, this.epoch)
    entry.index = this.allocate(hash)
    placeSlot(this.#slots, slotHash, entry.index)
    this.#entries[entry.index] = entry
    entry.bucket = this.#buckets.get(timestamp) ?? this.#newBucket(timestamp)
    entry.bucket.entries.push(entry)
    entry.bucket.live++
  }
  #newBucket(timestamp: number): Bucket {
    const bucket: Bucket = { entries: [], live: 0 }
    this.#buckets.set(timestamp, bucket)
    this.#heap.push(timestamp)
    if (this.#heap.size > 2 * this.#buckets.size + 64) this.#heap.rebuild(this.#buckets.keys())
    return bucket
  }
  #remove(entry: TimerEntry): void {
    // A timer never changes: what was registered in this epoch is in no snapshot.
    this.release(entry.index, entry.epoch, entry.epoch !== this.epoch)
    removeSlot(this.#slots, entry.slotHash, entry.index)
    this.#entries[entry.index] = undefined
    entry.index = -1
  }
}

function slotHashOf(hash: number, timestamp: number, namespace: string): number {
  const mixed = hash ^ hashNumber(timestamp)
  return namespace === NO_NAMESPACE ? mixed : mixed ^ hashString(namespace)
}

function timerOf(value: unknown): readonly [number, string] {
  return typeof value === 'number' ? [value, NO_NAMESPACE] : (value as readonly [number, string])
}
