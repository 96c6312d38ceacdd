import type { ChannelDescriptor } from '../exchange/exchange.js'

/**
 * The TaskManager's data endpoint, on the main thread: one TCP connection a pair of TaskManagers and direction (the consumer connects
 * to its producer), multiplexed, credit based. It moves frames between rings and sockets and decodes nothing.
 */
export interface NetworkEnvironment {
  /** Listens; resolves with the port. */
  start(host: string, port: number): Promise<number>
  /** Producer side: frames of the ring are sent to the consumer that asks for this channel. */
  openOutput(channel: ChannelDescriptor): void
  /** Consumer side: asks the producer's TaskManager for the channel (retrying while the producer is not deployed yet) and fills the ring. */
  openInput(channel: ChannelDescriptor, producer: { readonly host: string; readonly port: number }, onBroken: (cause: Error) => void): void
  /**
   * Forgets all channels of an attempt, on either side. A peer whose channel had not ended sees it broken. `finished`: the attempt has
   * sent all that it will ever send: what is still in its output rings is delivered first, and its end is no break; its channels
   * are forgotten when the consumers have everything, or by a second call without it.
   */
  closeAttempt(attemptId: string, options?: { readonly finished?: boolean }): void
  /** The doorbell that slot workers ring for the main thread. */
  readonly doorbell: SharedArrayBuffer
  stop(): Promise<void>
}
