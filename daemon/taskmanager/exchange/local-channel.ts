/**
 * A channel whose both ends are in one slot: a bounded queue of batches of records by reference. Like a ring it never refuses: what is
 * above the bound counts as back pressure of the producing task. The consumer also takes the batch that is still being filled, so that
 * nothing waits for a flush.
 */
import type { RecordBatch, StreamEvent } from './exchange.js'
import type { Pressure } from './ring-channel-writer.js'

export const LOCAL_BATCH_RECORDS = 512
/** Batches and events that may wait before the producer is held back. */
export const LOCAL_QUEUE_MAX = 4

/** Batches kept for later use: what a producer may run ahead of the bound by, before it looks. */
const FREE_MAX = 16

export class LocalBatch implements RecordBatch {
  count = 0
  /** A new one for each filling: a young array is cheaper to fill with young records than an old one. */
  values: unknown[] = new Array(LOCAL_BATCH_RECORDS)
  readonly hashes = new Int32Array(LOCAL_BATCH_RECORDS)
  readonly timestamps = new Float64Array(LOCAL_BATCH_RECORDS)
  hasTimestamps = false
}

const NO_VALUES: unknown[] = []

export class LocalChannel {
  readonly isLocal = true
  /** The batch that the producer fills; generate-emit.ts appends to it. */
  filling = new LocalBatch()
  #queue: (LocalBatch | StreamEvent)[] = []
  readonly #free: LocalBatch[] = []
  #pressure: Pressure | undefined
  #isOverBound = false
  #consumerClosed = false

  attachProducer(pressure: Pressure): void {
    this.#pressure = pressure
    this.#updatePressure()
  }
  /** The filled batch is full, or an event comes behind it. */
  roll(): void {
    if (this.filling.count === 0) return
    if (this.#consumerClosed) {
      this.filling.count = 0
      return
    }
    this.#queue.push(this.filling)
    this.filling = this.#nextBatch()
    this.#updatePressure()
  }
  sendEvent(event: StreamEvent): void {
    this.roll()
    if (this.#consumerClosed) return
    this.#queue.push(event)
    this.#updatePressure()
  }
  get hasInput(): boolean {
    return this.#queue.length > 0 || this.filling.count > 0
  }
  /** The oldest batch or event. A batch is given back with `recycle`. */
  take(): LocalBatch | StreamEvent | undefined {
    if (this.#queue.length === 0) this.roll()
    const next = this.#queue.shift()
    this.#updatePressure()
    return next
  }
  #nextBatch(): LocalBatch {
    const batch = this.#free.pop()
    if (batch === undefined) return new LocalBatch()
    batch.values = new Array(LOCAL_BATCH_RECORDS)
    return batch
  }
  recycle(batch: LocalBatch): void {
    batch.count = 0
    batch.hasTimestamps = false
    batch.values = NO_VALUES
    if (this.#free.length < FREE_MAX) this.#free.push(batch)
  }
  #updatePressure(): void {
    const isOverBound = this.#queue.length > LOCAL_QUEUE_MAX
    if (isOverBound === this.#isOverBound || !this.#pressure) return
    this.#isOverBound = isOverBound
    this.#pressure.channels += isOverBound ? 1 : -1
  }
  closeProducer(): void {
    this.#pressure = undefined
  }
  /** What is sent from now on is dropped. */
  closeConsumer(): void {
    this.#consumerClosed = true
    this.#queue.length = 0
    this.filling = new LocalBatch()
    this.#updatePressure()
  }
}
