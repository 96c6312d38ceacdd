/**
 * A piece of a frame that is larger than a slot. u8 kind | 3 unused bytes | u32 bytes that the whole frame still has from here on,
 * these included | bytes. The pieces of a frame follow each other; the last one is the one that holds all that is left.
 */
import { FrameKind } from './frame.js'

export const FRAGMENT_HEADER_BYTES = 8

/** Cuts a frame into fragment frames of at most `frameBytes`. */
export function* encodeFragments(frame: Uint8Array, frameBytes: number): Generator<Buffer> {
  const room = frameBytes - FRAGMENT_HEADER_BYTES
  for (let at = 0; at < frame.length; at += room) {
    const piece = frame.subarray(at, at + room)
    const fragment = Buffer.alloc(FRAGMENT_HEADER_BYTES + piece.length)
    fragment[0] = FrameKind.Fragment
    fragment.writeUInt32LE(frame.length - at, 4)
    fragment.set(piece, FRAGMENT_HEADER_BYTES)
    yield fragment
  }
}

/** Puts the fragments of one channel together again. */
export class FragmentAssembler {
  #whole: Buffer | undefined
  #length = 0

  constructor(private readonly bytesMax: number) {}
  get isEmpty(): boolean {
    return this.#whole === undefined
  }
  /** The whole frame with its last fragment, undefined before. Throws where fragments do not follow each other, or pass the bound. */
  add(fragment: Uint8Array): Buffer | undefined {
    const rest = new DataView(fragment.buffer, fragment.byteOffset).getUint32(4, true)
    const piece = fragment.subarray(FRAGMENT_HEADER_BYTES)
    if (!this.#whole) {
      if (rest > this.bytesMax) throw new RangeError(`a frame of ${rest} bytes: more than ${this.bytesMax}`)
      this.#whole = Buffer.allocUnsafeSlow(rest)
      this.#length = 0
    }
    if (this.#whole.length - this.#length !== rest || piece.length > rest) throw new Error('a fragment is missing')
    this.#whole.set(piece, this.#length)
    this.#length += piece.length
    if (this.#length < this.#whole.length) return undefined
    const whole = this.#whole
    this.#whole = undefined
    return whole
  }
}
