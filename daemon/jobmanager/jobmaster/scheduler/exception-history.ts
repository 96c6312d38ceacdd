import { serializeError } from '#core/errors.js'
import type { ExceptionEntry } from '#protocol/gateways/dispatcher-gateway.js'

const ENTRIES_MAX = 16

/** What went wrong in a job, newest first; older entries are dropped. */
export class ExceptionHistory {
  #entries: readonly ExceptionEntry[] = []
  #truncated = false

  constructor(private readonly changed: () => void = () => {}) {}

  /** What an earlier leader knew. */
  import(entries: readonly ExceptionEntry[], truncated: boolean): void {
    this.#entries = [...this.#entries, ...entries].slice(0, ENTRIES_MAX)
    this.#truncated ||= truncated
  }
  /** Once for an attempt (a task's name says which): its failure may be reported again to the next leader. */
  add(error: Error, timestamp: number, where: Omit<ExceptionEntry, 'error' | 'timestamp'> = {}): void {
    const { taskName } = where
    const isKnown = (entry: ExceptionEntry) => entry.taskName === taskName && entry.error.message === error.message
    if (taskName !== undefined && this.#entries.some(isKnown)) return
    this.#truncated ||= this.#entries.length === ENTRIES_MAX
    this.#entries = [{ error: serializeError(error), timestamp, ...where }, ...this.#entries].slice(0, ENTRIES_MAX)
    this.changed()
  }
  get entries(): readonly ExceptionEntry[] {
    return this.#entries
  }
  get truncated(): boolean {
    return this.#truncated
  }
}
