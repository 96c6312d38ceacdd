/**
 * The producing half of the network: listens, and sends the output channels of this TaskManager to the consumers that ask for them. A
 * consumer may ask before its producer is deployed here: it waits. A consumer that lost its connection asks again on a new one.
 */
import type { Clock, Timer } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { ChannelDescriptor } from '../exchange/exchange.js'
import { CLOSE, CREDIT, decodeCredit, decodeHello, decodeOpen, encodeBroken, HELLO, MessageReader, OPEN } from './message-format.js'
import { OutputChannel, type Subscriber } from './output-channel.js'
import type { DataSocket, DataTransport, SocketHandlers } from './transport.js'

const HELLO_TIMEOUT_MS = 10_000
/** Bytes that wait in a socket before the channels on it have to. They lie in the rings: this bounds one pass, not memory. */
const SOCKET_BYTES_MAX = 1024 * 1024
const CHANNELS_A_CONNECTION_MAX = 65_536
/** Attempts whose end is remembered, so that who asks too late is told. */
const CLOSED_REMEMBERED_MAX = 10_000

export function channelKey({ edgeId, producerAttempt, consumerAttempt }: ChannelDescriptor): string {
  return JSON.stringify([edgeId, producerAttempt, consumerAttempt])
}

interface Wish extends Subscriber {
  readonly connection: ProducerConnection
  readonly key: string
  received: number
  limit: number
}

export interface ProducerEndpointOptions {
  readonly transport: DataTransport
  readonly clock: Clock
  readonly logger: Logger
  /** There may be something to send. */
  wake(): void
}

export class ProducerEndpoint {
  readonly #connections = new Set<ProducerConnection>()
  readonly #outputs = new Map<string, OutputChannel>()
  /** Consumers whose producer is not deployed yet, by channel key. */
  readonly #wishes = new Map<string, Wish>()
  readonly #closedAttempts = new Set<string>()

  constructor(private readonly options: ProducerEndpointOptions) {}

  start(host: string, port: number): Promise<number> {
    return this.options.transport.listen(host, port, (socket) => {
      const connection = new ProducerConnection(socket, this, this.options)
      this.#connections.add(connection)
      return connection
    })
  }
  async stop(): Promise<void> {
    this.#outputs.clear()
    this.#wishes.clear()
    await this.options.transport.stop()
  }

