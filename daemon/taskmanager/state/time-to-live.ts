/**
 * State that goes by itself: each value, list item and map entry carries the time of its last write (or read, where reading refreshes).
 * What has expired is never returned. It is removed when it is met, and each write looks at a few entries further on in the table, so
 * that keys that never come again go, too.
 */
import { millis } from '#core/duration.js'
import { FlottError } from '#core/errors.js'
import type { StateOptions, ValueStateSpec } from '#core/state/state.js'
import type { HeapListState, HeapMapState } from './collection-states.js'
import type { CurrentKey } from './current-key.js'
import type { EntryTable } from './entry-table.js'

/** What is stored; `t` is -Infinity before the first watermark. */
interface Timed {
  v: unknown
  t: number
}
const SWEPT_PER_WRITE = 2

export class TimeToLive {
  readonly afterMs: number
  readonly refreshesOnRead: boolean
  #cursor = 0

  constructor(
    name: string,
    ttl: NonNullable<StateOptions<unknown>['ttl']>,
    readonly now: () => number,
    private readonly table: EntryTable,
    private readonly current: CurrentKey,
    private readonly timesOf: (stored: unknown) => Iterable<Timed>,
  ) {
    const options = typeof ttl === 'object' ? ttl : { after: ttl }
    this.afterMs = millis(options.after)
    if (!(this.afterMs > 0)) throw new FlottError('INVALID_ARGUMENT', `state '${name}': a time to live of ${options.after}`)
    this.refreshesOnRead = options.refresh === 'on-read-and-write'
  }
  stamp(v: unknown): Timed {
    return { v, t: this.now() }
  }
  isExpired(timed: Timed): boolean {
    return timed.t !== -Infinity && timed.t + this.afterMs <= this.now()
  }
  /** What was written before there was a watermark lives from the first one on. */
  isToBeStamped(timed: Timed): boolean {
    return timed.t === -Infinity && this.now() !== -Infinity
  }
  sweep(): void {
    for (let i = 0; i < SWEPT_PER_WRITE && this.table.length > 0; i++) {
      this.#cursor = this.#cursor + 1 < this.table.length ? this.#cursor + 1 : 0
      const entry = this.table.entryAt(this.#cursor)
      if (entry === undefined) continue
      let isAlive = false
      for (const timed of this.timesOf(entry.value)) if (!this.isExpired(timed)) isAlive = true
      if (isAlive) continue
      this.table.remove(entry)
      this.current.serial++ // Handles may remember the entry.
    }
  }
}

/** Where the parts' times are, by kind of state. */
export const TIMES_OF: Readonly<Record<string, (stored: unknown) => Iterable<Timed>>> = {
  value: (stored) => [stored as Timed],
  list: (stored) => stored as Timed[],
  map: (stored) => (stored as Map<unknown, Timed>).values(),
}

/** The value state over which it lies; `edit` counts as a write. */
interface TimedValueState {
  value: unknown
  edit(): unknown
  clear(): void
}

export class TtlValueState {
  constructor(
    private readonly inner: TimedValueState,
    private readonly spec: ValueStateSpec<unknown>,
    private readonly ttl: TimeToLive,
  ) {}
  get value(): unknown {
    const timed = this.#alive()
    if (timed === undefined) return this.spec.initial()
    if (this.ttl.refreshesOnRead || this.ttl.isToBeStamped(timed)) (this.inner.edit() as Timed).t = this.ttl.now()
    return timed.v
  }
  set value(next: unknown) {
    if (next === undefined) {
      this.inner.clear()
      return
    }
    this.ttl.sweep()
    this.inner.value = this.ttl.stamp(next)
  }
  edit(): unknown {
    if (this.#alive() === undefined) {
      const initial = this.spec.initial()
      if (initial === undefined) return undefined
      this.value = initial
    }
    const timed = this.inner.edit() as Timed
    timed.t = this.ttl.now()
    return timed.v
  }
  clear(): void {
    this.inner.clear()
  }
  #alive(): Timed | undefined {
    const timed = this.inner.value as Timed | undefined
    if (timed === undefined || !this.ttl.isExpired(timed)) return timed
    this.inner.clear()
    return undefined
  }
}

export class TtlListState {
  constructor(
    private readonly inner: HeapListState,
    private readonly ttl: TimeToLive,
  ) {}
  add(value: unknown): void {
    this.ttl.sweep()
    this.inner.add(this.ttl.stamp(value))
  }
  addAll(values: Iterable<unknown>): void {
    for (const value of values) this.add(value)
  }
  update(values: Iterable<unknown>): void {
    this.ttl.sweep()
    this.inner.update(Array.from(values, (value) => this.ttl.stamp(value)))
  }
  clear(): void {
    this.inner.clear()
  }
  [Symbol.iterator](): Iterator<unknown> {
    const all = [...(this.inner as Iterable<Timed>)]
    const alive = all.filter((timed) => !this.ttl.isExpired(timed))
    if (alive.length > 0 && (this.ttl.refreshesOnRead || alive.some((timed) => this.ttl.isToBeStamped(timed))))
      this.inner.update(alive.map(({ v }) => this.ttl.stamp(v)))
    else if (alive.length < all.length) this.inner.update(alive)
    return alive.map(({ v }) => v)[Symbol.iterator]()
  }
}

export class TtlMapState {
  constructor(
    private readonly inner: HeapMapState,
    private readonly ttl: TimeToLive,
  ) {}
  get(key: unknown): unknown {
    const timed = this.#alive(key)
    if (timed === undefined) return undefined
    if (this.ttl.refreshesOnRead || this.ttl.isToBeStamped(timed)) this.edit(key)
    return timed.v
  }
  has(key: unknown): boolean {
    return this.#alive(key) !== undefined
  }
  get isEmpty(): boolean {
    return this[Symbol.iterator]().next().done === true
  }
  set(key: unknown, value: unknown): void {
    this.ttl.sweep()
    this.inner.set(key, this.ttl.stamp(value))
  }
  edit(key: unknown): unknown {
    if (this.#alive(key) === undefined) return undefined
    const timed = this.inner.edit(key) as Timed
    timed.t = this.ttl.now()
    return timed.v
  }
  delete(key: unknown): void {
    this.inner.delete(key)
  }
  clear(): void {
    this.inner.clear()
  }
  [Symbol.iterator](): Iterator<[unknown, unknown]> {
    const alive: [unknown, unknown][] = []
    for (const [key] of [...(this.inner as Iterable<[unknown, Timed]>)]) {
      const timed = this.#alive(key)
      if (timed !== undefined) alive.push([key, this.get(key)])
    }
    return alive[Symbol.iterator]()
  }
  #alive(key: unknown): Timed | undefined {
    const timed = this.inner.get(key) as Timed | undefined
    if (timed === undefined || !this.ttl.isExpired(timed)) return timed
    this.inner.delete(key)
    return undefined
  }
}
