export const BLOCK_BYTES = 64 * 1024

/** Cuts pieces of any size into blocks of 64 KiB. Blocks may alias the pieces: use them before the piece's owner does. */
export class BlockCutter {
  #held: Uint8Array[] = []
  #heldBytes = 0

  /** What is left over, fewer than a block; afterwards nothing is. */
  rest(): Uint8Array {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    return held.length === 1 ? held[0]! : Buffer.concat(held)
  }

  *add(piece: Uint8Array): Iterable<Uint8Array> {
    let from = 0
    while (this.#heldBytes + piece.byteLength - from >= BLOCK_BYTES) {
      const to = from + BLOCK_BYTES - this.#heldBytes
      const part = piece.subarray(from, to)
      from = to
      if (this.#heldBytes === 0) yield part
      else {
        this.#held.push(part)
        yield this.rest()
      }
    }
    if (from < piece.byteLength) {
      this.#held.push(Uint8Array.prototype.slice.call(piece, from)) // A copy: the source may reuse its buffer.
      this.#heldBytes += piece.byteLength - from
    }
  }
}
