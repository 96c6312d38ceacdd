import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Epoch, type HighestEpoch, parseEpoch } from '#core/epoch.js'
import { ERRORS, FlottError, isFlottError, serializeError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import { BLOB_PATH, BYTES_HEADER, CRC_HEADER, EPOCH_HEADER, ERROR_TRAILER } from './blob-transfer.js'
import type { InternalEndpoint } from './internal-endpoint.js'
import { PLAIN_HEADER } from './plain-get.js'

/** The receiving side of HttpBlobTransfer: serves a BlobStore on the internal endpoint. */
export class BlobServer {
  /** `store` is asked for each request, so that the leader can serve the replicated store and a standby its own. */
  constructor(
    private readonly options: {
      readonly store: () => BlobStore
      readonly seen: HighestEpoch
      readonly logger: Logger
      /** A JobManager has the epoch on disk before it acknowledges anything under it. */
      readonly persistEpoch?: (epoch: Epoch) => Promise<void>
    },
  ) {}

  attach(endpoint: InternalEndpoint): void {
    endpoint.onRequest(BLOB_PATH, (request, response) => void this.#serve(request, response))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const name = nameOf(request.url!)
      if (request.method === 'PUT') await this.#put(name, request, response)
      else if (request.method === 'GET') await this.#get(name, request, response)
      else throw new FlottError('METHOD_NOT_ALLOWED', `${request.method} on a blob`)
    } catch (error) {
      this.#refuse(request, response, error)
    }
  }

  async #put(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const epoch = epochOf(request)
    if (!this.options.seen.adopt(epoch)) throw new FlottError('NOT_LEADER', `PUT ${name} carries an old epoch`)
    await this.options.persistEpoch?.(epoch)
    const info = await this.options.store().put(name, request)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(info))
  }

  async #get(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const store = this.options.store()
    const info = await store.info(name)
    if (!info) throw new FlottError('BLOB_NOT_FOUND', name)
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      ...(request.headers[PLAIN_HEADER] === undefined ? { trailer: ERROR_TRAILER } : { 'content-length': info.bytes }),
      [BYTES_HEADER]: info.bytes,
      [CRC_HEADER]: info.crc32,
    })
    for await (const block of store.read(name)) {
      if (response.destroyed) return
      if (!response.write(block)) await drained(response)
    }
    response.end()
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (response.destroyed) return void this.options.logger.debug('blob transfer was broken off', { url: request.url, error })
    const failure = isFlottError(error) ? error : new FlottError('INTERNAL', 'blob transfer failed', { cause: error })
    this.options.logger.warn('blob transfer failed', { url: request.url, error: failure })
    const { stack: _, ...json } = serializeError(failure)
    if (response.headersSent) {
      if (request.headers[PLAIN_HEADER] !== undefined) return void response.destroy()
      response.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify(json)) })
      return void response.end()
    }
    response.writeHead(ERRORS[failure.code].http, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    request.resume() // The writer stops when it has read the refusal. Closing here could reset the connection before it has.
  }
}

/** Or closed. */
function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const over = () => {
      response.off('drain', over)
      response.off('close', over)
      resolve()
    }
    response.on('drain', over)
    response.on('close', over)
  })
}

function nameOf(url: string): string {
  try {
    const name = decodeURIComponent(url.slice(BLOB_PATH.length + 1))
    if (name !== '') return name
  } catch {}
  throw new FlottError('BAD_REQUEST', `no blob is named by ${url}`)
}

function epochOf(request: IncomingMessage): ReturnType<typeof parseEpoch> {
  try {
    return parseEpoch(String(request.headers[EPOCH_HEADER]))
  } catch (cause) {
    throw new FlottError('BAD_REQUEST', 'a PUT without epoch', { cause })
  }
}
