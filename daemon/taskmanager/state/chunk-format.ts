/**
 * A chunk of keyed state: a header, then blocks of entries. Little-endian.
 *   chunk:  u32 magic | u16 format version | u16 0 | u32 header length | header | blocks
 *   header: ChunkHeader as a value (core/serialization/value-codec.ts)
 *   block:  u32 length of what follows | u8 kind | u8 0 | u16 state (index in the header's states) | f64 namespace | u32 count
 *           | i32 hashes[count] | u32 length of the keys column | keys column | values column (columns.ts; absent where kind says so)
 * The hash gives an entry's key group, so that a restore at another parallelism picks its own. Within the chunks of one checkpoint
 * drops apply first, then tombstones, then puts; in whatever order they lie. The CRC is in the ChunkRef.
 */
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import type { ByteSink } from './byte-sink.js'
import { bytesOf, writeColumn } from './columns.js'
import { LazyColumn } from './lazy-column.js'

const MAGIC = 0x31534c46
export const CHUNK_FORMAT_VERSION = 1
const PREFIX = 12
const BLOCK_PREFIX = 4 + 16

export interface ChunkHeader {
  readonly operatorId: string
  readonly checkpointId: number
  readonly kind: 'base' | 'delta'
  readonly keyGroups: readonly [number, number]
  readonly maxParallelism: number
  readonly states: readonly StateSchema[]
}
export interface StateSchema {
  readonly name: string
  readonly kind: string
}

export enum BlockKind {
  Put = 1,
  /** Values only where a key has several entries. */
  Tombstone = 2,
  /** A whole namespace is gone: no entries. */
  Drop = 3,
}
export interface Block {
  readonly kind: BlockKind
  readonly state: number
  /** A window's start; NaN where a state has no namespaces. */
  readonly namespace: number
  /** Of the items of each of the following, which may have more. */
  readonly count: number
  readonly hashes: ArrayLike<number>
  readonly keys: readonly unknown[]
  readonly values: readonly unknown[] | undefined
}

export interface DecodedBlock extends Block {
  readonly hashes: Int32Array
}

export function encodeChunkHeader(header: ChunkHeader): Buffer {
  const value = encodeValue(header)
  const bytes = Buffer.alloc(PREFIX + value.length)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt16LE(CHUNK_FORMAT_VERSION, 4)
  bytes.writeUInt32LE(value.length, 8)
  bytes.set(value, PREFIX)
  return bytes
}

/** Appends a block. Nothing is appended when it throws. */
export function writeBlock(out: ByteSink, { kind, state, namespace, count, hashes, keys, values }: Block): void {
  const start = out.length
  try {
    out.take(BLOCK_PREFIX)
    out.append(bytesOf(hashes instanceof Int32Array ? hashes : Int32Array.from(hashes), count))
    const keysAt = out.take(4)
    writeColumn(out, keys, count)
    out.bytes.writeUInt32LE(out.length - keysAt - 4, keysAt)
    if (values !== undefined) writeColumn(out, values, count)
  } catch (error) {
    out.length = start
    throw error
  }
  const { bytes } = out
  bytes.writeUInt32LE(out.length - start - 4, start)
  bytes.writeUInt16LE(kind, start + 4) // One byte, and a zero.
  bytes.writeUInt16LE(state, start + 6)
  bytes.writeDoubleLE(namespace, start + 8)
  bytes.writeUInt32LE(count, start + 16)
}

export function decodeChunk(bytes: Uint8Array): { header: ChunkHeader; blocks: Generator<Buffer> } {
  const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (chunk.length < PREFIX || chunk.readUInt32LE(0) !== MAGIC) throw new Error('not a chunk of keyed state')
  const version = chunk.readUInt16LE(4)
  if (version !== CHUNK_FORMAT_VERSION) throw new Error(`chunk format ${version} is not known`)
  const blocksAt = PREFIX + chunk.readUInt32LE(8)
  const header = decodeValue(chunk.subarray(PREFIX, blocksAt)) as ChunkHeader
  return { header, blocks: splitBlocks(chunk, blocksAt) }
}

/** Not decoded yet. */
function* splitBlocks(chunk: Buffer, start: number): Generator<Buffer> {
  for (let at = start; at < chunk.length; ) {
    const end = at + 4 + chunk.readUInt32LE(at)
    if (end > chunk.length) throw new Error('its last block is cut off')
    yield chunk.subarray(at, end)
    at = end
  }
}

/** A block in its bytes: only what says where it belongs has been looked at. */
export class UndecodedBlock {
  readonly kind: BlockKind
  readonly state: number
  readonly namespace: number
  readonly count: number
  readonly keys: LazyColumn
  readonly values: LazyColumn | undefined

  constructor(private readonly bytes: Buffer) {
    this.kind = bytes.readUInt8(4)
    this.state = bytes.readUInt16LE(6)
    this.namespace = bytes.readDoubleLE(8)
    this.count = bytes.readUInt32LE(16)
    const keysAt = BLOCK_PREFIX + 4 * this.count
    const valuesAt = keysAt + 4 + bytes.readUInt32LE(keysAt)
    if (valuesAt > bytes.length) throw new Error('the keys of a block are cut off')
    this.keys = new LazyColumn(bytes.subarray(keysAt + 4, valuesAt), this.count)
    this.values = valuesAt === bytes.length ? undefined : new LazyColumn(bytes.subarray(valuesAt), this.count)
  }
  /** Copies them, since they may lie at any address. */
  readHashes(into = new Int32Array(this.count), at = 0): Int32Array {
    const bytes = this.bytes.subarray(BLOCK_PREFIX, BLOCK_PREFIX + 4 * this.count)
    new Uint8Array(into.buffer).set(bytes, 4 * at)
    return into
  }
}

export function decodeBlock(bytes: Buffer): DecodedBlock {
  const block = new UndecodedBlock(bytes)
  const { kind, state, namespace, count } = block
  return { kind, state, namespace, count, hashes: block.readHashes(), keys: block.keys.all(), values: block.values?.all() }
}
