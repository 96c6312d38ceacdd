/**
 * The hot path of every exchange: one function a partition and schema, compiled, so that its types are those of one edge alone. It takes
 * the key out of the record, hashes it, finds the channel and writes the row. Everything unusual goes to `slow` or `full`.
 */

import type { KeySelector } from '#core/functions/operator-definition.js'
import { fmix32, hashString, hashTupleNext, keyHash, TUPLE_START } from '#core/serialization/key-hash.js'
import type { Partitioner } from '#protocol/graph/job-graph.js'
import { Encoded, type RecordEncoder } from './codec/generate-encoder.js'
import { LOCAL_BATCH_RECORDS, type LocalChannel } from './local-channel.js'
import type { RingChannelWriter } from './ring-channel-writer.js'

export type OutputChannel = RingChannelWriter | LocalChannel
export type Emit = (value: unknown, timestamp: number) => void

/** What the generated function works on. */
export interface EmitTarget {
  emit: Emit
  /** Raised with each schema: a function made for an older one hands over to the newest. */
  version: number
  numRecordsOut: number
  /** Channel to use next, for the partitioners that go round. */
  next: number
  readonly channels: readonly OutputChannel[]
  /** Channel of each key group. */
  readonly channelOfKeyGroup: Uint16Array
  chooseChannel(value: unknown): number
  /** The encoder did not write the record. */
  slow(channel: RingChannelWriter, value: unknown, hash: number, timestamp: number, result: 0 | 2): void
}

export function generateEmit(target: EmitTarget, partitioner: Partitioner, key: KeySelector | undefined, encode: RecordEncoder): Emit {
  const { channels } = target
  const select = key && 'select' in key ? key.select : undefined
  const source = `
    const channels = target.channels, channelOfKeyGroup = target.channelOfKeyGroup, keyGroups = channelOfKeyGroup.length
    return function emit(value, timestamp) {
      if (target.version !== ${target.version}) return target.emit(value, timestamp)
      target.numRecordsOut++
      ${choose(partitioner, key, channels.length)}
      ${send(channels, partitioner === 'broadcast')}
    }`
  const parameters = ['target', 'encode', 'select', 'hashString', 'keyHash', 'hashTupleNext', 'fmix32']
  return new Function(...parameters, source)(target, encode, select, hashString, keyHash, hashTupleNext, fmix32) as Emit
}

/** Statements that define `hash`, and `index` except for broadcast. */
function choose(partitioner: Partitioner, key: KeySelector | undefined, channels: number): string {
  switch (partitioner) {
    case 'hash':
      return `${hash(key)}\nconst index = channelOfKeyGroup[((hash >>> 16) * keyGroups) >>> 16]`
    case 'broadcast':
      return 'const hash = 0'
    case 'shuffle':
    case 'custom':
      return 'const hash = 0, index = target.chooseChannel(value)'
    case 'global':
      return 'const hash = 0, index = 0'
    default:
      if (channels === 1) return 'const hash = 0, index = 0'
      return `const hash = 0, index = target.next\ntarget.next = index + 1 === ${channels} ? 0 : index + 1`
  }
}

function hash(key: KeySelector | undefined): string {
  if (!key) throw new Error('an edge partitioned by hash has no key')
  if ('fields' in key) {
    const parts = key.fields.map((field) => `h = hashTupleNext(h, value[${JSON.stringify(field)}])`)
    return `let h = ${TUPLE_START}\n${parts.join('\n')}\nconst hash = fmix32(h)` // As keyHash of the tuple, which is not made.
  }
  const part = 'field' in key ? `value[${JSON.stringify(key.field)}]` : 'select(value)'
  return `const key = ${part}\nconst hash = typeof key === 'string' ? hashString(key) : keyHash(key)`
}

function send(channels: readonly OutputChannel[], all: boolean): string {
  const append = `{
    const batch = channel.filling, n = batch.count
    batch.values[n] = value
    batch.hashes[n] = hash
    batch.timestamps[n] = timestamp
    if (timestamp === timestamp) batch.hasTimestamps = true
    batch.count = n + 1
    if (n === ${LOCAL_BATCH_RECORDS - 1}) channel.roll()
  }`
  const write = `{
    const result = encode(channel, value, hash, timestamp)
    if (result !== ${Encoded.Written}) target.slow(channel, value, hash, timestamp, result)
  }`
  const local = channels.filter((channel) => channel.isLocal).length
  const one = local === 0 ? write : local === channels.length ? append : `if (channel.isLocal) ${append} else ${write}`
  return all
    ? `for (let i = 0; i < channels.length; i++) { const channel = channels[i]\n${one} }`
    : `const channel = channels[index]\n${one}`
}
