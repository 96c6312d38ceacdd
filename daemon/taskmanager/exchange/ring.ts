/**
 * A channel between two threads: a ring of slots in shared memory with one producer and one consumer. Frames are encoded straight into
 * a slot; free slots are the credits, so back pressure costs nothing. Neither end ever waits: `acquire` and `peek` say that there is
 * nothing, and the other end's doorbell is rung when that changes.
 *
 * Layout (Int32 words unless said otherwise; each counter has a cache line of its own):
 *   byte   0  u32 magic | u32 slot bytes | u32 slot count
 *   byte  64  published: frames ever published, modulo 2^32; written by the producer
 *   byte 128  released: frames ever released, modulo 2^32; written by the consumer
 *   byte 192  wanted: free slots for which the producer waits, 0 when it does not wait; written by the producer alone
 *   byte 256  slots, each: u32 frame length | u32 unused | frame bytes (8-byte aligned)
 * A frame's slot is its number modulo the slot count, a power of two. A frame's number counts from 0: it is the channel's sequence.
 */
import type { Bell } from './doorbell.js'

export const RING_SLOT_BYTES = 32 * 1024
export const RING_SLOTS = 8
const MAGIC = 0x464c5231
const PUBLISHED = 16
const RELEASED = 32
const WANTED = 48
const SLOTS_AT = 256
const SLOT_HEADER = 8

export interface RingOptions {
  /** Of one slot, its 8-byte header included; a multiple of 8. */
  readonly slotBytes?: number
  /** A power of two, 2 at least. */
  readonly slots?: number
}

export function createRing(options: RingOptions = {}): SharedArrayBuffer {
  const { slotBytes = RING_SLOT_BYTES, slots = RING_SLOTS } = options
  if (slots < 2 || (slots & (slots - 1)) !== 0) throw new RangeError(`a ring of ${slots} slots: not a power of two`)
  if (slotBytes % 8 !== 0 || slotBytes < 256) throw new RangeError(`a ring with slots of ${slotBytes} bytes`)
  const ring = new SharedArrayBuffer(SLOTS_AT + slots * slotBytes)
  new Int32Array(ring).set([MAGIC, slotBytes, slots])
  return ring
}

/** For metrics; both ends go on meanwhile. */
export function ringUse(ring: SharedArrayBuffer): { readonly slots: number; readonly used: number; readonly slotBytes: number } {
  const words = new Int32Array(ring, 0, SLOTS_AT / 4)
  const used = (Atomics.load(words, PUBLISHED) - Atomics.load(words, RELEASED)) | 0
  return { slots: words[2]!, used: Math.max(0, Math.min(used, words[2]!)), slotBytes: words[1]! }
}

/** The views that both ends need. Frames start at `frameAt(number)`, in bytes from the start of the shared memory, 8-byte aligned. */
export class RingMemory {
  readonly words: Int32Array
  readonly view: DataView
  readonly bytes: Buffer
  readonly slots: number
  readonly slotBytes: number
  readonly frameBytes: number

  constructor(readonly shared: SharedArrayBuffer) {
    this.words = new Int32Array(shared)
    if (this.words[0] !== MAGIC) throw new Error('not a ring')
    this.slotBytes = this.words[1]!
    this.slots = this.words[2]!
    this.frameBytes = this.slotBytes - SLOT_HEADER
    this.view = new DataView(shared)
    this.bytes = Buffer.from(shared)
  }
  frameAt(number: number): number {
    return SLOTS_AT + (number & (this.slots - 1)) * this.slotBytes + SLOT_HEADER
  }
  frame(number: number, length: number): Buffer {
    const at = this.frameAt(number)
    return this.bytes.subarray(at, at + length)
  }
}

/** The producer's end. `consumer` is the consumer's doorbell; without it nobody is rung (tests, polling). */
export class RingProducer {
  readonly memory: RingMemory
  #published: number
  #wanting = false
  #ringPlanned = false

