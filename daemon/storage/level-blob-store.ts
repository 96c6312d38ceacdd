import { crc32 } from 'node:zlib'
import { combineCrc32 } from '#core/crc32.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { BlobInfo, BlobStore } from '#protocol/ha/blobs.js'
import { BlockCutter } from './block-cutter.js'
import {
  allBlocks,
  allLoose,
  type BlobValue,
  blobRange,
  blockRange,
  decodeBlobKey,
  decodeBlobValue,
  decodeBlockKey,
  decodeBlockValue,
  decodeLooseKey,
  encodeBlobKey,
  encodeBlobValue,
  encodeBlockKey,
  encodeBlockValue,
  encodeLooseKey,
} from './keys.js'
import { isCorruption, type LevelDatabase, type LevelOperation, SYNC, storageError } from './level-database.js'

/**
 * Blobs in Level: blocks under a serial number first, the name last. Until the name is written, the blocks are loose: invisible, and
 * removed at the next open if the process dies. So a name always stands for a complete blob, whatever happens in between.
 */
export class LevelBlobStore implements BlobStore {
  #nextSerial = 1n
  /** Writers and deleters of one name take turns. */
  readonly #turns = new Map<string, Promise<unknown>>()
  /** What failed writes have left; their disk did not take the removal either. */
  readonly #left = new Map<bigint, string>()

  constructor(private readonly db: LevelDatabase) {}

  /** Removes what a crash left half-written or half-deleted. Once, before anything else. */
  async open(): Promise<void> {
    try {
      for await (const key of this.db.keys({ ...allLoose })) await this.#dropBlocks(decodeLooseKey(key))
      for await (const key of this.db.keys({ ...allBlocks, reverse: true, limit: 1 })) this.#nextSerial = decodeBlockKey(key).serial + 1n
    } catch (error) {
      throw storageError(error, 'open of the blob store')
    }
  }

  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    return this.#inTurn(name, async () => {
      const existing = await this.#durable(name)
      return existing ? this.#compare(name, existing, content) : this.#write(name, content)
    })
  }
  /** A blob whose write was reported as failed may show until the database is opened anew, and be gone then; or it is on disk. */
  async #durable(name: string): Promise<BlobValue | undefined> {
    const value = await this.#value(name)
    if (!value || !this.#left.has(value.serial)) return value
    try {
      await this.db.batch([])
    } catch (error) {
      throw storageError(error, `put of ${name}`)
    }
    const found = await this.#value(name)
    if (found) this.#left.delete(found.serial)
    return found
  }

  async #write(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    const serial = this.#nextSerial++
    const writer = new BlobWriter(this.db, serial)
    try {
      if (content instanceof Uint8Array) await writer.add(content)
      else for await (const piece of content) await writer.add(piece)
      const { bytes, crc32 } = await writer.finish(name)
      void this.#dropLeft()
      return { name, bytes, crc32 }
    } catch (error) {
      this.#left.set(serial, name)
      await this.#drop(serial, name).catch(() => {}) // Later puts try again; the first error is the one to tell.
      throw writer.failed ? storageError(error, `put of ${name}`) : error
    }
  }

  async #dropLeft(): Promise<void> {
    try {
      for (const [serial, name] of [...this.#left]) await this.#inTurn(name, () => this.#drop(serial, name))
    } catch {} // The next put tries again.
  }
  /**
   * In the name's turn. A write that failed may be on disk all the same: then the name goes before the blocks. It shows once the database
   * was opened anew, which the next write does.
   */
  async #drop(serial: bigint, name: string): Promise<void> {
    if (!this.#left.has(serial)) return
    await this.db.batch([])
    if ((await this.#value(name))?.serial === serial) await this.db.batch(this.#unnaming(name, serial), SYNC)
    await this.#dropBlocks(serial)
    this.#left.delete(serial)
  }
  #unnaming(name: string, serial: bigint): LevelOperation[] {
    return [
      { type: 'del', key: encodeBlobKey(name) },
      { type: 'put', key: encodeLooseKey(serial), value: Buffer.alloc(0) },
    ]
  }

  async #compare(name: string, existing: BlobValue, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    let bytes = 0
    let sum = 0
    for await (const piece of content instanceof Uint8Array ? [content] : content) {
      bytes += piece.byteLength
      sum = crc32(piece, sum)
    }
    if (bytes === existing.bytes && sum === existing.crc32) return { name, bytes, crc32: sum }
    throw new FlottError('BLOB_EXISTS', `${name} has ${existing.bytes} bytes with crc32 ${existing.crc32}, not ${bytes} with ${sum}`)
  }

  async get(name: string): Promise<Uint8Array> {
    const blocks: Uint8Array[] = []
    for await (const block of this.read(name)) blocks.push(block)
    return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks)
  }

  async *read(name: string): AsyncIterable<Uint8Array> {
    const expected = await this.#value(name)
    if (!expected) throw new FlottError('BLOB_NOT_FOUND', name)
    let bytes = 0
    let sum = 0
    let next = 0
    for await (const [key, value] of this.#blocks(name, expected.serial)) {
      const { block } = decodeBlockKey(key)
      const content = decodeBlockValue(value)
      if (block !== next) throw new FlottError('BLOB_CORRUPT', `${name}: block ${next} is missing`)
      if (crc32(content.bytes) !== content.crc32)
        throw new FlottError('BLOB_CORRUPT', `${name}: block ${block} does not match its checksum`)
      next++
      bytes += content.bytes.byteLength
      sum = combineCrc32(sum, content.crc32, content.bytes.byteLength)
      if (content.bytes.byteLength > 0) yield content.bytes
    }
    if (bytes !== expected.bytes || sum !== expected.crc32)
      throw new FlottError('BLOB_CORRUPT', `${name}: ${bytes} bytes with crc32 ${sum}, not ${expected.bytes} with ${expected.crc32}`)
  }

  async *#blocks(name: string, serial: bigint): AsyncIterable<[Buffer, Buffer]> {
    try {
      yield* this.db.iterator({ ...blockRange(serial), highWaterMarkBytes: 256 * 1024 })
    } catch (error) {
      throw isCorruption(error)
        ? new FlottError('BLOB_CORRUPT', `${name}: the database is damaged`, { cause: error })
        : storageError(error, `read of ${name}`)
    }
  }

  /** What a failed write has left is not there: nobody may count on it. */
  async info(name: string): Promise<BlobInfo | undefined> {
    const value = await this.#value(name)
    return value && !this.#left.has(value.serial) ? { name, bytes: value.bytes, crc32: value.crc32 } : undefined
  }

  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#inTurn(name, () => this.#delete(name))
  }

  async #delete(name: string): Promise<void> {
    const value = await this.#value(name)
    if (!value) return
    try {
      await this.db.batch(this.#unnaming(name, value.serial), SYNC)
      await this.#dropBlocks(value.serial)
    } catch (error) {
      throw storageError(error, `delete of ${name}`)
    }
  }

  async *list(prefix: string, after?: string): AsyncIterable<BlobInfo> {
    const { gte, lt } = blobRange(prefix)
    const above = after === undefined ? undefined : encodeBlobKey(after)
    const from = above && above.compare(gte) >= 0 ? { gt: above } : { gte }
    try {
      for await (const [key, value] of this.db.iterator({ ...from, lt })) {
        const { bytes, crc32 } = decodeBlobValue(value)
        yield { name: decodeBlobKey(key), bytes, crc32 }
      }
    } catch (error) {
      throw storageError(error, `list of ${prefix}`)
    }
  }

  async #value(name: string): Promise<BlobValue | undefined> {
    try {
      const value = await this.db.get(encodeBlobKey(name))
      return value === undefined ? undefined : decodeBlobValue(value)
    } catch (error) {
      throw isFlottError(error) ? error : storageError(error, `look-up of ${name}`)
    }
  }

  async #dropBlocks(serial: bigint): Promise<void> {
    await this.db.clear(blockRange(serial))
    await this.db.batch([{ type: 'del', key: encodeLooseKey(serial) }])
  }

  async #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name)
    const mine = (before ?? Promise.resolve()).then(work, work)
    this.#turns.set(name, mine)
    try {
      return await mine
    } finally {
      if (this.#turns.get(name) === mine) this.#turns.delete(name)
    }
  }
}

