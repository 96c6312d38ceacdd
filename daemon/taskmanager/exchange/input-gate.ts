/**
 * The consumer's end of all edges into a task. It goes round the channels, so that a busy one does not starve the others, and passes
 * over those that an alignment holds back: what they hold stays in their rings, and so holds back their producers.
 */
import { RECORDS_PER_FRAME_MAX } from '#protocol/frames/record-batch.js'
import type { InputGate, Polled, RecordBatch, StreamEvent } from './exchange.js'
import { LocalBatch, type LocalChannel } from './local-channel.js'
import type { GrowingBatch, RingChannelReader } from './ring-channel-reader.js'

export type InputChannel = RingChannelReader | LocalChannel

export class RoundRobinInputGate implements InputGate {
  readonly #blocked: Uint8Array
  readonly #batch: GrowingBatch = {
    count: 0,
    values: [],
    hashes: new Int32Array(RECORDS_PER_FRAME_MAX),
    timestamps: new Float64Array(RECORDS_PER_FRAME_MAX),
    hasTimestamps: false,
  }
  readonly #records: { kind: 'records'; channel: number; batch: RecordBatch }
  readonly #event: { kind: 'event'; channel: number; event: StreamEvent }
  /** The local batch that the last poll gave out, and its channel. */
  #lent: LocalBatch | undefined
  #lender: LocalChannel | undefined
  #next = 0
  #closed = false

  constructor(
    private readonly channels: readonly InputChannel[],
    private readonly inputIndexes: readonly number[],
    private readonly onClose: () => void,
  ) {
    this.#blocked = new Uint8Array(channels.length)
    this.#records = { kind: 'records', channel: 0, batch: this.#batch }
    this.#event = { kind: 'event', channel: 0, event: { kind: 'end-of-partition' } }
  }
  get channelCount(): number {
    return this.channels.length
  }
  inputIndexOf(channel: number): number {
    const index = this.inputIndexes[channel]
    if (index === undefined) throw new RangeError(`channel ${channel} of ${this.channels.length}`)
    return index
  }
  poll(): Polled | undefined {
    this.#takeBack()
    const index = this.#findInput()
    if (index < 0) return undefined
    this.#next = index + 1 === this.channels.length ? 0 : index + 1
    const channel = this.channels[index]!
    if (!channel.isLocal) {
      const event = channel.take(this.#batch)
      return event ? this.#giveEvent(index, event) : this.#giveRecords(index, this.#batch)
    }
    const taken = channel.take()!
    if (!(taken instanceof LocalBatch)) return this.#giveEvent(index, taken)
    this.#lent = taken
    this.#lender = channel
    return this.#giveRecords(index, taken)
  }
  get hasInput(): boolean {
    return this.#findInput() >= 0
  }
  #findInput(): number {
    const { length } = this.channels
    if (this.#closed) return -1
    for (let i = 0, index = this.#next; i < length; i++) {
      if (this.#blocked[index] === 0 && this.channels[index]!.hasInput) return index
      index = index + 1 === length ? 0 : index + 1
    }
    return -1
  }
  #giveRecords(channel: number, batch: RecordBatch): Polled {
    this.#records.channel = channel
    this.#records.batch = batch
    return this.#records
  }
  #giveEvent(channel: number, event: StreamEvent): Polled {
    this.#event.channel = channel
    this.#event.event = event
    return this.#event
  }
  #takeBack(): void {
    if (this.#lent) this.#lender?.recycle(this.#lent)
    this.#lent = undefined
    this.#lender = undefined
  }
  block(channel: number): void {
    this.#blocked[channel] = 1
  }
  unblock(channel: number): void {
    this.#blocked[channel] = 0
  }
  get numBytesIn(): number {
    let bytes = 0
    for (const channel of this.channels) if (!channel.isLocal) bytes += channel.numBytesIn
    return bytes
  }
  get numRecordBytesIn(): number {
    let bytes = 0
    for (const channel of this.channels) if (!channel.isLocal) bytes += channel.numBytesIn - channel.numEventBytesIn
    return bytes
  }
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const channel of this.channels) if (channel.isLocal) channel.closeConsumer()
    this.onClose()
  }
}
