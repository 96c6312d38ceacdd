import { Packr } from 'msgpackr'
import { FlottError } from '#core/errors.js'
import type { RpcMessage } from './peer-connection.js'

/**
 * MessagePack with JavaScript's own types kept: undefined, BigInt, Map, Set, Date, typed arrays. Each message stands alone (records are
 * defined inside it), so either end may be restarted.
 */
const packr = new Packr({ structuredClone: true })

/** Plain data only: a function or symbol in the message makes it throw. PAYLOAD_TOO_LARGE above `bytesMax`. */
export function encodeMessage(message: RpcMessage, bytesMax: number): Uint8Array {
  const bytes = packr.pack(message)
  if (bytes.length > bytesMax) throw new FlottError('PAYLOAD_TOO_LARGE', `a message of ${bytes.length} bytes; ${bytesMax} are allowed`)
  return bytes
}

/** Throws on what is no MessagePack. The shape is checked by who takes it. */
export function decodeMessage(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}
