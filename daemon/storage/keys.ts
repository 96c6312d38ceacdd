/**
 * Keys of the one Level of a JobManager. Tags are on disk: never reuse or renumber. Big-endian, so that key order is scan order.
 *
 *   0x01 META    | utf8 name                ->  depends on the name (data-directory.ts)
 *   0x02 BLOB    | utf8 name                ->  u64 serial, u64 bytes, u32 crc32
 *   0x03 BLOCK   | u64 serial | u32 block   ->  u32 crc32 of the bytes, bytes (at most 64 KiB)
 *   0x04 LOOSE   | u64 serial               ->  empty. The blocks of this serial belong to no blob (yet, or any more)
 *   0x05 FACT    | utf8 path                ->  u32 version, bytes (ha/embedded)
 */
const META = 0x01
const BLOB = 0x02
const BLOCK = 0x03
const LOOSE = 0x04
const FACT = 0x05

function encodeText(tag: number, text: string): Buffer {
  const key = Buffer.alloc(1 + Buffer.byteLength(text))
  key.writeUInt8(tag, 0)
  key.write(text, 1, 'utf8')
  return key
}
function decodeText(tag: number, kind: string, key: Buffer): string {
  if (key.length < 1 || key[0] !== tag) throw new Error(`not a ${kind} key: ${key.toString('hex')}`)
  return key.toString('utf8', 1)
}

/** Keys of the tag whose text starts with `prefix`: [gte, lt). */
function textRange(tag: number, prefix: string): { gte: Buffer; lt: Buffer } {
  const gte = encodeText(tag, prefix)
  return { gte, lt: Buffer.concat([gte, Buffer.alloc(1, 0xff)]) } // UTF-8 never contains 0xff.
}

export const encodeMetaKey = (name: string): Buffer => encodeText(META, name)
export const decodeMetaKey = (key: Buffer): string => decodeText(META, 'META', key)

export const encodeBlobKey = (name: string): Buffer => encodeText(BLOB, name)
export const decodeBlobKey = (key: Buffer): string => decodeText(BLOB, 'BLOB', key)
export const blobRange = (prefix: string): { gte: Buffer; lt: Buffer } => textRange(BLOB, prefix)

export const encodeFactKey = (path: string): Buffer => encodeText(FACT, path)
export const decodeFactKey = (key: Buffer): string => decodeText(FACT, 'FACT', key)
export const factRange = (prefix: string): { gte: Buffer; lt: Buffer } => textRange(FACT, prefix)

export interface BlockKey {
  readonly serial: bigint
  readonly block: number
}
export function encodeBlockKey({ serial, block }: BlockKey): Buffer {
  const key = Buffer.alloc(13)
  key.writeUInt8(BLOCK, 0)
  key.writeBigUInt64BE(serial, 1)
  key.writeUInt32BE(block, 9)
  return key
}
export function decodeBlockKey(key: Buffer): BlockKey {
  if (key.length !== 13 || key[0] !== BLOCK) throw new Error(`not a BLOCK key: ${key.toString('hex')}`)
  return { serial: key.readBigUInt64BE(1), block: key.readUInt32BE(9) }
}
/** All blocks of a serial. */
export function blockRange(serial: bigint): { gte: Buffer; lte: Buffer } {
  return { gte: encodeBlockKey({ serial, block: 0 }), lte: encodeBlockKey({ serial, block: 0xffffffff }) }
}

export function encodeLooseKey(serial: bigint): Buffer {
  const key = Buffer.alloc(9)
  key.writeUInt8(LOOSE, 0)
  key.writeBigUInt64BE(serial, 1)
  return key
}
export function decodeLooseKey(key: Buffer): bigint {
  if (key.length !== 9 || key[0] !== LOOSE) throw new Error(`not a LOOSE key: ${key.toString('hex')}`)
  return key.readBigUInt64BE(1)
}

/** Every key of a binary tag. */
const tagRange = (tag: number): { gte: Buffer; lt: Buffer } => ({ gte: Buffer.of(tag), lt: Buffer.of(tag + 1) })
export const allBlocks = tagRange(BLOCK)
export const allLoose = tagRange(LOOSE)
export const allBlobs = tagRange(BLOB)

export interface BlobValue {
  readonly serial: bigint
  readonly bytes: number
  readonly crc32: number
}
export function encodeBlobValue({ serial, bytes, crc32 }: BlobValue): Buffer {
  const value = Buffer.alloc(20)
  value.writeBigUInt64BE(serial, 0)
  value.writeBigUInt64BE(BigInt(bytes), 8)
  value.writeUInt32BE(crc32, 16)
  return value
}
export function decodeBlobValue(value: Buffer): BlobValue {
  if (value.length !== 20) throw new Error(`not a BLOB value: ${value.length} bytes`)
  return { serial: value.readBigUInt64BE(0), bytes: Number(value.readBigUInt64BE(8)), crc32: value.readUInt32BE(16) }
}

export function encodeBlockValue(crc32: number, bytes: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(4 + bytes.byteLength)
  value.writeUInt32BE(crc32, 0)
  value.set(bytes, 4)
  return value
}
export function decodeBlockValue(value: Buffer): { crc32: number; bytes: Buffer } {
  if (value.length < 4) throw new Error(`not a BLOCK value: ${value.length} bytes`)
  return { crc32: value.readUInt32BE(0), bytes: value.subarray(4) }
}

export function encodeFactValue(version: number, bytes: Uint8Array): Buffer {
  const value = Buffer.alloc(4 + bytes.byteLength)
  value.writeUInt32BE(version, 0)
  value.set(bytes, 4)
  return value
}
export function decodeFactValue(value: Buffer): { version: number; bytes: Buffer } {
  if (value.length < 4) throw new Error(`not a FACT value: ${value.length} bytes`)
  return { version: value.readUInt32BE(0), bytes: value.subarray(4) }
}
