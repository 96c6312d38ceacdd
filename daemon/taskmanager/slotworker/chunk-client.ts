import { deserializeError, FlottError, type SerializedError } from '#core/errors.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import type { ChunkStore } from '../state/keyed-state-backend.js'
import type { FromSlotWorker } from './protocol.js'

interface Waiting {
  resolve(bytes: Uint8Array | undefined): void
  reject(error: Error): void
}

/** Chunks leave and enter the worker as messages to the TaskExecutor, which has the connections. */
export class ChunkClient implements ChunkStore {
  readonly #waiting = new Map<number, Waiting>()
  #requests = 0

  constructor(private readonly post: (message: FromSlotWorker, transfer?: readonly ArrayBuffer[]) => void) {}

  async put(blob: string, bytes: Uint8Array): Promise<void> {
    // Only a buffer that is all the chunk's may be transferred: a view could share its memory with others.
    const isWhole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
    const own = isWhole ? bytes : new Uint8Array(bytes)
    await this.#ask((request) => this.post({ kind: 'put-chunk', request, blob, bytes: own }, [own.buffer as ArrayBuffer]))
  }
  async get(ref: ChunkRef): Promise<Uint8Array> {
    const bytes = await this.#ask((request) => this.post({ kind: 'get-chunk', request, ref }))
    if (!bytes) throw new FlottError('BLOB_NOT_FOUND', ref.blob)
    return bytes
  }
  #ask(send: (request: number) => void): Promise<Uint8Array | undefined> {
    const request = ++this.#requests
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject })
      send(request)
    })
  }
  answered(request: number, answer: { readonly bytes?: Uint8Array; readonly error?: SerializedError }): void {
    const waiting = this.#waiting.get(request)
    this.#waiting.delete(request)
    if (answer.error) waiting?.reject(deserializeError(answer.error))
    else waiting?.resolve(answer.bytes)
  }
}
