/** Blocks to chunks of bounded size, stored as they fill. */
import { crc32 } from 'node:zlib'
import { FlottError } from '#core/errors.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import { type Block, type ChunkHeader, encodeBlock, encodeChunkHeader } from './chunk-format.js'
import type { ChunkStore } from './keyed-state-backend.js'

const CHUNK_BYTES = 4 * 1024 * 1024
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
  #blocks: Buffer[] = []
  #bytes = 0
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
  add(block: Block): void {
    const bytes = encodeBlock(block)
    if (this.#blocks.length > 0 && this.#bytes + bytes.length > CHUNK_BYTES) this.#flush()
    if (this.#blocks.length === 0) this.#append(this.#header)
    this.#append(bytes)
  }
  /** The chunks in order, once all are durable. */
  async finish(): Promise<readonly ChunkRef[]> {
    if (this.#blocks.length > 0) this.#flush()
    await Promise.all(this.#puts)
    return this.#refs
  }
  #append(bytes: Buffer): void {
    this.#blocks.push(bytes)
    this.#bytes += bytes.length
    this.#crc = crc32(bytes, this.#crc)
  }
  #flush(): void {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes)
    let at = 0
    for (const block of this.#blocks) at += block.copy(bytes, at)
    const blob = `${this.options.blobPrefix}-${this.#refs.length}`
    this.#refs.push({ blob, bytes: bytes.length, crc32: this.#crc, keyGroups: this.options.header.keyGroups })
    this.#blocks = []
    this.#bytes = 0
    this.#crc = 0
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