  open(descriptor: ChannelDescriptor): void {
    const key = channelKey(descriptor)
    const output = new OutputChannel(descriptor)
    this.#outputs.set(key, output)
    this.#closedAttempts.delete(descriptor.producerAttempt)
    const wish = this.#wishes.get(key)
    if (!wish) return
    this.#wishes.delete(key)
    this.#join(output, wish)
  }
  closeAttempt(attemptId: string, finished: boolean): void {
    for (const [key, output] of this.#outputs) {
      if (output.descriptor.producerAttempt !== attemptId) continue
      if (finished) output.finish()
      else this.#break(key, output)
    }
    if (finished) return
    this.#closedAttempts.add(attemptId)
    if (this.#closedAttempts.size > CLOSED_REMEMBERED_MAX) this.#closedAttempts.delete(this.#closedAttempts.values().next().value!)
    for (const [key, wish] of this.#wishes) if (producerOf(key) === attemptId) this.#refuse(key, wish)
  }

  get hasWork(): boolean {
    for (const output of this.#outputs.values()) if (output.hasWork) return true
    return false
  }
  /** One turn of each channel; true when something was sent. What one turn writes to a socket leaves in one system call. */
  send(): boolean {
    for (const connection of this.#connections) connection.socket.cork()
    let sent = false
    for (const output of this.#outputs.values()) if (output.send()) sent = true
    for (const connection of this.#connections) connection.socket.uncork()
    return sent
  }

  /** A consumer asks for a channel. */
  subscribe(wish: Wish): void {
    const output = this.#outputs.get(wish.key)
    if (output) this.#join(output, wish)
    else if (this.#closedAttempts.has(producerOf(wish.key))) this.#refuse(wish.key, wish)
    else this.#wishes.set(wish.key, wish)
  }
  credit(wish: Wish): void {
    const output = this.#outputs.get(wish.key)
    if (output?.subscriber === wish) output.credit(wish.received, wish.limit)
    this.options.wake()
  }
  unsubscribe(wish: Wish): void {
    if (this.#wishes.get(wish.key) === wish) this.#wishes.delete(wish.key)
    if (this.#outputs.get(wish.key)?.subscriber === wish) this.#outputs.delete(wish.key)
  }
  disconnected(connection: ProducerConnection): void {
    this.#connections.delete(connection)
    for (const wish of connection.wishes.values()) {
      if (this.#wishes.get(wish.key) === wish) this.#wishes.delete(wish.key)
      const output = this.#outputs.get(wish.key)
      if (output?.subscriber === wish) output.unsubscribe() // Frames stay in the ring: it may come back.
    }
  }
  wake(): void {
    this.options.wake()
  }

  #join(output: OutputChannel, wish: Wish): void {
    output.subscribe(wish, wish.received, wish.limit)
    this.options.wake()
  }
  #break(key: string, output: OutputChannel): void {
    this.#outputs.delete(key)
    const { subscriber } = output
    subscriber?.write(encodeBroken(subscriber.channel, 'the producer ended before it had sent everything'))
  }
  #refuse(key: string, wish: Wish): void {
    this.#wishes.delete(key)
    wish.write(encodeBroken(wish.channel, 'the producer is gone'))
  }
}

function producerOf(key: string): string {
  return (JSON.parse(key) as string[])[1]!
}

/** One consumer's connection. */
class ProducerConnection implements SocketHandlers {
  readonly wishes = new Map<number, Wish>()
  readonly #reader: MessageReader
  readonly #helloTimer: Timer
  #peer: string | undefined

  constructor(
    readonly socket: DataSocket,
    private readonly endpoint: ProducerEndpoint,
    private readonly options: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#reader = new MessageReader({
      beginFrame: () => {
        throw new Error('a consumer sends no frames')
      },
      endFrame: () => {},
      message: (type, body) => this.#take(type, body),
    })
    const expire = () => {
      if (this.#peer === undefined) this.#destroy('no HELLO came')
    }
    this.#helloTimer = options.clock.setTimer(HELLO_TIMEOUT_MS, expire, { unref: true })
  }
  get writable(): boolean {
    return this.socket.bufferedBytes < SOCKET_BYTES_MAX && this.socket.writable
  }
  /** Garbage ends the connection, never the process. */
  onBytes(bytes: Uint8Array): void {
    try {
      this.#reader.read(bytes)
    } catch (error) {
      this.#destroy(error instanceof Error ? error.message : String(error))
    }
  }
  onDrain(): void {
    this.endpoint.wake()
  }
  onClose(cause: Error | undefined): void {
    this.#helloTimer.cancel()
    this.options.logger.debug('connection of a consumer closed', { peer: this.#name, error: cause })
    this.endpoint.disconnected(this)
  }

  #destroy(reason: string): void {
    this.options.logger.warn('connection of a consumer refused', { peer: this.#name, reason })
    this.socket.destroy()
  }
  get #name(): string {
    return this.#peer ?? this.socket.remoteAddress
  }
  #take(type: number, body: Buffer): void {
    if (type === HELLO && this.#peer === undefined) this.#peer = decodeHello(body)
    else if (this.#peer === undefined) throw new Error('it began without HELLO')
    else if (type === OPEN) this.#open(body)
    else if (type === CREDIT) this.#credit(body)
    else if (type === CLOSE) this.#close(body.readUInt32LE(0))
    else throw new Error(`a message of type ${type}`)
  }
  #open(body: Buffer): void {
    const { channel, received, limit, key } = decodeOpen(body)
    if (this.wishes.has(channel)) throw new Error(`channel ${channel} was opened twice`)
    if (this.wishes.size >= CHANNELS_A_CONNECTION_MAX) throw new Error(`more than ${CHANNELS_A_CONNECTION_MAX} channels`)
    if (!isChannelKey(key)) throw new Error('a channel without key')
    const connection = this
    const wish = {
      connection,
      channel,
      key,
      received,
      limit,
      write: (bytes: Uint8Array) => connection.socket.write(bytes),
      get writable() {
        return connection.writable
      },
    }
    this.wishes.set(channel, wish)
    this.endpoint.subscribe(wish)
  }
  #credit(body: Buffer): void {
    const { channel, received, limit } = decodeCredit(body)
    const wish = this.wishes.get(channel)
    if (!wish) throw new Error(`credit for channel ${channel}, which is not open`)
    wish.received = received
    wish.limit = limit
    this.endpoint.credit(wish)
  }
  #close(channel: number): void {
    const wish = this.wishes.get(channel)
    this.wishes.delete(channel)
    if (wish) this.endpoint.unsubscribe(wish)
  }
}

function isChannelKey(key: string): boolean {
  try {
    const parts: unknown = JSON.parse(key)
    return Array.isArray(parts) && parts.length === 3 && parts.every((part) => typeof part === 'string')
  } catch {
    return false
  }
}
