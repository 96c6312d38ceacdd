/**
 * Gets whole blobs over connections of its own, read straight into the memory that they stay in. The client of Node.js reads into small
 * buffers, parses and leaves the copying to us, for twice the processor time. This speaks the part of HTTP/1.1 with which our own server
 * answers PLAIN_HEADER: a status line, headers, as many bytes as they announce.
 *
 * A connection is in its head, in a body or idle; it closes after anything but a whole answer with status 200 and the right checksum. Then
 * there is no blob, and whoever asked asks in the ordinary way, which tells what is wrong.
 */
import { connect, type Socket } from 'node:net'
import { crc32 } from 'node:zlib'
import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { StallWatch } from './stall-watch.js'

/** In a request: the answer has a length and no trailer; where it can not be completed, the connection is closed. */
export const PLAIN_HEADER = 'x-flott-plain'
const HEAD_BYTES_MAX = 4_096
/** What is larger is nothing to be held in memory. */
const BODY_BYTES_MAX = 2 ** 31
const IDLE_MAX = 8

export interface PlainBlob {
  readonly content: Uint8Array
  readonly crc32: number
}

export class PlainGet {
  readonly #idle = new Map<string, PlainConnection[]>()
  readonly #busy = new Set<PlainConnection>()
  #stopped = false

  constructor(private readonly options: { readonly clock: Clock; readonly stallMs: number; readonly crcHeader: string }) {}

  /** Undefined: to be asked for in the ordinary way. RPC_TIMEOUT after `stallMs` without a byte; CONNECTION_LOST when it is stopped. */
  async get(address: string, path: string): Promise<PlainBlob | undefined> {
    const { clock, stallMs, crcHeader } = this.options
    const connection = this.#takeIdle(address) ?? new PlainConnection(address, crcHeader)
    const stall = new StallWatch(clock, stallMs, () => connection.close('stalled'))
    this.#busy.add(connection)
    const outcome = await connection.get(path, () => stall.progress())
    this.#busy.delete(connection)
    stall.stop()
    if (outcome === 'stalled') throw new FlottError('RPC_TIMEOUT', `GET ${path} from ${address}: nothing moved for ${stallMs} ms`)
    if (outcome === 'stopped') throw new FlottError('CONNECTION_LOST', `GET ${path} from ${address}: transfers are stopped`)
    if (outcome) this.#keep(address, connection)
    return outcome
  }
  #takeIdle(address: string): PlainConnection | undefined {
    const open = (this.#idle.get(address) ?? []).filter(({ isOpen }) => isOpen)
    const connection = open.pop()
    if (open.length > 0) this.#idle.set(address, open)
    else this.#idle.delete(address)
    return connection
  }
  #keep(address: string, connection: PlainConnection): void {
    const idle = this.#idle.get(address) ?? []
    if (this.#stopped || idle.length >= IDLE_MAX) connection.close()
    else if (connection.isOpen) this.#idle.set(address, [...idle, connection])
  }
  stop(): void {
    this.#stopped = true
    for (const connection of [...this.#idle.values()].flat()) connection.close()
    this.#idle.clear()
    for (const connection of this.#busy) connection.close('stopped')
  }
}

/** Why a connection was closed from here. */
type Ended = 'stalled' | 'stopped'

interface Body {
  readonly content: Uint8Array
  readonly crc32: number
  received: number
  sum: number
}

class PlainConnection {
  readonly #socket: Socket
  readonly #head = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX)
  #headBytes = 0
  #body: Body | undefined
  #answered: ((outcome: PlainBlob | Ended | undefined) => void) | undefined
  #progress: () => void = () => {}
  isOpen = true

  constructor(
    private readonly address: string,
    private readonly crcHeader: string,
  ) {
    const { hostname, port } = new URL(`http://${address}`)
    this.#socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 80),
      noDelay: true,
      // Asked before each read.
      onread: {
        buffer: () => (this.#body ? this.#body.content.subarray(this.#body.received) : this.#head.subarray(this.#headBytes)),
        callback: (count) => this.#received(count),
      },
    })
    this.#socket.on('error', () => {}) // 'close' follows.
    this.#socket.on('end', () => this.close())
    this.#socket.on('close', () => this.close())
  }

  get(path: string, onProgress: () => void): Promise<PlainBlob | Ended | undefined> {
    return new Promise((resolve) => {
      if (!this.isOpen) return resolve(undefined)
      this.#answered = resolve
      this.#progress = onProgress
      this.#socket.ref()
      this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${this.address}\r\n${PLAIN_HEADER}: 1\r\n\r\n`)
    })
  }
  close(reason?: Ended): void {
    this.isOpen = false
    this.#socket.destroy()
    this.#settle(reason)
  }
  #settle(outcome: PlainBlob | Ended | undefined): void {
    const answered = this.#answered
    this.#answered = undefined
    this.#body = undefined
    this.#headBytes = 0
    answered?.(outcome)
  }

  #received(count: number): boolean {
    if (!this.#answered)
      this.close() // Nobody has asked.
    else if (this.#body) this.#arrived(this.#body, count)
    else {
      this.#headBytes += count
      this.#readHead()
    }
    return this.isOpen
  }
  #readHead(): void {
    const read = this.#head.subarray(0, this.#headBytes)
    const end = read.indexOf('\r\n\r\n')
    if (end < 0) {
      if (this.#headBytes === HEAD_BYTES_MAX) this.close()
      return
    }
    const [status = '', ...lines] = read.toString('latin1', 0, end).toLowerCase().split('\r\n')
    const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
    const length = Number(headers.get('content-length') ?? Number.NaN)
    const sum = Number(headers.get(this.crcHeader) ?? Number.NaN)
    const begun = read.subarray(end + 4)
    if (!status.startsWith('http/1.1 200 ') || !(length <= BODY_BYTES_MAX) || Number.isNaN(sum) || begun.length > length) {
      this.close()
      return
    }
    const body: Body = { content: new Uint8Array(length), crc32: sum, received: 0, sum: 0 }
    body.content.set(begun)
    this.#body = body
    this.#arrived(body, begun.length)
  }
  #arrived(body: Body, count: number): void {
    this.#progress()
    body.sum = crc32(body.content.subarray(body.received, body.received + count), body.sum)
    body.received += count
    if (body.received < body.content.length) return
    if (body.sum === body.crc32) {
      this.#socket.unref()
      this.#settle({ content: body.content, crc32: body.sum })
    } else this.close()
  }
}
