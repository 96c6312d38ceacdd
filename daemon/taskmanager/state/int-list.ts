/** A growing list of integers outside the collector's reach. */
export class IntList {
  #items = EMPTY
  length = 0

  push(value: number): void {
    if (this.length === this.#items.length) this.#grow()
    this.#items[this.length++] = value
  }
  pop(): number {
    return this.#items[--this.length]!
  }
  at(index: number): number {
    return this.#items[index]!
  }
  clear(): void {
    this.length = 0
    this.#items = EMPTY
  }
  #grow(): void {
    const grown = new Int32Array(Math.max(8, this.#items.length * 2))
    grown.set(this.#items)
    this.#items = grown
  }
}

const EMPTY = new Int32Array(0)
