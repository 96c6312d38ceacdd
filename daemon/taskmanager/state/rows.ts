/** Entries on their way from a table into a block. */
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
  get isFull(): boolean {
    return this.count === this.capacity
  }
  add(hash: number, key: unknown, value: unknown): void {
    const at = this.count++
    this.hashes[at] = hash
    this.keys[at] = key
    this.values[at] = value
  }
  /** What it holds, to be read once: its arrays are cut to their lengths. */
  columns(): { readonly hashes: Int32Array; readonly keys: readonly unknown[]; readonly values: readonly unknown[] } {
    this.keys.length = this.count
    this.values.length = this.count
    return { hashes: this.hashes.subarray(0, this.count), keys: this.keys, values: this.values }
  }
}
