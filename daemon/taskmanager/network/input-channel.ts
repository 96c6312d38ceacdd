import { FlottError } from '#core/errors.js'
import { Bell } from '../exchange/doorbell.js'
import type { ChannelDescriptor } from '../exchange/exchange.js'
import { RingProducer } from '../exchange/ring.js'
import type { Credit } from './message-format.js'

/**
 * Consumer's end of a channel: frames go straight from the socket's buffer into the ring. Free slots are the credits; the sender learns
 * of them when half of the ring is free again, or when it has none left.
 */
export class InputChannel {
  readonly #ring: RingProducer
  #limit = 0 // As the sender knows it.
  #acknowledged = 0
  #frameBytes = -1
  #closed = false

  constructor(
    readonly number: number,
    readonly descriptor: ChannelDescriptor,
    private readonly onBroken: (cause: Error) => void,
  ) {
    this.#ring = new RingProducer(descriptor.ring!, descriptor.peerDoorbell && new Bell(descriptor.peerDoorbell))
  }

  /** Everything arrived, it broke, or its attempt is gone. */
  get isClosed(): boolean {
    return this.#closed
  }
  close(): void {
    this.#closed = true
  }
  break(reason: string, cause?: unknown): void {
    if (this.#closed) return
    this.#closed = true
    const { edgeId, producerAttempt } = this.descriptor
    this.onBroken(new FlottError('CHANNEL_BROKEN', `${edgeId} from ${producerAttempt}: ${reason}`, { cause }))
  }

  /** Where a frame goes; undefined when it is not wanted any more. A gap, or a frame without credit, breaks the channel. */
  beginFrame(sequence: number, bytes: number): Buffer | undefined {
    if (this.#closed) return undefined
    if (sequence !== this.#ring.sequence) return this.#refuse(`frame ${sequence} came where ${this.#ring.sequence} was due`)
    const slot = this.#ring.acquire()
    if (!slot) return this.#refuse(`frame ${sequence} came without credit`)
    if (bytes > slot.length) return this.#refuse(`frame ${sequence} has ${bytes} bytes, a slot ${slot.length}`)
    this.#frameBytes = bytes
    return slot
  }
  endFrame(): void {
    if (!this.#closed) this.#ring.publish(this.#frameBytes)
  }
  /** The producer has ended. */
  end(sequence: number): void {
    if (sequence === this.#ring.sequence) this.#closed = true
    else this.break(`it ended at frame ${sequence}, and ${this.#ring.sequence} was due`)
  }

  /** What to tell the sender, where that is worth a message. */
  get creditIsDue(): boolean {
    if (this.#closed) return false
    const received = this.#ring.sequence
    const half = this.#ring.memory.slots >> 1
    const gained = (received + this.#ring.freeSlots - this.#limit) | 0
    return gained >= half || ((received - this.#acknowledged) | 0) >= half || (gained > 0 && received === this.#limit)
  }
  /** The credit to send now. A full ring is asked to ring the doorbell when half of it is free. */
  takeCredit(): Credit {
    const { sequence: received, freeSlots } = this.#ring
    this.#acknowledged = received
    this.#limit = (received + freeSlots) >>> 0
    return { channel: this.number, received, limit: this.#limit }
  }
  /** Called before the thread sleeps: a full ring rings the doorbell when half of it is free. */
  wish(): void {
    if (!this.#closed) this.#ring.acquireAt()
  }

  #refuse(reason: string): undefined {
    this.break(reason)
  }
}
