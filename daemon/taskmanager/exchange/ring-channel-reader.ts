import { FragmentAssembler } from '#protocol/frames/fragment.js'
import { FrameKind } from '#protocol/frames/frame.js'
import { decodeRecordsHeader, RECORDS_HEADER_BYTES, RecordsFlag } from '#protocol/frames/record-batch.js'
import { decodeSchemaFrame } from '#protocol/frames/schema.js'
import { decodeEventFrame } from '#protocol/frames/stream-event.js'
import { decoderOf, type RowsDecoder } from './codec/generate-decoder.js'
import type { RecordBatch, StreamEvent } from './exchange.js'
import type { RingConsumer } from './ring.js'

/** A batch that frames of any size are decoded into. */
export interface GrowingBatch extends RecordBatch {
  values: unknown[]
  hashes: Int32Array
  timestamps: Float64Array
}

const NO_SCHEMA = decoderOf([])

/** The consumer's end of a ring: takes frames in order, keeps the schema in force, puts fragments together. */
export class RingChannelReader {
  readonly isLocal = false
  numBytesIn = 0
  numEventBytesIn = 0
  #decode: RowsDecoder = NO_SCHEMA
  #schema = 0
  #whole: Buffer | undefined
  readonly #fragments: FragmentAssembler

  constructor(
    private readonly ring: RingConsumer,
    recordBytesMax: number,
  ) {
    this.#fragments = new FragmentAssembler(recordBytesMax)
  }
  /** Whether take() has something. Schemas and fragments that stand in front are worked off. */
  get hasInput(): boolean {
    if (this.#whole) return true
    while (this.ring.available > 0) {
      const kind = this.ring.memory.bytes[this.ring.frameAt()]
      if (kind === FrameKind.Records || kind === FrameKind.Event) return true
      this.#absorb(this.ring.peek()!, kind)
      if (this.#whole) return true
    }
    return false
  }
  #absorb(frame: Buffer, kind: number | undefined): void {
    if (kind === FrameKind.Schema) this.#useSchema(frame)
    else if (kind === FrameKind.Fragment) this.#whole = this.#fragments.add(frame)
    else throw new Error(`a frame of the unknown kind ${kind}`)
    this.#release(frame.length)
    if (this.#whole?.[0] !== FrameKind.Schema) return
    this.#useSchema(this.#whole)
    this.#whole = undefined
  }
  #useSchema(frame: Uint8Array): void {
    const { id, schema } = decodeSchemaFrame(frame)
    this.#schema = id
    this.#decode = decoderOf(schema)
  }
  /** The next event; or undefined after `batch` was filled with the next records. To be called when hasInput. */
  take(batch: GrowingBatch): StreamEvent | undefined {
    const whole = this.#whole
    if (whole) {
      this.#whole = undefined
      if (whole[0] === FrameKind.Event) return this.#event(whole)
      this.#records(batch, new DataView(whole.buffer, whole.byteOffset, whole.length), whole, 0)
      return undefined
    }
    const { memory } = this.ring
    const at = this.ring.frameAt()
    const length = this.ring.lengthAt()
    let event: StreamEvent | undefined
    if (memory.bytes[at] === FrameKind.Event) event = this.#event(memory.bytes.subarray(at, at + length))
    else this.#records(batch, memory.view, memory.bytes, at)
    this.#release(length)
    return event
  }
  #event(frame: Uint8Array): StreamEvent {
    this.numEventBytesIn += frame.length
    return decodeEventFrame(frame)
  }
  #release(length: number): void {
    this.numBytesIn += length
    this.ring.release()
  }
  /** Everything is copied out of the frame: its slot can be freed at once. */
  #records(batch: GrowingBatch, view: DataView, bytes: Buffer, at: number): void {
    const { flags, schema, count, heapOffset, heapBytes } = decodeRecordsHeader(view, at)
    if (schema !== this.#schema) throw new Error(`records of schema ${schema}, where ${this.#schema} is in force`)
    if (count > batch.hashes.length) {
      batch.hashes = new Int32Array(count)
      batch.timestamps = new Float64Array(count)
    }
    const encoding = flags & RecordsFlag.HeapUtf16 ? 'utf16le' : 'latin1'
    const heapAt = at + heapOffset
    const heap = heapBytes === 0 ? '' : bytes.toString(encoding, heapAt, heapAt + heapBytes)
    batch.count = count
    batch.values = new Array(count) // A young array is cheaper to fill with young records than an old one.
    batch.hasTimestamps = (flags & RecordsFlag.Timestamps) !== 0
    this.#decode(batch, count, view, bytes, at + RECORDS_HEADER_BYTES, heap, flags)
  }
}
