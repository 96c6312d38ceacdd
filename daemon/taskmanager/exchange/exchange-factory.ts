import type { Random } from '#core/random.js'
import { Bell } from './doorbell.js'
import type { ChannelDescriptor, ExchangeFactory, InputGate, InputGateSpec, ResultPartition, ResultPartitionSpec } from './exchange.js'
import { type InputChannel, RoundRobinInputGate } from './input-gate.js'
import { LocalChannel } from './local-channel.js'
import { GeneratedResultPartition } from './result-partition.js'
import { RingConsumer, RingProducer } from './ring.js'
import { RingChannelReader } from './ring-channel-reader.js'
import { type Pressure, RingChannelWriter } from './ring-channel-writer.js'

export interface ExchangeOptions {
  /** For shuffle, and for where round robin begins. */
  readonly random: Random
  /** The largest record that may come through a ring. */
  readonly recordBytesMax?: number
}
export const RECORD_BYTES_MAX = 128 * 1024 * 1024
/** What stands around the record in a frame; a frame of many records that turned out to need fragments is not larger, either. */
const FRAME_MARGIN_BYTES = 1024 * 1024

/** One a slot worker. The ends of a channel within the slot find each other here, whichever is made first. */
export class SlotExchangeFactory implements ExchangeFactory {
  readonly #local = new Map<string, LocalChannel>()

  readonly #random: Random
  readonly #recordBytesMax: number

  constructor({ random, recordBytesMax = RECORD_BYTES_MAX }: ExchangeOptions) {
    this.#random = random
    this.#recordBytesMax = recordBytesMax
  }

  inputGate(spec: InputGateSpec): InputGate {
    const channels: InputChannel[] = []
    const inputs: number[] = []
    const descriptors = spec.edges.flatMap(({ edge, channels: ofEdge }) => ofEdge.map((channel) => ({ edge, channel })))
    for (const { edge, channel } of descriptors) {
      channels.push(channel.ring ? this.#reader(channel, channel.ring) : this.#localChannel(channel))
      inputs.push(edge.targetInput)
    }
    return new RoundRobinInputGate(channels, inputs, () => this.#forget(descriptors.map(({ channel }) => channel)))
  }
  resultPartition(spec: ResultPartitionSpec): ResultPartition {
    const pressure: Pressure = { channels: 0 }
    const hashes = spec.edge.partitioner === 'hash'
    const channels = spec.channels.map((descriptor) => {
      if (descriptor.ring) return new RingChannelWriter(new RingProducer(descriptor.ring, bellOf(descriptor)), hashes, pressure)
      const channel = this.#localChannel(descriptor)
      channel.attachProducer(pressure)
      return channel
    })
    return new GeneratedResultPartition(spec, channels, pressure, this.#random, this.#recordBytesMax)
  }
  #reader(descriptor: ChannelDescriptor, ring: SharedArrayBuffer): RingChannelReader {
    return new RingChannelReader(new RingConsumer(ring, bellOf(descriptor)), this.#recordBytesMax + FRAME_MARGIN_BYTES)
  }
  #localChannel(descriptor: ChannelDescriptor): LocalChannel {
    const key = keyOf(descriptor)
    const channel = this.#local.get(key) ?? new LocalChannel()
    this.#local.set(key, channel)
    return channel
  }
  /** A consumer that has closed takes nothing more: its producers keep their end, a new consumer attempt gets a new channel. */
  #forget(descriptors: readonly ChannelDescriptor[]): void {
    for (const descriptor of descriptors) if (!descriptor.ring) this.#local.delete(keyOf(descriptor))
  }
}

function keyOf({ edgeId, producerAttempt, producerSubtask, consumerAttempt, consumerSubtask }: ChannelDescriptor): string {
  return [edgeId, producerAttempt, producerSubtask, consumerAttempt, consumerSubtask].join(' ')
}

function bellOf({ peerDoorbell }: ChannelDescriptor): Bell | undefined {
  return peerDoorbell && new Bell(peerDoorbell)
}
