/**
 * Tumbling windows with the default trigger: a table a window, and nothing a key but its entry. Windows fire and go as a whole. Which
 * key groups of a window have fired is state of its own where late records may still come, since after a restore the watermark begins
 * anew: a record for a window that had fired fires it again for its key, as it would have without the restart.
 */
import { timeWindow, windowStart } from '#core/eventtime/window-assigners.js'
import type { TimeWindow } from '#core/eventtime/windows.js'
import type { Key } from '#core/functions/functions.js'
import { keyGroupOf } from '#core/serialization/key-hash.js'
import type { RecordBatch } from '../exchange/exchange.js'
import type { Entry, EntryTable } from '../state/entry-table.js'
import type { NamespacedTables } from '../state/table-family.js'
import { TimeHeap } from '../state/time-heap.js'
import type { OperatorContext } from './operator.js'
import { enterWindow } from './window-function.js'
import { WindowOperator } from './window-operator.js'

class Pane {
  hasFired = false
  constructor(
    readonly window: TimeWindow,
    readonly table: EntryTable,
    /** Key groups that had fired before the restore, where not all had. */
    readonly firedGroups: ReadonlySet<number> | undefined,
  ) {}
}

/** A frame's entries are touched before they are used where the table is beyond the cache. */
const PREFETCH_ENTRIES_MIN = 8_192

