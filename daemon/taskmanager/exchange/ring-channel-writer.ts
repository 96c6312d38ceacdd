import type { ValueWriter } from '#core/serialization/value-codec.js'
import { encodeFragments } from '#protocol/frames/fragment.js'
import { encodeRecordsHeader, MISFIT, RECORDS_HEADER_BYTES, RECORDS_PER_FRAME_MAX, RecordsFlag } from '#protocol/frames/record-batch.js'
import type { RowTarget } from './codec/generate-encoder.js'
import type { RingProducer } from './ring.js'

/** Counts the channels of a partition that hold back more than they should. */
export interface Pressure {
  channels: number
}
interface OverflowFrame {
  readonly frame: Buffer
  /** It fills one of the channel's own buffers. */
  readonly reusable: boolean
}
const ASCII = 256
const WIDE = 512
/** Wide frames after which a channel looks whether its strings are ASCII again. */
const WIDE_FRAMES = 64
/** Buffers of drained overflow that a channel keeps. */
const SPARE_MAX = 4

/**
 * The producer's end of a ring, and the frame that is being filled. The frame lies in the ring's next slot; when the ring is full, in
 * a buffer of its own, which then waits in the overflow list. The heap is ASCII, or, from the first frame on that is not, UTF-16: twice
 * the bytes, but copied both ways, where UTF-8 takes 100 ns a string to read, and has no lone surrogates. `room` is 0 while no frame is open, so that the first row of a frame
 * takes the same path as one that finds it full.
 */
export class RingChannelWriter implements RowTarget {
  readonly isLocal = false
  view: DataView
  at = 0
  room = 0
  count = 0
  heap = ''
  heapScale = ASCII
  timestamps = false
  /** Schema that was announced to the consumer. */
  announced = 0
  numBytesOut = 0
  #bytes: Buffer
  #start = 0
  #schema = 0
  #wideFrames = 0
  #inRing = true
  #closed = false
  readonly #overflow: OverflowFrame[] = []
  readonly #spare: Buffer[] = []

