/**
 * Blobs between processes, as streams with back pressure: PUT and GET /blobs/<name, percent-encoded> on the internal endpoint. A PUT
 * carries the writer's epoch; a lower one than the receiver has seen is refused. Errors are JSON (SerializedError); one that comes up in
 * the middle of a GET follows the bytes as a trailer, so that the reader learns the code and never takes a part for the whole.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import type { Clock } from '#core/clock.js'
import { type Epoch, formatEpoch } from '#core/epoch.js'
import { deserializeError, FlottError, isFlottError, type SerializedError } from '#core/errors.js'
import type { BlobContent, BlobInfo, BlobTransfer } from '#protocol/ha/blobs.js'
import { type PlainBlob, PlainGet } from './plain-get.js'
import { StallWatch } from './stall-watch.js'

export const BLOB_PATH = '/blobs'
export const EPOCH_HEADER = 'x-flott-epoch'
export const BYTES_HEADER = 'x-flott-bytes'
export const CRC_HEADER = 'x-flott-crc32'
/** In answers and trailers: a SerializedError as percent-encoded JSON. */
export const ERROR_TRAILER = 'x-flott-error'
const STALL_MS = 30_000
const SLICE_BYTES = 256 * 1024
const BODY_BYTES_MAX = 64 * 1024 // Of an error or a BlobInfo.

export class HttpBlobTransfer implements BlobTransfer {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16, noDelay: true })
  readonly #plain: PlainGet

  /** `stallMs`: a transfer that moves no byte for so long fails with RPC_TIMEOUT. */
  constructor(private readonly options: { readonly clock: Clock; readonly stallMs?: number }) {
    this.#plain = new PlainGet({ clock: options.clock, stallMs: options.stallMs ?? STALL_MS, crcHeader: CRC_HEADER })
  }

  async put(address: string, name: string, content: Uint8Array | AsyncIterable<Uint8Array>, epoch: Epoch): Promise<BlobInfo> {
    const sent = { bytes: 0, crc32: 0 }
    const headers = { [EPOCH_HEADER]: formatEpoch(epoch), ...(content instanceof Uint8Array ? { 'content-length': content.length } : {}) }
    const response = await this.#retryIfStale(content instanceof Uint8Array, async () => {
      Object.assign(sent, { bytes: 0, crc32: 0 })
      return this.#exchange(address, 'PUT', name, headers, counted(content, sent))
    })
    const body = await bodyOf(response).catch((error: unknown) => {
      throw asTransferError(error, `PUT ${name} to ${address}`)
    })
    const info = JSON.parse(body.toString()) as BlobInfo
    if (info.bytes !== sent.bytes || info.crc32 !== sent.crc32)
      throw new FlottError(
        'BLOB_CORRUPT',
        `${name} arrived at ${address} as ${info.bytes} bytes, crc ${info.crc32}; sent were ${sent.bytes}, ${sent.crc32}`,
      )
    return info
  }

  async get(address: string, name: string, expected?: BlobContent): Promise<Uint8Array> {
    const { content, crc32: sum } = (await this.#plain.get(address, pathOf(name))) ?? (await this.#collect(address, name))
    if (expected && (content.length !== expected.bytes || sum !== expected.crc32))
      throw new FlottError(
        'BLOB_CORRUPT',
        `GET ${name} from ${address}: ${content.length} bytes with crc ${sum}, not ${expected.bytes} with ${expected.crc32}`,
      )
    return content
  }
  async #collect(address: string, name: string): Promise<PlainBlob> {
    const what = `GET ${name} from ${address}`
    const response = await this.#retryIfStale(true, () => this.#exchange(address, 'GET', name, {}))
    const stall = this.#watchStall(response, what)
    try {
      const { content, received } = await collect(response, () => stall.progress())
      checkReceived(response, received, what)
      return { content, crc32: received.crc32 }
    } catch (error) {
      throw asTransferError(error, what)
    } finally {
      stall.stop()
      if (!response.complete) response.destroy()
    }
  }

  async *read(address: string, name: string): AsyncIterable<Uint8Array> {
    const what = `GET ${name} from ${address}`
    const response = await this.#retryIfStale(true, () => this.#exchange(address, 'GET', name, {}))
    const received = { bytes: 0, crc32: 0 }
    const stall = this.#watchStall(response, what)
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        stall.suspend() // While the reader takes its time, silence is not the peer's.
        received.bytes += part.length
        received.crc32 = crc32(part, received.crc32)
        yield part
        stall.progress()
      }
    } catch (error) {
      throw asTransferError(error, what)
    } finally {
      stall.stop()
      if (!response.complete) response.destroy()
    }
    checkReceived(response, received, what)
  }

  /** Closes idle connections. Transfers under way fail. */
  stop(): void {
    this.#agent.destroy()
    this.#plain.stop()
  }

  /** Sends the request and its body; resolves with the answer's head once its status says that it succeeded. */
  async #exchange(
    address: string,
    method: string,
    name: string,
    headers: OutgoingHttpHeaders,
    body?: AsyncIterable<Uint8Array>,
  ): Promise<IncomingMessage> {
    const what = `${method} ${name} ${method === 'PUT' ? 'to' : 'from'} ${address}`
    const request = httpRequest(`http://${address}${pathOf(name)}`, { method, headers, agent: this.#agent })
    const stall = this.#watchStall(request, what)
    try {
      const answered = answerTo(request)
      if (body)
        await Promise.race([send(request, body, stall), answered]) // An early answer is a refusal: the rest is not sent.
      else request.end()
      const response = await answered
      if (response.statusCode === 200) return response
      const refusal = await bodyOf(response)
      if (!request.writableFinished) request.destroy()
      throw refusalOf(refusal, response, what)
    } catch (error) {
      request.destroy()
      throw stale(request, error) ?? asTransferError(error, what)
    } finally {
      stall.stop()
    }
  }

  #watchStall(stream: ClientRequest | IncomingMessage, what: string): StallWatch {
    const stallMs = this.options.stallMs ?? STALL_MS
    return new StallWatch(this.options.clock, stallMs, () =>
      stream.destroy(new FlottError('RPC_TIMEOUT', `${what}: nothing moved for ${stallMs} ms`)),
    )
  }

  /** A kept connection may have been closed by the peer just before it was used again: then nothing was applied, try once more. */
  async #retryIfStale<T>(repeatable: boolean, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error
        if (!repeatable) throw error.failure
      }
    }
  }
}

