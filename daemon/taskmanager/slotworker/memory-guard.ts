/**
 * The slot's soft memory limit: heap, external memory and array buffers together, looked at between frames and before a table grows.
 * What is in use includes garbage, so that reaching the limit first asks for a collection; only what is left after it counts.
 */
import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { MemoryUsage } from '#metrics/thread-memory.js'
import type { MemoryBudget } from '../state/keyed-state-backend.js'

export interface MemoryProbe {
  usedBytes(): number
  /** A full collection; absent where there is none to be had. */
  collectGarbage?(): void
  /** For metrics; absent where the thread is not the worker's own. */
  describe?(): MemoryUsage
}

/** Collections that the limit asks for are at least this far apart, as long as use stays below the limit by half. */
const COLLECT_PAUSE_MS = 2_000

export class MemoryGuard implements MemoryBudget {
  #collectedAt = -Infinity

  constructor(
    private readonly limitBytes: number,
    private readonly probe: MemoryProbe,
    private readonly clock: Clock,
    /** `withinCall`: a table grows in the operator's call; else it is found after a frame that went through the whole chain. */
    private readonly lastEntered: (withinCall: boolean) => string,
  ) {}
  reserve(bytes: number): void {
    const wanted = this.probe.usedBytes() + bytes
    if (wanted <= this.limitBytes) return
    const { collectGarbage } = this.probe
    if (collectGarbage) {
      const now = this.clock.monotonicMs()
      if (bytes === 0 && wanted <= this.limitBytes * 1.5 && now - this.#collectedAt < COLLECT_PAUSE_MS) return
      collectGarbage()
      this.#collectedAt = now
      if (this.probe.usedBytes() + bytes <= this.limitBytes) return
    }
    const used = Math.round(this.probe.usedBytes() / 2 ** 20)
    const limit = Math.round(this.limitBytes / 2 ** 20)
    throw new FlottError(
      'MEMORY_EXCEEDED',
      `the slot's share of ${limit} MiB does not hold ${used} MiB in use${bytes > 0 ? ` and ${Math.round(bytes / 2 ** 20)} MiB more` : ''}; last entered: ${this.lastEntered(bytes > 0)}`,
    )
  }
}