export function createTumblingWindowOperator(ctx: OperatorContext): WindowOperator {
  // A class of its own for each operator: its calls of the user's functions stay monomorphic.
  class TumblingWindowOperator extends WindowOperator {
    readonly #sizeMs: number
    readonly #offsetMs: number
    readonly #panes = new Map<number, Pane>()
    /** Ends of windows that have not fired; ends plus lateness of those that have. */
    readonly #due = new TimeHeap()
    readonly #expiry = new TimeHeap()
    #tables!: NamespacedTables
    #fired!: NamespacedTables
    /** The pane of the last record. */
    #last: Pane | undefined
    #touched = 0

    constructor() {
      super(ctx)
      const { sizeMs, offsetMs } = this.definition.assigner.tumbling!
      this.#sizeMs = sizeMs
      this.#offsetMs = offsetMs
    }
    get firesAgain(): boolean {
      return this.allowedLatenessMs > 0
    }
    protected opened(): void {
      this.#tables = this.backend.namespacedTables('contents')
      this.#fired = this.backend.namespacedTables('fired')
      for (const start of this.#tables.tables.keys()) this.#addPane(start)
    }
    override processBatch(batch: RecordBatch, input: number): void {
      const { table } = this.#last ?? {}
      if (this.keyOf !== undefined && table !== undefined && table.count >= PREFETCH_ENTRIES_MIN)
        this.#touched = (this.#touched + table.prefetch(batch.hashes, batch.count)) | 0
      super.processBatch(batch, input)
    }
    protected add(record: unknown, timestamp: number, key: Key, hash: number): void {
      const pane = this.#paneOf(timestamp)
      if (pane === undefined) {
        this.dropLate(record, timestamp)
        return
      }
      const { table } = pane
      let entry = table.find(key, hash)
      if (entry === undefined) entry = table.insert(key, hash, this.contents.first(record))
      else {
        if (entry.epoch !== table.epoch) table.touch(entry)
        entry.value = this.contents.add(entry.value, record)
      }
      if (pane.hasFired || (pane.firedGroups !== undefined && this.#hadFired(pane, hash))) this.#fireEntry(pane, entry, hash)
    }
    /** The pane for a time stamp; undefined where its window is gone. */
    #paneOf(timestamp: number): Pane | undefined {
      const last = this.#last
      if (last !== undefined && timestamp >= last.window.start && timestamp < last.window.end) return last
      const start = windowStart(timestamp, this.#offsetMs, this.#sizeMs)
      const pane = this.#panes.get(start) ?? this.#newPane(start)
      if (pane !== undefined) this.#last = pane
      return pane
    }
    #newPane(start: number): Pane | undefined {
      const expired = this.isEventTime && start + this.#sizeMs - 1 + this.allowedLatenessMs <= this.call.watermark
      return expired ? undefined : this.#addPane(start)
    }
    #addPane(start: number): Pane {
      const window = timeWindow(start, start + this.#sizeMs)
      const fired = this.#fired.get(start)
      const groups = new Set<number>()
      fired?.forEach((entry) => {
        groups.add(entry.key as number)
      })
      const pane = new Pane(window, this.#tables.tableFor(start), groups.size > 0 ? groups : undefined)
      // The window's time had passed before its first record came: each record fires it.
      pane.hasFired = this.isEventTime && window.maxTimestamp <= this.call.watermark
      this.#panes.set(start, pane)
      if (!pane.hasFired) this.#due.push(window.end)
      if (this.allowedLatenessMs > 0) this.#expiry.push(window.maxTimestamp + this.allowedLatenessMs)
      return pane
    }
    override processWatermark(timestamp: number): void {
      this.call.watermark = timestamp
      // Ends are exclusive: a window is due when its maxTimestamp, end - 1, is reached.
      if (this.isEventTime) {
        this.#fireDue(timestamp === Infinity ? Infinity : timestamp + 1)
        this.#dropExpired(timestamp)
      }
    }
    override processProcessingTime(now: number): void {
      if (!this.isEventTime) this.#fireDue(now)
    }
    override get nextProcessingTime(): number | undefined {
      return this.isEventTime ? undefined : this.#due.peek()
    }
    #fireDue(until: number): void {
      for (let end = this.#due.peek(); end !== undefined && end <= until; end = this.#due.peek()) {
        this.#due.pop()
        const start = end - this.#sizeMs
        const pane = this.#panes.get(start)
        if (pane === undefined || pane.hasFired) continue
        this.#firePane(pane)
        if (this.allowedLatenessMs > 0) this.#markFired(start, pane)
        else this.#dropPane(start)
      }
    }
    #firePane(pane: Pane): void {
      enterWindow(this, pane.window)
      pane.table.forEach((entry, hash) => {
        if (pane.firedGroups !== undefined && this.#hadFired(pane, hash)) return
        this.backend.setCurrentKey(entry.key as Key, hash)
        this.emit(entry.value)
      })
    }
    #fireEntry(pane: Pane, entry: Entry, hash: number): void {
      enterWindow(this, pane.window)
      this.backend.setCurrentKey(entry.key as Key, hash)
      this.emit(entry.value)
    }
    #dropExpired(watermark: number): void {
      for (let at = this.#expiry.peek(); at !== undefined && at <= watermark; at = this.#expiry.peek()) {
        this.#expiry.pop()
        this.#dropPane(at - this.allowedLatenessMs + 1 - this.#sizeMs)
      }
    }
    #dropPane(start: number): void {
      if (this.#last === this.#panes.get(start)) this.#last = undefined
      this.#panes.delete(start)
      this.#tables.drop(start)
      this.#fired.drop(start)
    }
    #markFired(start: number, pane: Pane): void {
      pane.hasFired = true
      const table = this.#fired.tableFor(start)
      const [from, to] = ctx.keyGroups
      for (let group = from; group < to; group++) {
        const hash = hashInGroup(group, ctx.maxParallelism)
        if (table.find(group, hash) === undefined) table.insert(group, hash, true)
      }
    }
    #hadFired(pane: Pane, hash: number): boolean {
      return pane.firedGroups!.has(keyGroupOf(hash, ctx.maxParallelism))
    }
  }
  return new TumblingWindowOperator()
}

/** A hash that lies in the key group, so that a mark for the group moves with it. */
export function hashInGroup(group: number, maxParallelism: number): number {
  return Math.ceil((group * 65536) / maxParallelism) << 16
}
