/**
 * The consuming half: one connection to a producing TaskManager, with all channels that come from there. When it is lost, it is dialled
 * anew, and each channel goes on where it stands: numbers of frames tell the producer what has come. A short loss of the link so
 * restarts nothing.
 *
 *   state      | it connects   | a dial fails, or the connection closes                     | the time is over | refused   | garbage
 *   first dial | connected     | dialled again after a pause                                | broken           | as failed | -
 *   connected  | -             | redialling; at once, when something had come               | -                | -         | broken
 *   redialling | connected     | dialled again after a pause                                | broken           | broken    | -
 *
 * The time for redialling begins when a connection is lost on which something had come; one that brings nothing does not renew it.
 * Refused: the host is there, and the process is not. Garbage: who answers is no TaskManager. Broken: so are all channels that had
 * not ended, for good.
 */
import type { Clock } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { InputChannel } from './input-channel.js'
import { BROKEN, END, encodeClose, encodeCredit, encodeHello, encodeOpen, MessageReader } from './message-format.js'
import { channelKey } from './producer-endpoint.js'
import type { DataSocket, DataTransport } from './transport.js'

const CONNECT_TIMEOUT_MS = 5_000
/** The first connection is tried for so long: the producer's TaskManager may be starting. */
const FIRST_CONNECT_MS = 10_000
/** A lost connection is dialled for so long: what is restored later is noticed by heartbeats. */
const RECONNECT_MS = 2_000
/** A dial over a way that swallows everything says nothing: the next one may find it whole. */
const RECONNECT_TIMEOUT_MS = 500
const RETRY_MS = 100

export interface ConsumerConnectionOptions {
  readonly transport: DataTransport
  readonly host: string
  readonly port: number
  readonly taskManagerId: string
  readonly clock: Clock
  readonly logger: Logger
  /** Some channel may have credit to give. */
  wake(): void
  /** No channel is left. */
  onIdle(): void
}

export class ConsumerConnection {
  readonly #channels = new Map<number, InputChannel>()
  #socket: DataSocket | undefined
  #established = false
  /** Some socket of ours was connected once. */
  #wasEstablished = false
  /** This socket is the first that was connected, or something arrived on it. */
  #fruitful = false
  #closed = false
  /** Until then it is dialled. */
  #deadlineMs: number

  constructor(private readonly options: ConsumerConnectionOptions) {
    this.#deadlineMs = options.clock.monotonicMs() + FIRST_CONNECT_MS
    this.#dial()
  }
  get isClosed(): boolean {
    return this.#closed
  }

  open(channel: InputChannel): void {
    this.#channels.set(channel.number, channel)
    if (this.#established) this.#askFor(channel)
  }
  close(channel: InputChannel): void {
    channel.close()
    this.#forget(channel)
  }
  /** Tells the producer of new credits; true when there were any. */
  giveCredit(): boolean {
    if (!this.#established) return false
    let given = false
    for (const channel of this.#channels.values()) {
      if (!channel.creditIsDue) continue
      this.#socket!.write(encodeCredit(channel.takeCredit()))
      given = true
    }
    return given
  }
  get creditIsDue(): boolean {
    if (!this.#established) return false
    for (const channel of this.#channels.values()) {
      channel.wish()
      if (channel.creditIsDue) return true
    }
    return false
  }
  destroy(): void {
    this.#closed = true
    this.#established = false
    this.#socket?.destroy()
  }

  #dial(): void {
    const { host, port, clock, logger, transport } = this.options
    const reader = new MessageReader({
      beginFrame: (channel, sequence, bytes) => this.#channels.get(channel)?.beginFrame(sequence, bytes),
      endFrame: (channel) => {
        this.#fruitful = true
        this.#channels.get(channel)?.endFrame()
      },
      message: (type, body) => this.#take(type, body),
    })
    const socket = transport.connect(host, port, {
      onConnect: () => {
        timer.cancel()
        this.#connected(socket)
      },
      onBytes: (bytes) => {
        if (this.#socket !== socket) return
        try {
          reader.read(bytes)
          this.#afterRead()
        } catch (error) {
          this.#break(error instanceof Error ? error : new Error(String(error)))
          socket.destroy()
        }
      },
      onDrain: () => {},
      onClose: (cause = new Error('it was closed by the peer')) => {
        timer.cancel()
        if (this.#closed || this.#socket !== socket) return
        if (this.#established) logger.warn('connection to a producer lost', { host, port, error: cause })
        else logger.debug('a producer is not reached', { host, port, error: cause })
        this.#lost(cause)
      },
    })
    this.#socket = socket
    const timeoutMs = this.#wasEstablished ? RECONNECT_TIMEOUT_MS : CONNECT_TIMEOUT_MS
    const timer = clock.setTimer(timeoutMs, () => socket.destroy(new Error(`no answer in ${timeoutMs} ms`)))
  }
  #connected(socket: DataSocket): void {
    this.#established = true
    this.#fruitful = !this.#wasEstablished
    this.#wasEstablished = true
    socket.write(encodeHello(this.options.taskManagerId))
    for (const channel of this.#channels.values()) this.#askFor(channel)
  }
  #lost(cause: Error): void {
    const { clock } = this.options
    const fruitful = this.#fruitful
    this.#established = false
    this.#fruitful = false
    if (fruitful) this.#deadlineMs = clock.monotonicMs() + RECONNECT_MS
    if (clock.monotonicMs() >= this.#deadlineMs || (this.#wasEstablished && isRefused(cause))) this.#break(cause)
    else if (fruitful) this.#dial()
    else clock.setTimer(RETRY_MS, () => this.#closed || this.#dial(), { unref: true })
  }

  #break(cause: Error): void {
    const { host, port, logger, onIdle } = this.options
    this.#closed = true
    this.#established = false
    const channels = [...this.#channels.values()]
    logger.warn('a producer is given up', { host, port, error: cause, channels: channels.length })
    this.#channels.clear()
    for (const channel of channels) channel.break(`the connection to ${host}:${port} is lost: ${cause.message}`, cause)
    onIdle()
  }
  #askFor(channel: InputChannel): void {
    this.#socket!.write(encodeOpen(channel.takeCredit(), channelKey(channel.descriptor)))
    this.options.wake() // A ring that is full now has to be watched.
  }
  #take(type: number, body: Buffer): void {
    this.#fruitful = true
    const channel = this.#channels.get(body.readUInt32LE(0))
    if (type === END) channel?.end(body.readUInt32LE(4))
    else if (type === BROKEN) channel?.break(body.toString('utf8', 4))
    else throw new Error(`a message of type ${type}`)
  }
  /** Channels that ended or broke on the way are said goodbye to, the others may have credit to give. */
  #afterRead(): void {
    for (const channel of this.#channels.values()) if (channel.isClosed) this.#forget(channel)
    this.options.wake()
  }
  #forget(channel: InputChannel): void {
    if (!this.#channels.delete(channel.number)) return
    if (this.#established) this.#socket!.write(encodeClose(channel.number))
    if (this.#channels.size > 0) return
    this.#closed = true
    if (this.#established) this.#socket!.end()
    else this.#socket?.destroy()
    this.#established = false
    this.options.onIdle()
  }
}

function isRefused(cause: Error): boolean {
  return (cause as NodeJS.ErrnoException).code === 'ECONNREFUSED'
}
