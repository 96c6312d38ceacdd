/** Entries on their way from a table into a block; used again and again. */
export class Rows {
  readonly hashes: Int32Array
  readonly keys: unknown[]
  readonly values: unknown[]
  count = 0

  constructor(readonly capacity: number) {
    this.hashes = new Int32Array(capacity)
    this.keys = new Array(capacity)
    this.values = new Array(capacity)
  }
  get room(): number {
    return this.capacity - this.count
  }
  add(hash: number, key: unknown, value: unknown): void {
    const at = this.count++
    this.hashes[at] = hash
    this.keys[at] = key
    this.values[at] = value
  }
}
