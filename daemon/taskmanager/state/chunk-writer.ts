/** Blocks to chunks of bounded size, stored as they fill. */
import { crc32 } from 'node:zlib'
import { FlottError } from '#core/errors.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import { portions } from './block-portions.js'
import { ByteSink } from './byte-sink.js'
import { type Block, type ChunkHeader, encodeChunkHeader, writeBlock } from './chunk-format.js'
import type { ChunkStore } from './keyed-state-backend.js'

const CHUNK_BYTES = 4 * 1024 * 1024
/** Of large values; so much is encoded, and decoded, in one go. */
const BLOCK_BYTES = 1024 * 1024
/** Chunks on their way to the disks; the walk waits for one when there are more. */
const IN_FLIGHT_MAX = 4

export interface ChunkWriterOptions {
  readonly chunks: ChunkStore
  readonly blobPrefix: string
  readonly header: ChunkHeader
  /** A chunk could not be stored: there is no point in going on. */
  onFailure(cause: Error): void
  /** One was stored, and there is room for another. */
  onRoom(): void
}

export class ChunkWriter {
  readonly #header: Buffer
  /** The chunk that is being filled: empty, or the header and blocks. */
  readonly #out = new ByteSink(64 * 1024)
  #crc = 0
  #inFlight = 0
  readonly #refs: ChunkRef[] = []
  readonly #puts: Promise<void>[] = []

  constructor(private readonly options: ChunkWriterOptions) {
    this.#header = encodeChunkHeader(options.header)
  }
  get isCongested(): boolean {
    return this.#inFlight >= IN_FLIGHT_MAX
  }
  /** The block's arrays are read before it returns. When it throws, the snapshot is not to be gone on with. */
  add(block: Block): void {
    for (const part of portions(block, BLOCK_BYTES)) this.#add(part)
  }
  #add(block: Block): void {
    const out = this.#out
    if (out.length === 0) this.#begin()
    const before = out.length
    writeBlock(out, block)
    const { length } = this.#header
    if (out.length > CHUNK_BYTES && before > length) {
      this.#flush(before)
      out.bytes.copyWithin(length, before, out.length) // Behind the header, which is there already.
      out.length -= before - length
      this.#crc = crc32(out.bytes.subarray(0, out.length))
    } else this.#crc = crc32(out.bytes.subarray(before, out.length), this.#crc)
  }
  /** The chunks in order, once all are durable. */
  async finish(): Promise<readonly ChunkRef[]> {
    if (this.#out.length > this.#header.length) this.#flush(this.#out.length)
    await Promise.all(this.#puts)
    return this.#refs
  }
  #begin(): void {
    this.#out.append(this.#header)
    this.#crc = crc32(this.#header)
  }
  #flush(length: number): void {
    const bytes = this.#out.copy(length)
    const blob = `${this.options.blobPrefix}-${this.#refs.length}`
    this.#refs.push({ blob, bytes: bytes.length, crc32: this.#crc, keyGroups: this.options.header.keyGroups })
    this.#put(blob, bytes)
  }
  #put(blob: string, bytes: Uint8Array): void {
    this.#inFlight++
    const put = this.options.chunks.put(blob, bytes).then(
      () => {
        this.#inFlight--
        this.options.onRoom()
      },
      (cause: unknown) => {
        const failure = new FlottError('CHECKPOINT_FAILED', `${blob} could not be stored`, { cause })
        this.options.onFailure(failure)
        throw failure
      },
    )
    put.catch(() => {}) // Told by onFailure; finish() may never be called.
    this.#puts.push(put)
  }
}
