/** Request bodies, each with a bound: JSON by size and depth, uploads by size while they stream. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Busboy } from '@fastify/busboy'
import { FlottError } from '#core/errors.js'
import type { SubmitJobRequest } from '#protocol/rest/job-submission.js'

const JSON_BYTES_MAX = 16 * 2 ** 20
const JSON_DEPTH_MAX = 64

/** Parses a JSON text from the network. BAD_REQUEST names what is wrong with it. */
export function parseJson(text: string, what: string): unknown {
  if (text.length > JSON_BYTES_MAX) throw new FlottError('PAYLOAD_TOO_LARGE', `${what} has more than ${JSON_BYTES_MAX} bytes`)
  refuseDepth(text, what)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new FlottError('BAD_REQUEST', `${what} is not JSON: ${(error as Error).message}`)
  }
}

/** Before parsing, since what walks the value later is recursive. */
function refuseDepth(text: string, what: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (inString) {
      if (c === 0x5c) i++
      else if (c === 0x22) inString = false
    } else if (c === 0x22) inString = true
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > JSON_DEPTH_MAX) throw new FlottError('BAD_REQUEST', `${what} is nested more than ${JSON_DEPTH_MAX} deep`)
    } else if (c === 0x7d || c === 0x5d) depth--
  }
}

/** A body that is an object of named values. BAD_REQUEST, PAYLOAD_TOO_LARGE. */
export async function readJsonObject(message: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of message as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > JSON_BYTES_MAX) throw new FlottError('PAYLOAD_TOO_LARGE', `the body has more than ${JSON_BYTES_MAX} bytes`)
    parts.push(part)
  }
  const json = parseJson(Buffer.concat(parts).toString(), 'the body')
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new FlottError('BAD_REQUEST', 'the body must be an object')
  return json as Readonly<Record<string, unknown>>
}

export interface JobUpload {
  readonly request: SubmitJobRequest
  /** The artifact as it arrives. Fails with ARTIFACT_TOO_LARGE, BAD_REQUEST (hash does not match, cut off). */
  readonly artifact: AsyncIterable<Uint8Array>
}

/**
 * Reads a job submission: multipart/form-data, part 'request' (JSON) first, then part 'artifact'. `store` is handed the artifact as a
 * stream and must consume it; what it returns is returned.
 */
export function readJobUpload<T>(message: IncomingMessage, maxBytes: number, store: (upload: JobUpload) => Promise<T>): Promise<T> {
  const declared = Number(message.headers['content-length'] ?? 0)
  if (declared > maxBytes + JSON_BYTES_MAX) {
    throw new FlottError('ARTIFACT_TOO_LARGE', `the body has ${declared} bytes; rest.server.max-content-length is ${maxBytes}`)
  }
  if (!/^multipart\/form-data\b/i.test(message.headers['content-type'] ?? ''))
    throw new FlottError('BAD_REQUEST', 'POST /jobs expects multipart/form-data with the parts request and artifact')
  return new Promise<T>((resolve, reject) => {
    const fail = (error: unknown) => {
      message.unpipe(busboy)
      message.resume()
      reject(error)
    }
    let busboy: Busboy
    let request: SubmitJobRequest | undefined
    let stored: Promise<T> | undefined
    try {
      busboy = new Busboy({
        headers: message.headers as { 'content-type': string },
        limits: { fields: 1, files: 1, fieldSize: JSON_BYTES_MAX, fileSize: maxBytes + 1, parts: 2, headerPairs: 32 },
      })
    } catch (error) {
      return reject(new FlottError('BAD_REQUEST', (error as Error).message))
    }
    busboy.on('field', (name, value, _nameTruncated, valueTruncated) => {
      try {
        if (name !== 'request') throw new FlottError('BAD_REQUEST', `unknown part '${name}'; expects request and artifact`)
        if (valueTruncated) throw new FlottError('PAYLOAD_TOO_LARGE', `part request has more than ${JSON_BYTES_MAX} bytes`)
        request = submitRequestOf(parseJson(value, 'part request'))
      } catch (error) {
        fail(error)
      }
    })
    busboy.on('file', (name, stream) => {
      if (name !== 'artifact' || request === undefined) {
        stream.resume()
        return fail(new FlottError('BAD_REQUEST', 'expects part request first, then part artifact'))
      }
      stored = store({ request, artifact: verified(stream as unknown as AsyncIterable<Uint8Array>, maxBytes, request.artifactSha256) })
      stored.catch(fail).finally(() => stream.resume())
    })
    busboy.on('error', (error) => fail(new FlottError('BAD_REQUEST', `the body is malformed: ${(error as Error).message}`)))
    busboy.on('finish', () => {
      if (stored === undefined) fail(new FlottError('BAD_REQUEST', 'expects part request first, then part artifact'))
      else stored.then(resolve, reject)
    })
    message.on('aborted', () => {
      busboy.destroy()
      fail(new FlottError('BAD_REQUEST', 'the upload was cut off'))
    })
    message.pipe(busboy)
  })
}

async function* verified(stream: AsyncIterable<Uint8Array>, maxBytes: number, sha256: string): AsyncIterable<Uint8Array> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const block of stream) {
    bytes += block.length
    if (bytes > maxBytes)
      throw new FlottError('ARTIFACT_TOO_LARGE', `the artifact has more than ${maxBytes} bytes (rest.server.max-content-length)`)
    hash.update(block)
    yield block
  }
  if (hash.digest('hex') !== sha256) throw new FlottError('BAD_REQUEST', 'the artifact does not match its artifactSha256')
}

function submitRequestOf(json: unknown): SubmitJobRequest {
  const { jobGraph, artifactSha256 } = (typeof json === 'object' && json !== null ? json : {}) as Partial<SubmitJobRequest>
  if (typeof artifactSha256 !== 'string' || !/^[0-9a-f]{64}$/.test(artifactSha256))
    throw new FlottError('BAD_REQUEST', 'artifactSha256 must be 64 hex digits')
  if (typeof jobGraph !== 'object' || jobGraph === null || Array.isArray(jobGraph))
    throw new FlottError('BAD_REQUEST', 'jobGraph must be an object')
  return { jobGraph, artifactSha256 }
}