function pathOf(name: string): string {
  return `${BLOB_PATH}/${encodeURIComponent(name)}`
}

class StaleConnection extends Error {
  constructor(readonly failure: FlottError) {
    super(failure.message)
  }
}

function stale(request: ClientRequest, error: unknown): StaleConnection | undefined {
  const { code } = error as { code?: string }
  if (!request.reusedSocket || (code !== 'ECONNRESET' && code !== 'EPIPE')) return undefined
  return new StaleConnection(asTransferError(error, 'a kept connection was closed'))
}

function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve)
    request.on('error', reject)
    request.on('close', () => reject(new FlottError('CONNECTION_LOST', 'the connection closed before the answer')))
  })
  answered.catch(() => {}) // Whoever awaits it sees the error; before that it may fail unobserved while the body is being read.
  return answered
}

/** Each part is copied to its place as it comes: a big blob is moved once, into a buffer of its own. */
function collect(response: IncomingMessage, onPart: () => void): Promise<{ content: Uint8Array; received: BlobContent }> {
  const content = new Uint8Array(Number(response.headers[BYTES_HEADER]) || 0)
  const received = { bytes: 0, crc32: 0 }
  return new Promise((resolve, reject) => {
    response.on('data', (part: Buffer) => {
      onPart()
      if (received.bytes + part.length <= content.length) content.set(part, received.bytes)
      received.bytes += part.length
      received.crc32 = crc32(part, received.crc32)
    })
    response.on('end', () => resolve({ content, received }))
    response.on('error', reject)
    response.on('close', () => reject(new FlottError('CONNECTION_LOST', 'the connection closed in the middle of a blob')))
  })
}

/** What follows the bytes, and whether they are what was announced. */
function checkReceived(response: IncomingMessage, received: BlobContent, what: string): void {
  const failure = response.trailers[ERROR_TRAILER]
  if (failure) throw deserializeError(JSON.parse(decodeURIComponent(failure)) as SerializedError)
  if (received.bytes !== Number(response.headers[BYTES_HEADER]) || received.crc32 !== Number(response.headers[CRC_HEADER]))
    throw new FlottError('BLOB_CORRUPT', `${what}: ${received.bytes} bytes arrived with crc ${received.crc32}`)
}

async function send(request: ClientRequest, body: AsyncIterable<Uint8Array>, stall: StallWatch): Promise<void> {
  const source = Readable.from(progressing(body, stall), { objectMode: true, highWaterMark: 1 })
  await pipeline(source, request)
}

async function* progressing(body: AsyncIterable<Uint8Array>, stall: StallWatch): AsyncIterable<Uint8Array> {
  stall.suspend()
  for await (const part of body) {
    stall.progress()
    yield part
    stall.suspend()
  }
  stall.progress()
}

/** In slices: one write of many megabytes is no progress before all of it has gone. */
async function* counted(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  sent: { bytes: number; crc32: number },
): AsyncIterable<Uint8Array> {
  for await (const part of content instanceof Uint8Array ? [content] : content)
    for (let start = 0; start < part.length; start += SLICE_BYTES) {
      const slice = part.subarray(start, start + SLICE_BYTES)
      sent.bytes += slice.length
      sent.crc32 = crc32(slice, sent.crc32)
      yield slice
    }
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes <= BODY_BYTES_MAX) parts.push(part)
  }
  return Buffer.concat(parts)
}

function refusalOf(body: Buffer, response: IncomingMessage, what: string): Error {
  try {
    return deserializeError(JSON.parse(body.toString()) as SerializedError)
  } catch {
    return new FlottError('INTERNAL', `${what}: answered with status ${response.statusCode}`)
  }
}

function asTransferError(error: unknown, what: string): FlottError {
  if (isFlottError(error)) return error
  const { code, message } = error as { code?: string; message: string }
  const refused = code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EHOSTUNREACH'
  return new FlottError(refused ? 'CONNECTION_REFUSED' : 'CONNECTION_LOST', `${what}: ${message}`, { cause: error })
}
