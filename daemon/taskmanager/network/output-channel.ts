import { Bell } from '../exchange/doorbell.js'
import type { ChannelDescriptor } from '../exchange/exchange.js'
import { RingConsumer } from '../exchange/ring.js'
import { encodeEnd, encodeFrameHeader } from './message-format.js'

/** Frames that one channel sends before the next one has its turn. */
const FRAMES_A_TURN = 8

/** The consumer that asked for a channel: its connection, and its number for the channel there. */
export interface Subscriber {
  readonly channel: number
  /** False: the socket has enough to do. */
  readonly writable: boolean
  write(bytes: Uint8Array): void
}

/**
 * Producer's end of a channel. Frames are written to the socket straight out of the ring, and stay there until the consumer said that it
 * has received them: so they can be sent again on another connection, and a ring that is full holds the task back.
 */
export class OutputChannel {
  readonly #ring: RingConsumer
  #subscriber: Subscriber | undefined
  #sent: number
  #limit = 0
  #finished = false
  #endSent = false

  constructor(readonly descriptor: ChannelDescriptor) {
    this.#ring = new RingConsumer(descriptor.ring!, descriptor.peerDoorbell && new Bell(descriptor.peerDoorbell))
    this.#sent = this.#ring.sequence
  }

  get subscriber(): Subscriber | undefined {
    return this.#subscriber
  }

  /** A consumer asks for the channel, or asks again after it lost its connection: what it has not received is sent from there. */
  subscribe(subscriber: Subscriber, received: number, limit: number): void {
    this.#release(received)
    this.#subscriber = subscriber
    this.#sent = received
    this.#limit = limit
    this.#endSent = false
  }
  unsubscribe(): void {
    this.#subscriber = undefined
  }

  credit(received: number, limit: number): void {
    if (((this.#sent - received) | 0) < 0) throw new Error(`frame ${received} is acknowledged, ${this.#sent} is the next to be sent`)
    this.#release(received)
    if (((limit - this.#limit) | 0) > 0) this.#limit = limit
  }

  /** No frame will be published any more. */
  finish(): void {
    this.#finished = true
  }

  /** Whether `send` would send something. */
  get hasWork(): boolean {
    const subscriber = this.#subscriber
    return subscriber?.writable === true && (this.#sendable > 0 || this.#endIsDue)
  }

  /** Sends what the credit allows, a bounded number of frames; true when it sent something. */
  send(): boolean {
    const subscriber = this.#subscriber
    if (!subscriber) return false
    let frames = 0
    while (frames < FRAMES_A_TURN && subscriber.writable && this.#sendable > 0) {
      const frame = this.#ring.peek((this.#sent - this.#ring.sequence) | 0)!
      subscriber.write(encodeFrameHeader(subscriber.channel, this.#sent, frame.length))
      subscriber.write(frame)
      this.#sent = (this.#sent + 1) >>> 0
      frames++
    }
    if (!this.#endIsDue) return frames > 0
    this.#endSent = true
    subscriber.write(encodeEnd(subscriber.channel, this.#sent))
    return true
  }

  get #sendable(): number {
    const unsent = this.#ring.available - ((this.#sent - this.#ring.sequence) | 0)
    return Math.min(unsent, (this.#limit - this.#sent) | 0)
  }
  get #endIsDue(): boolean {
    return this.#finished && !this.#endSent && this.#ring.available === ((this.#sent - this.#ring.sequence) | 0)
  }
  #release(received: number): void {
    const count = (received - this.#ring.sequence) | 0
    if (count < 0 || count > this.#ring.available)
      throw new Error(`frame ${received} is acknowledged, ${this.#ring.sequence} is the oldest`)
    if (count > 0) this.#ring.release(count)
  }
}
