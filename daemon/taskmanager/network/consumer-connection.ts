/**
 * The consuming half: one connection to a producing TaskManager, with all channels that come from there. When it is lost, it is dialled
 * once more, and each channel goes on where it stands; when that fails too, the channels that had not ended are broken.
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
  /** Something arrived on this socket. */
  #fruitful = false
  /** This socket is the second try after one that brought nothing. */
  #repaired = false
  #closed = false
  readonly #deadlineMs: number

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
          socket.destroy(error instanceof Error ? error : new Error(String(error)))
        }
      },
      onDrain: () => {},
      onClose: (cause = new Error('it was closed by the peer')) => {
        timer.cancel()
        if (this.#closed || this.#socket !== socket) return
        logger.warn('connection to a producer lost', { host, port, error: cause, established: this.#established })
        this.#lost(cause)
      },
    })
    this.#socket = socket
    const timer = clock.setTimer(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error(`no answer in ${CONNECT_TIMEOUT_MS} ms`)))
  }
  #connected(socket: DataSocket): void {
    this.#established = true
    this.#fruitful = false
    socket.write(encodeHello(this.options.taskManagerId))
    for (const channel of this.#channels.values()) this.#askFor(channel)
  }
  /** A first connection is tried until its time is over. One that brought something is dialled once more, at once. */
  #lost(cause: Error): void {
    const { clock } = this.options
    const first = !this.#established && !this.#wasEstablished && clock.monotonicMs() < this.#deadlineMs
    const again = this.#established && (this.#fruitful || !this.#repaired)
    this.#wasEstablished ||= this.#established
    this.#repaired = again && !this.#fruitful
    this.#established = false
    if (again) this.#dial()
    else if (first) clock.setTimer(RETRY_MS, () => this.#closed || this.#dial(), { unref: true })
    else this.#break(cause)
  }

  #break(cause: Error): void {
    const { host, port, onIdle } = this.options
    this.#closed = true
    const channels = [...this.#channels.values()]
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
