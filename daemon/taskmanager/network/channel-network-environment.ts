import type { Clock } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import { Doorbell } from '../exchange/doorbell.js'
import type { ChannelDescriptor } from '../exchange/exchange.js'
import { ConsumerConnection } from './consumer-connection.js'
import { InputChannel } from './input-channel.js'
import type { NetworkEnvironment } from './network.js'
import { ProducerEndpoint } from './producer-endpoint.js'
import type { DataTransport } from './transport.js'

export interface ChannelNetworkOptions {
  readonly transport: DataTransport
  /** All slot workers live in this thread (simulation). */
  readonly oneThread?: boolean
  readonly taskManagerId: string
  readonly clock: Clock
  readonly logger: Logger
}

interface OpenInput {
  readonly channel: InputChannel
  readonly connection: ConsumerConnection
}

/** The network over some transport. One loop moves frames and credits; it sleeps on its doorbell like a slot worker. */
export class ChannelNetworkEnvironment implements NetworkEnvironment {
  readonly #bell: Doorbell
  readonly #producer: ProducerEndpoint
  readonly #consumers = new Map<string, ConsumerConnection>()
  readonly #inputs = new Map<number, OpenInput>()
  #nextChannel = 0
  #running: Promise<void> | undefined
  #stopped = false

  constructor(private readonly options: ChannelNetworkOptions) {
    const { clock, logger, transport, oneThread } = options
    this.#bell = new Doorbell(undefined, { oneThread: oneThread ?? false })
    this.#producer = new ProducerEndpoint({ transport, clock, logger, wake: () => this.#bell.wake() })
  }
  get doorbell(): SharedArrayBuffer {
    return this.#bell.shared
  }

  async start(host: string, port: number): Promise<number> {
    const bound = await this.#producer.start(host, port)
    this.#running = this.#run()
    this.#running.catch((error: unknown) => this.options.logger.error('the network loop died', { error })) // stop() throws it.
    return bound
  }
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    for (const connection of this.#consumers.values()) connection.destroy()
    this.#bell.wake()
    if (!this.#running) return
    await this.#producer.stop()
    await this.#running
  }

  openOutput(channel: ChannelDescriptor): void {
    this.#producer.open(channel)
  }
  openInput(
    descriptor: ChannelDescriptor,
    producer: { readonly host: string; readonly port: number },
    onBroken: (cause: Error) => void,
  ): void {
    const number = this.#nextChannel++
    const broken = (cause: Error) => {
      this.#inputs.delete(number)
      onBroken(cause)
    }
    const channel = new InputChannel(number, descriptor, broken)
    const connection = this.#connectionTo(producer.host, producer.port)
    this.#inputs.set(number, { channel, connection })
    connection.open(channel)
  }
  closeAttempt(attemptId: string, options: { readonly finished?: boolean } = {}): void {
    for (const [number, { channel, connection }] of this.#inputs) {
      if (channel.descriptor.consumerAttempt !== attemptId) continue
      this.#inputs.delete(number)
      connection.close(channel)
    }
    this.#producer.closeAttempt(attemptId, options.finished ?? false)
    this.#bell.wake()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (this.#move()) await new Promise<void>((resolve) => this.options.clock.defer(resolve))
      else await this.#bell.sleepUntilRung(() => this.#stopped || this.#hasWork)
    }
  }
  #move(): boolean {
    let moved = this.#producer.send()
    for (const connection of this.#consumers.values()) if (connection.giveCredit()) moved = true
    return moved
  }
  get #hasWork(): boolean {
    if (this.#producer.hasWork) return true
    for (const connection of this.#consumers.values()) if (connection.creditIsDue) return true
    return false
  }
  #connectionTo(host: string, port: number): ConsumerConnection {
    const address = `${host}:${port}`
    const open = this.#consumers.get(address)
    if (open && !open.isClosed) return open
    const { transport, taskManagerId, clock, logger } = this.options
    const connection = new ConsumerConnection({
      transport,
      host,
      port,
      taskManagerId,
      clock,
      logger,
      wake: () => this.#bell.wake(),
      onIdle: () => {
        if (this.#consumers.get(address) === connection) this.#consumers.delete(address)
      },
    })
    this.#consumers.set(address, connection)
    return connection
  }
}
