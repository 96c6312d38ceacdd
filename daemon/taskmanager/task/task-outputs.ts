/** All result partitions of a task: back pressure, and when half-filled frames leave. */
import type { ResultPartition, StreamEvent } from '../exchange/exchange.js'

export class TaskOutputs {
  #flushedRecords = 0
  /** By the wall clock; undefined while nothing waits to be flushed. */
  flushDue: number | undefined

  constructor(
    private readonly partitions: readonly ResultPartition[],
    /** execution.buffer-timeout.interval. */
    private readonly flushMs: number,
  ) {}
  get isBackPressured(): boolean {
    for (const partition of this.partitions) if (partition.isBackPressured) return true
    return false
  }
  /** Moves overflow on; true when none is left. */
  drain(): boolean {
    let drained = true
    for (const partition of this.partitions) if (partition.isBackPressured && !partition.drain()) drained = false
    return drained
  }
  flushWhenDue(now: number): void {
    const sent = this.numRecordsOut
    if (sent === this.#flushedRecords) return
    this.flushDue ??= now + this.flushMs
    if (now < this.flushDue) return
    for (const partition of this.partitions) partition.flush()
    this.#flushedRecords = sent
    this.flushDue = undefined
  }
  broadcast(event: StreamEvent): void {
    for (const partition of this.partitions) partition.broadcastEvent(event)
  }
  /** Nothing follows. */
  end(): void {
    this.broadcast({ kind: 'end-of-partition' })
    for (const partition of this.partitions) partition.flush()
  }
  get numRecordsOut(): number {
    let sum = 0
    for (const partition of this.partitions) sum += partition.numRecordsOut
    return sum
  }
  get numBytesOut(): number {
    let sum = 0
    for (const partition of this.partitions) sum += partition.numBytesOut
    return sum
  }
  close(): void {
    for (const partition of this.partitions) partition.close()
  }
}