/** Blocks are written a megabyte at a time: the source is not asked for more before they are on disk. */
const BATCH_BLOCKS = 16

/** One blob on its way to disk. */
class BlobWriter {
  readonly #cutter = new BlockCutter()
  readonly #batch: LevelOperation[] = []
  #block = 0
  #bytes = 0
  #crc32 = 0
  #loose = false
  /** Whether the disk failed, and not the source. */
  failed = false

  constructor(
    private readonly db: LevelDatabase,
    private readonly serial: bigint,
  ) {}

  async add(piece: Uint8Array): Promise<void> {
    for (const block of this.#cutter.add(piece)) {
      this.#append(block)
      if (this.#batch.length >= BATCH_BLOCKS) await this.#flushLoose()
    }
  }

  async finish(name: string): Promise<BlobValue> {
    const rest = this.#cutter.rest()
    if (rest.byteLength > 0 || this.#block === 0) this.#append(rest) // An empty blob has one empty block, which reserves its serial.
    const value = { serial: this.serial, bytes: this.#bytes, crc32: this.#crc32 }
    this.#batch.push({ type: 'put', key: encodeBlobKey(name), value: encodeBlobValue(value) })
    if (this.#loose) this.#batch.push({ type: 'del', key: encodeLooseKey(this.serial) })
    await this.#write()
    return value
  }

  #append(block: Uint8Array): void {
    const sum = crc32(block)
    this.#bytes += block.byteLength
    this.#crc32 = combineCrc32(this.#crc32, sum, block.byteLength)
    this.#batch.push({
      type: 'put',
      key: encodeBlockKey({ serial: this.serial, block: this.#block++ }),
      value: encodeBlockValue(sum, block),
    })
  }

  async #flushLoose(): Promise<void> {
    if (!this.#loose) this.#batch.push({ type: 'put', key: encodeLooseKey(this.serial), value: Buffer.alloc(0) })
    this.#loose = true
    await this.#write()
  }

  async #write(): Promise<void> {
    try {
      await this.db.batch(this.#batch.splice(0), SYNC)
    } catch (error) {
      this.failed = true
      throw error
    }
  }
}
