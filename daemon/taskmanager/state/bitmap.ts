/**
 * A set of indices, a bit each: a thirty-second of a list's bytes where most are in it, and whoever reads it goes through the tables in
 * the order in which they lie in memory.
 */
export class Bitmap {
  words = EMPTY
  /** How many times an index was added. */
  count = 0

  add(index: number): void {
    const word = index >>> 5
    if (word >= this.words.length) this.#grow(word)
    this.words[word]! |= 1 << (index & 31)
    this.count++
  }
  /** Above all indices in it. */
  get length(): number {
    return 32 * this.words.length
  }
  #grow(word: number): void {
    const grown = new Int32Array(Math.max(word + 1, this.words.length * 2))
    grown.set(this.words)
    this.words = grown
  }
}

const EMPTY = new Int32Array(0)
