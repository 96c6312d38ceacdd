/**
 * What travels between two TaskManagers. Little-endian; each message is u32 length (of what follows) | u8 type | body:
 *   consumer -> producer
 *     1 HELLO    u32 magic | u8 version | utf8 TaskManager id; once, first
 *     2 OPEN     u32 channel | u32 received | u32 limit | utf8 channel key; `channel` is the consumer's number, never used twice
 *     3 CREDIT   u32 channel | u32 received | u32 limit
 *     4 CLOSE    u32 channel; it has everything, or wants nothing more
 *   producer -> consumer
 *     16 FRAME   u32 channel | u32 sequence | the frame's bytes
 *     17 END     u32 channel | u32 sequence; no frame from this sequence on will come
 *     18 BROKEN  u32 channel | utf8 reason; the producer is gone before its end
 * A channel's key names its edge and both attempts, so that a channel number stands for one attempt of the producer. Sequences are the
 * frame numbers of the ring, modulo 2^32. `received`: all frames below arrived in the consumer's ring, the producer may forget them.
 * `limit`: frames below may be sent. Both are absolute, so that saying them again after a reconnect changes nothing.
 */
export const VERSION = 1
export const HELLO = 1
export const OPEN = 2
export const CREDIT = 3
export const CLOSE = 4
export const FRAME = 16
export const END = 17
export const BROKEN = 18
export const FRAME_HEADER_BYTES = 13
const MAGIC = 0x544f4c46 // 'FLOT'
const LENGTH_BYTES = 4
/** Of any message but FRAME. */
const BODY_BYTES_MAX = 64 * 1024

function message(type: number, fixedBytes: number, text = ''): Buffer {
  const textBytes = Buffer.byteLength(text)
  const bytes = Buffer.alloc(LENGTH_BYTES + 1 + fixedBytes + textBytes)
  bytes.writeUInt32LE(1 + fixedBytes + textBytes, 0)
  bytes.writeUInt8(type, LENGTH_BYTES)
  bytes.write(text, LENGTH_BYTES + 1 + fixedBytes)
  return bytes
}

export function encodeHello(taskManagerId: string): Buffer {
  const bytes = message(HELLO, 5, taskManagerId)
  bytes.writeUInt32LE(MAGIC, 5)
  bytes.writeUInt8(VERSION, 9)
  return bytes
}
/** Throws when the peer is no TaskManager, or one of another version. */
export function decodeHello(body: Buffer): string {
  if (body.length < 5 || body.readUInt32LE(0) !== MAGIC) throw new Error('the peer is no TaskManager')
  if (body[4] !== VERSION) throw new Error(`the peer speaks version ${body[4]}, not ${VERSION}`)
  return body.toString('utf8', 5)
}

export interface Credit {
  readonly channel: number
  readonly received: number
  readonly limit: number
}
export function encodeOpen({ channel, received, limit }: Credit, key: string): Buffer {
  return withNumbers(message(OPEN, 12, key), channel, received, limit)
}
export function decodeOpen(body: Buffer): Credit & { readonly key: string } {
  return { ...decodeCredit(body), key: body.toString('utf8', 12) }
}
export function encodeCredit({ channel, received, limit }: Credit): Buffer {
  return withNumbers(message(CREDIT, 12), channel, received, limit)
}
export function decodeCredit(body: Buffer): Credit {
  return { channel: body.readUInt32LE(0), received: body.readUInt32LE(4), limit: body.readUInt32LE(8) }
}
export function encodeClose(channel: number): Buffer {
  return withNumbers(message(CLOSE, 4), channel)
}
export function encodeEnd(channel: number, sequence: number): Buffer {
  return withNumbers(message(END, 8), channel, sequence)
}
export function encodeBroken(channel: number, reason: string): Buffer {
  return withNumbers(message(BROKEN, 4, reason.slice(0, 1_000)), channel)
}
function withNumbers(bytes: Buffer, ...numbers: readonly number[]): Buffer {
  numbers.forEach((n, i) => {
    bytes.writeUInt32LE(n, LENGTH_BYTES + 1 + 4 * i)
  })
  return bytes
}

/** The header of a FRAME; its `frameBytes` bytes follow. */
export function encodeFrameHeader(channel: number, sequence: number, frameBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  bytes.writeUInt32LE(FRAME_HEADER_BYTES - LENGTH_BYTES + frameBytes, 0)
  bytes.writeUInt8(FRAME, 4)
  bytes.writeUInt32LE(channel, 5)
  bytes.writeUInt32LE(sequence, 9)
  return bytes
}

export interface MessageHandler {
  /** Where the frame's bytes go, `frameBytes` long; undefined: nowhere. Throws to end the connection. */
  beginFrame(channel: number, sequence: number, frameBytes: number): Buffer | undefined
  /** All bytes of the frame are where beginFrame said. */
  endFrame(channel: number): void
  message(type: number, body: Buffer): void
}

/** Cuts a stream of bytes into messages. Frames are copied as they come straight to where they belong, whatever pieces they come in. */
export class MessageReader {
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerBytes = 0
  #target: Buffer | undefined
  #at = 0
  #left = -1 // Body bytes still to come; -1 while a header is read.
  #frameChannel = -1 // -1: the body is no frame's.

  constructor(private readonly handler: MessageHandler) {}

  /** Throws on what is no message. `bytes` may be overwritten after it returned. */
  read(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length || this.#left === 0) at += this.#left < 0 ? this.#readHeader(bytes, at) : this.#readBody(bytes, at)
  }

  #readHeader(bytes: Uint8Array, at: number): number {
    const header = this.#header
    // Length and type first, since only a FRAME has the rest.
    const wanted = this.#headerBytes >= LENGTH_BYTES + 1 && header[LENGTH_BYTES] === FRAME ? FRAME_HEADER_BYTES : LENGTH_BYTES + 1
    const taken = Math.min(wanted - this.#headerBytes, bytes.length - at)
    header.set(bytes.subarray(at, at + taken), this.#headerBytes)
    this.#headerBytes += taken
    if (this.#headerBytes < wanted) return taken
    const length = header.readUInt32LE(0)
    if (header[LENGTH_BYTES] !== FRAME) this.#beginBody(length - 1)
    else if (wanted === FRAME_HEADER_BYTES) this.#beginFrame(length - (FRAME_HEADER_BYTES - LENGTH_BYTES))
    return taken
  }
  #beginBody(length: number): void {
    if (length < 0 || length > BODY_BYTES_MAX) throw new Error(`a message of ${length} bytes`)
    this.#frameChannel = -1
    this.#target = Buffer.alloc(length)
    this.#at = 0
    this.#left = length
  }
  #beginFrame(length: number): void {
    if (length < 0) throw new Error('a frame shorter than its header')
    this.#frameChannel = this.#header.readUInt32LE(5)
    this.#target = this.handler.beginFrame(this.#frameChannel, this.#header.readUInt32LE(9), length)
    this.#at = 0
    this.#left = length
  }
  #readBody(bytes: Uint8Array, at: number): number {
    const taken = Math.min(this.#left, bytes.length - at)
    this.#target?.set(bytes.subarray(at, at + taken), this.#at)
    this.#at += taken
    this.#left -= taken
    if (this.#left === 0) this.#end()
    return taken
  }
  #end(): void {
    const target = this.#target
    const channel = this.#frameChannel
    const type = this.#header[LENGTH_BYTES]!
    this.#left = -1
    this.#headerBytes = 0
    this.#target = undefined
    if (channel < 0) this.handler.message(type, target!)
    else if (target) this.handler.endFrame(channel)
  }
}
