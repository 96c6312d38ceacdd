/** Bytes that grow at their end. Reset and written again they cost no allocation, which is what most of them are for. */
export class ByteSink {
  /** Replaced when they grow: read it after `take`. */
  bytes: Buffer<ArrayBuffer>
  length = 0

  constructor(capacity = 1_024) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }
  /** Room for so many more bytes, of any content; returns where they begin. */
  take(count: number): number {
    const at = this.length
    if (at + count > this.bytes.length) this.#grow(at + count)
    this.length = at + count
    return at
  }
  appendByte(byte: number): void {
    const at = this.take(1)
    this.bytes[at] = byte
  }
  append(bytes: Uint8Array): void {
    const at = this.take(bytes.length)
    this.bytes.set(bytes, at)
  }
  /** A copy of the first bytes in a buffer of its own. */
  copy(length: number): Buffer<ArrayBuffer> {
    const copy = Buffer.allocUnsafeSlow(length)
    this.bytes.copy(copy, 0, 0, length)
    return copy
  }
  #grow(length: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, length))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}
