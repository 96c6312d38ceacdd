/**
 * The producer's end of an edge: a channel to each consumer, and the partitioner that chooses among them. What the rings do not take
 * goes to overflow lists, so that no call ever waits; the task sees `isBackPressured` and stops taking input.
 */
import { FlottError } from '#core/errors.js'
import type { KeySelector } from '#core/functions/operator-definition.js'
import { between, type Random } from '#core/random.js'
import { checkType, type TypeSpec, typeSpecOf } from '#core/serialization/declared-types.js'
import { operatorIndexOf } from '#core/serialization/key-hash.js'
import { ValueWriter } from '#core/serialization/value-codec.js'
import { encodeSchemaFrame, type RecordSchema } from '#protocol/frames/schema.js'
import { encodeEventFrame } from '#protocol/frames/stream-event.js'
import { Encoded, generateEncoder, type RecordEncoder } from './codec/generate-encoder.js'
import { SchemaInference } from './codec/schema-inference.js'
import type { ResultPartition, ResultPartitionSpec, StreamEvent } from './exchange.js'
import { type Emit, type EmitTarget, generateEmit, type OutputChannel } from './generate-emit.js'
import type { Pressure, RingChannelWriter } from './ring-channel-writer.js'

export class GeneratedResultPartition implements ResultPartition, EmitTarget {
  readonly edgeId: string
  /** Replaced when the schema changes; a kept reference goes on working, a little slower. */
  emit: Emit
  version = 0
  numRecordsOut = 0
  next: number
  readonly channelOfKeyGroup: Uint16Array
  readonly #hashes: boolean
  /** Looked at for records that fit no variant, among them the first ones: what was inferred from records of the type is of its kinds. */
  readonly #type: TypeSpec | undefined
  readonly #inference = new SchemaInference()
  readonly #general = new ValueWriter()
  #encode: RecordEncoder
  #schemaFrame: Buffer | undefined

  constructor(
    private readonly spec: ResultPartitionSpec,
    readonly channels: readonly OutputChannel[],
    private readonly pressure: Pressure,
    private readonly random: Random,
    private readonly recordBytesMax: number,
  ) {
    const { edge, consumers, maxParallelism } = spec
    if (channels.length === 0) throw new Error(`edge ${edge.id} has no channel`)
    this.edgeId = edge.id
    this.#type = typeSpecOf(spec.type)
    this.#hashes = edge.partitioner === 'hash'
    // Producers that all began with consumer 0 would send their first records to one consumer.
    this.next = between(random, 0, channels.length)
    this.channelOfKeyGroup = Uint16Array.from({ length: maxParallelism }, (_, group) => operatorIndexOf(group, maxParallelism, consumers))
    this.#encode = generateEncoder([], this.#hashes)
    this.emit = this.#generate()
  }
  #generate(): Emit {
    return generateEmit(this, this.spec.edge.partitioner, this.spec.functions.key, this.#encode)
  }
  chooseChannel(value: unknown): number {
    const { edge, functions, consumers } = this.spec
    if (edge.partitioner === 'shuffle') return between(this.random, 0, this.channels.length)
    if (!functions.partition) throw new Error(`edge ${edge.id} has no partition function`)
    const index = functions.partition(keyOf(functions.key, value) as never, consumers)
    if (Number.isInteger(index) && index >= 0 && index < consumers) return index
    throw new FlottError('INVALID_ARGUMENT', `the partition function returned ${String(index)}: not a consumer below ${consumers}`)
  }
  slow(channel: RingChannelWriter, value: unknown, hash: number, timestamp: number, result: 0 | 2): void {
    let encoded: 0 | 1 | 2 = result
    if (encoded === Encoded.NoRoom) {
      this.#openFrame(channel, timestamp)
      encoded = this.#encode(channel, value, hash, timestamp)
    }
    if (encoded === Encoded.Written) return
    if (this.#type) checkType(this.#type, value)
    // Refuses what can not be sent before anything of the record is written.
    this.#general.reset()
    this.#general.write(value)
    if (this.#general.length > this.recordBytesMax)
      throw new FlottError('RECORD_TOO_LARGE', `a record of ${this.#general.length} bytes, where ${this.recordBytesMax} can be sent`)
    if (channel.room === 0 || !(channel.timestamps || Number.isNaN(timestamp))) this.#openFrame(channel, timestamp)
    channel.writeGeneral(this.#general, hash, timestamp)
    if (encoded === Encoded.Misfit) this.#learn(value)
  }
  #openFrame(channel: RingChannelWriter, timestamp: number): void {
    channel.finish()
    if (channel.announced !== this.version && this.#schemaFrame) {
      channel.send(this.#schemaFrame)
      channel.announced = this.version
    }
    channel.open(this.version, !Number.isNaN(timestamp))
  }
  #learn(misfit: unknown): void {
    const schema = this.#inference.sawMisfit(misfit)
    if (schema) this.#adopt(schema)
  }
  #adopt(schema: RecordSchema): void {
    for (const channel of this.channels) if (!channel.isLocal) channel.finish() // An open frame has rows of the schema before.
    this.version++
    this.#encode = generateEncoder(schema, this.#hashes)
    this.#schemaFrame = encodeSchemaFrame(this.version, schema)
    this.emit = this.#generate()
  }

  broadcastEvent(event: StreamEvent): void {
    let frame: Buffer | undefined
    for (const channel of this.channels) {
      if (channel.isLocal) {
        channel.sendEvent(event)
        continue
      }
      frame ??= encodeEventFrame(event)
      channel.send(frame)
    }
  }
  flush(): void {
    for (const channel of this.channels) if (!channel.isLocal) channel.finish()
  }
  get isBackPressured(): boolean {
    return this.pressure.channels > 0
  }
  drain(): boolean {
    for (const channel of this.channels) if (!channel.isLocal) channel.drain()
    return this.pressure.channels === 0
  }
  get numBytesOut(): number {
    let bytes = 0
    for (const channel of this.channels) if (!channel.isLocal) bytes += channel.numBytesOut
    return bytes
  }
  close(): void {
    for (const channel of this.channels) {
      if (channel.isLocal) channel.closeProducer()
      else channel.close()
    }
  }
}

/** The key that a selector takes out of a record. KEY_UNSUPPORTED is thrown by keyHash, where it is used. */
function keyOf(selector: KeySelector | undefined, value: unknown): unknown {
  if (!selector) return value
  const record = value as Readonly<Record<string, unknown>>
  if ('field' in selector) return record[selector.field]
  if ('fields' in selector) return selector.fields.map((field) => record[field])
  return selector.select(value as never)
}
