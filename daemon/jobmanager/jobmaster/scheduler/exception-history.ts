import { serializeError } from '#core/errors.js'
import type { ExceptionEntry } from '#protocol/gateways/dispatcher-gateway.js'

const ENTRIES_MAX = 16

/** What went wrong in a job, newest first; older entries are dropped. */
export class ExceptionHistory {
  #entries: readonly ExceptionEntry[] = []
  #truncated = false

  add(error: Error, timestamp: number, where: Omit<ExceptionEntry, 'error' | 'timestamp'> = {}): void {
    this.#truncated ||= this.#entries.length === ENTRIES_MAX
    this.#entries = [{ error: serializeError(error), timestamp, ...where }, ...this.#entries].slice(0, ENTRIES_MAX)
  }
  get entries(): readonly ExceptionEntry[] {
    return this.#entries
  }
  get truncated(): boolean {
    return this.#truncated
  }
}
