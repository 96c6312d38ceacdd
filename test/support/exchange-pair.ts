/** Both ends of an edge for tests: partitions and gates over rings, or within one slot. */

import type { EdgeDefinition } from '#core/functions/operator-definition.js'
import { type Random, seededRandom } from '#core/random.js'
import type { AnyType } from '#core/serialization/types.js'
import type { JobEdge, Partitioner } from '#protocol/graph/job-graph.js'
import type { ChannelDescriptor, InputGate, ResultPartition, StreamEvent } from '#taskmanager/exchange/exchange.js'
import { SlotExchangeFactory } from '#taskmanager/exchange/exchange-factory.js'
import { createRing, type RingOptions } from '#taskmanager/exchange/ring.js'

export interface PairOptions {
  readonly partitioner?: Partitioner
  readonly functions?: EdgeDefinition
  readonly producers?: number
  readonly consumers?: number
  readonly maxParallelism?: number
  /** undefined: channels within the slot. */
  readonly ring?: RingOptions
  readonly random?: Random
  readonly recordBytesMax?: number
  readonly type?: AnyType
}

export function exchangePair(options: PairOptions): { partitions: ResultPartition[]; gates: InputGate[] } {
  const {
    partitioner = 'rebalance',
    functions = {},
    producers = 1,
    consumers = 1,
    maxParallelism = 128,
    random = seededRandom(1),
  } = options
  const { recordBytesMax } = options
  const factory = new SlotExchangeFactory({ random, ...(recordBytesMax === undefined ? {} : { recordBytesMax }) })
  const edge: JobEdge = { id: 'e', source: 'a', sourceOperator: 'a', target: 'b', targetOperator: 'b', partitioner, targetInput: 0 }
  const channels = range(producers).map((p) => range(consumers).map((c) => descriptor(p, c, options.ring)))
  const gates = range(consumers).map((c) =>
    factory.inputGate({ edges: [{ edge, channels: channels.map((ofProducer) => ofProducer[c]!) }], attemptId: `c${c}` }),
  )
  const partitions = range(producers).map((p) =>
    factory.resultPartition({
      edge,
      channels: channels[p]!,
      consumers,
      maxParallelism,
      functions,
      attemptId: `p${p}`,
      subtaskIndex: p,
      ...(options.type ? { type: options.type } : {}),
    }),
  )
  return { partitions, gates }
}

function descriptor(producerSubtask: number, consumerSubtask: number, ring: RingOptions | undefined): ChannelDescriptor {
  const ends = {
    edgeId: 'e',
    producerSubtask,
    consumerSubtask,
    producerAttempt: `p${producerSubtask}`,
    consumerAttempt: `c${consumerSubtask}`,
  }
  return ring ? { ...ends, ring: createRing(ring) } : ends
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

export interface Received {
  readonly values: unknown[]
  readonly hashes: number[]
  /** NaN where the record has none. */
  readonly timestamps: number[]
  readonly events: StreamEvent[]
  /** Values and events as they came, and the channel of each. */
  readonly sequence: unknown[]
  readonly channels: number[]
}

export function received(): Received {
  return { values: [], hashes: [], timestamps: [], events: [], sequence: [], channels: [] }
}

/** Polls until there is nothing. */
export function pollAll(gate: InputGate, into: Received = received()): Received {
  for (let polled = gate.poll(); polled; polled = gate.poll()) {
    if (polled.kind === 'event') {
      into.events.push(polled.event)
      into.sequence.push(polled.event)
      into.channels.push(polled.channel)
      continue
    }
    const { count, values, hashes, timestamps, hasTimestamps } = polled.batch
    for (let i = 0; i < count; i++) {
      into.values.push(values[i])
      into.sequence.push(values[i])
      into.channels.push(polled.channel)
      into.hashes.push(hashes[i]!)
      into.timestamps.push(hasTimestamps ? timestamps[i]! : Number.NaN)
    }
  }
  return into
}

/** Emits, flushes, and moves everything to the other end, however full the rings are. */
export function exchange(
  partition: ResultPartition,
  gate: InputGate,
  records: readonly unknown[],
  timestamp?: (i: number) => number,
): Received {
  const into = received()
  for (const [i, record] of records.entries()) partition.emit(record, timestamp ? timestamp(i) : Number.NaN)
  partition.flush()
  for (let turns = 0; pollAll(gate, into) && !partition.drain(); turns++)
    if (turns > 1_000_000) throw new Error('the overflow never drains')
  return pollAll(gate, into)
}