  constructor(
    ring: SharedArrayBuffer,
    private readonly consumer?: Bell,
  ) {
    this.memory = new RingMemory(ring)
    this.#published = Atomics.load(this.memory.words, PUBLISHED)
  }
  /** Number of the next frame. */
  get sequence(): number {
    return this.#published >>> 0
  }
  get freeSlots(): number {
    return this.memory.slots - ((this.#published - Atomics.load(this.memory.words, RELEASED)) | 0)
  }
  /**
   * Where the next frame is to be written: its first byte's position in `memory`; -1 when the ring is full, and then this end's doorbell
   * is rung once half of the slots are free. Before it sleeps, the owner looks at `freeSlots` once more (Doorbell.sleepUntilRung: a
   * ring that came while it was awake is not repeated). Asking again before `publish` gives the same place.
   */
  acquireAt(): number {
    if (this.freeSlots === 0) {
      Atomics.store(this.memory.words, WANTED, this.memory.slots >> 1)
      this.#wanting = true
      if (this.freeSlots === 0) return -1 // Looked again after the wish was written: a release from here on sees it.
    }
    if (this.#wanting) {
      Atomics.store(this.memory.words, WANTED, 0)
      this.#wanting = false
    }
    return this.memory.frameAt(this.#published)
  }
  /** The same place as bytes, `frameBytes` long. */
  acquire(): Buffer | undefined {
    return this.acquireAt() < 0 ? undefined : this.memory.frame(this.#published, this.memory.frameBytes)
  }
  /** Hands the acquired slot over with a frame of `length` bytes. A consumer that sleeps is rung, before the current turn of the event loop ends. */
  publish(length: number): void {
    const { words } = this.memory
    words[(this.memory.frameAt(this.#published) - SLOT_HEADER) >> 2] = length
    this.#published = (this.#published + 1) | 0
    Atomics.store(words, PUBLISHED, this.#published)
    if (this.consumer?.isOwnerSleeping) this.#ringSoon(this.consumer)
  }
  /**
   * To wake a thread costs tens of microseconds on both sides, so it should find more than one frame: it is rung at once when half of
   * the ring is full, else when the code that publishes has come to its end.
   */
  #ringSoon(consumer: Bell): void {
    if (this.freeSlots <= this.memory.slots >> 1) consumer.ring()
    else if (!this.#ringPlanned) {
      this.#ringPlanned = true
      queueMicrotask(() => {
        this.#ringPlanned = false
        consumer.ring()
      })
    }
  }
  /** Copies a frame into the ring; false when the ring is full. */
  offer(frame: Uint8Array): boolean {
    if (frame.length > this.memory.frameBytes)
      throw new RangeError(`a frame of ${frame.length} bytes in slots of ${this.memory.frameBytes}`)
    const at = this.acquireAt()
    if (at < 0) return false
    this.memory.bytes.set(frame, at)
    this.publish(frame.length)
    return true
  }
}

/** The consumer's end. `producer` is the producer's doorbell. */
export class RingConsumer {
  readonly memory: RingMemory
  #released: number

  constructor(
    ring: SharedArrayBuffer,
    private readonly producer?: Bell,
  ) {
    this.memory = new RingMemory(ring)
    this.#released = Atomics.load(this.memory.words, RELEASED)
  }
  /** Number of the frame that peek() gives. */
  get sequence(): number {
    return this.#released >>> 0
  }
  /** Frames published and not yet released. */
  get available(): number {
    return (Atomics.load(this.memory.words, PUBLISHED) - this.#released) | 0
  }
  /** Position and length of the frame `ahead` frames behind the oldest unreleased one, which must be less than `available`. */
  frameAt(ahead = 0): number {
    return this.memory.frameAt(this.#released + ahead)
  }
  lengthAt(ahead = 0): number {
    return this.memory.words[(this.frameAt(ahead) - SLOT_HEADER) >> 2]!
  }
  /** The frame's bytes, valid until it is released; undefined when so many were not published yet. */
  peek(ahead = 0): Buffer | undefined {
    return ahead < this.available ? this.memory.frame(this.#released + ahead, this.lengthAt(ahead)) : undefined
  }
  /** Frees the `count` oldest slots; rings the producer when it waits for as many as are free now. */
  release(count = 1): void {
    const { words, slots } = this.memory
    this.#released = (this.#released + count) | 0
    Atomics.store(words, RELEASED, this.#released)
    const wanted = Atomics.load(words, WANTED)
    if (wanted !== 0 && slots - this.available >= wanted) this.producer?.ring()
  }
}