  constructor(
    private readonly ring: RingProducer,
    private readonly hashes: boolean,
    private readonly pressure: Pressure,
  ) {
    this.view = ring.memory.view
    this.#bytes = ring.memory.bytes
  }
  /** Begins a frame; what was open must be finished. */
  open(schema: number, timestamps: boolean): void {
    const { memory } = this.ring
    const at = this.#overflow.length === 0 ? this.ring.acquireAt() : -1
    this.#inRing = at >= 0
    if (this.#inRing) {
      this.#bytes = memory.bytes
      this.view = memory.view
    } else {
      this.#bytes = this.#spare.pop() ?? Buffer.allocUnsafeSlow(memory.frameBytes)
      this.view = new DataView(this.#bytes.buffer)
    }
    this.#start = Math.max(at, 0)
    this.#schema = schema
    this.timestamps = timestamps
    this.at = this.#start + RECORDS_HEADER_BYTES
    this.room = memory.frameBytes - RECORDS_HEADER_BYTES - 1 // One byte to align the heap.
    this.count = 0
  }
  /** A row for a record that fits no variant, or no frame: `value` holds it. A frame must be open. */
  writeGeneral(value: ValueWriter, hash: number, timestamp: number): void {
    const bytes = value.view()
    const size = 5 + (this.hashes ? 4 : 0) + (this.timestamps ? 8 : 0) + bytes.length
    if (this.count > 0 && (size > this.room || this.count >= RECORDS_PER_FRAME_MAX)) {
      const { timestamps } = this
      this.finish()
      this.open(this.#schema, timestamps)
    }
    if (size > this.room) {
      this.#writeLarge(bytes, hash, timestamp, size)
      return
    }
    this.at = this.#generalRow(this.view, this.#bytes, this.at, bytes, hash, timestamp)
    this.room -= size
    this.count++
  }
  #generalRow(view: DataView, target: Buffer, start: number, value: Uint8Array, hash: number, timestamp: number): number {
    let at = start
    view.setUint8(at++, MISFIT)
    if (this.hashes) {
      view.setInt32(at, hash, true)
      at += 4
    }
    if (this.timestamps) {
      view.setFloat64(at, timestamp, true)
      at += 8
    }
    view.setUint32(at, value.length, true)
    target.set(value, at + 4)
    return at + 4 + value.length
  }
  /** A record larger than a frame becomes a frame of its own, in fragments. */
  #writeLarge(value: Uint8Array, hash: number, timestamp: number, size: number): void {
    const frame = Buffer.allocUnsafeSlow(RECORDS_HEADER_BYTES + size)
    const view = new DataView(frame.buffer)
    this.#generalRow(view, frame, RECORDS_HEADER_BYTES, value, hash, timestamp)
    encodeRecordsHeader(view, 0, { flags: this.#flags, schema: this.#schema, count: 1, heapOffset: frame.length, heapBytes: 0 })
    this.#abandon()
    this.send(frame)
  }
  get #flags(): number {
    return (this.hashes ? RecordsFlag.Hashes : 0) | (this.timestamps ? RecordsFlag.Timestamps : 0)
  }
  /** Hands the open frame over, if there is one. */
  finish(): void {
    if (this.count === 0) this.#abandon()
    else this.#finishFrame()
  }
  #finishFrame(): void {
    const { heap } = this
    const heapOffset = (this.at - this.#start + 1) & ~1 // UTF-16 is copied as it is only where it is aligned.
    const space = this.ring.memory.frameBytes - heapOffset
    if (heap.length === 0) this.#handOver(heapOffset, 0, this.#flags)
    else if (this.heapScale === WIDE && !this.#triesAscii(heap)) {
      this.#handOver(heapOffset, this.#bytes.write(heap, this.#start + heapOffset, space, 'utf16le'), this.#flags | RecordsFlag.HeapUtf16)
    } else {
      // Characters beyond ASCII take more bytes than units; close to the end they may have been cut off.
      const bytes = this.#bytes.write(heap, this.#start + heapOffset, space, 'utf8')
      const isAscii = bytes === heap.length && (space - bytes > 3 || Buffer.byteLength(heap) === bytes)
      if (isAscii) this.#handOver(heapOffset, bytes, this.#flags)
      else this.#turnWide(heapOffset)
    }
  }
  /** Now and then a channel of wide frames looks whether that is still needed. */
  #triesAscii(heap: string): boolean {
    if (--this.#wideFrames > 0 || Buffer.byteLength(heap) !== heap.length) return false
    this.heapScale = ASCII
    return true
  }
  /** The first frame that is not ASCII: it was measured as if it were, so it is copied and may take fragments. */
  #turnWide(heapOffset: number): void {
    const { heap } = this
    const heapBytes = heap.length * 2
    const frame = Buffer.allocUnsafeSlow(heapOffset + heapBytes)
    this.#bytes.copy(frame, 0, this.#start, this.#start + heapOffset)
    frame.write(heap, heapOffset, 'utf16le')
    const flags = this.#flags | RecordsFlag.HeapUtf16
    encodeRecordsHeader(new DataView(frame.buffer), 0, { flags, schema: this.#schema, count: this.count, heapOffset, heapBytes })
    this.heapScale = WIDE
    this.#wideFrames = WIDE_FRAMES
    this.#abandon()
    this.send(frame)
  }
  /** Forgets the open frame. Its slot of the ring was not published and stays the next one. */
  #abandon(): void {
    if (!this.#inRing && this.#spare.length < SPARE_MAX) this.#spare.push(this.#bytes)
    this.#inRing = true
    this.room = 0
    this.count = 0
    this.heap = ''
  }
  #handOver(heapOffset: number, heapBytes: number, flags: number): void {
    encodeRecordsHeader(this.view, this.#start, { flags, schema: this.#schema, count: this.count, heapOffset, heapBytes })
    const length = heapOffset + heapBytes
    this.numBytesOut += length
    if (this.#inRing) this.ring.publish(length)
    else this.#push(this.#bytes.subarray(0, length), true)
    this.#inRing = true
    this.room = 0
    this.count = 0
    this.heap = ''
  }
  /** A frame that is complete, behind all before it; of any length. The caller does not change it any more. */
  send(frame: Buffer): void {
    this.finish()
    this.numBytesOut += frame.length
    const { frameBytes } = this.ring.memory
    if (frame.length <= frameBytes) this.#push(frame, false)
    else for (const fragment of encodeFragments(frame, frameBytes)) this.#push(fragment, false)
  }
  #push(frame: Buffer, reusable: boolean): void {
    if (this.#closed) return
    if (this.#overflow.length === 0) {
      if (this.ring.offer(frame)) {
        this.#recycle({ frame, reusable })
        return
      }
      this.pressure.channels++
    }
    this.#overflow.push({ frame, reusable })
  }
  #recycle({ frame, reusable }: OverflowFrame): void {
    if (reusable && this.#spare.length < SPARE_MAX) this.#spare.push(Buffer.from(frame.buffer as ArrayBuffer))
  }
  /** Moves overflow into the ring; true when none is left. */
  drain(): boolean {
    if (this.#overflow.length === 0) return true
    let moved = 0
    while (moved < this.#overflow.length && this.ring.offer(this.#overflow[moved]!.frame)) moved++
    for (const frame of this.#overflow.splice(0, moved)) this.#recycle(frame)
    if (this.#overflow.length > 0) return false
    this.pressure.channels--
    return true
  }
  /** What was not handed over is dropped. */
  close(): void {
    this.#closed = true
    this.#abandon()
    if (this.#overflow.length > 0) this.pressure.channels--
    this.#overflow.length = 0
  }
}
