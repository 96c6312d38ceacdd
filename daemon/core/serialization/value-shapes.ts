/** The shapes (lists of property names in order) that one stream of values has defined so far, on the writing side. */
export class ShapeTable {
  readonly #shapes: (readonly string[])[] = []
  readonly #indexes = new Map<string, number>()
  #last = -1

  get size(): number {
    return this.#shapes.length
  }
  /** -1 where the stream has not defined it. */
  indexOf(names: readonly string[]): number {
    if (this.#last >= 0 && isSame(this.#shapes[this.#last]!, names)) return this.#last
    const index = this.#indexes.get(keyOf(names))
    if (index === undefined) return -1
    this.#last = index
    return index
  }
  add(names: readonly string[]): void {
    this.#last = this.#shapes.length
    this.#shapes.push(names)
    this.#indexes.set(keyOf(names), this.#last)
  }
  /** Forgets what was added last, until `size` are left. */
  truncate(size: number): void {
    while (this.#shapes.length > size) this.#indexes.delete(keyOf(this.#shapes.pop()!))
    this.#last = -1
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Lengths in front, so that no two lists have one key. */
function keyOf(names: readonly string[]): string {
  let key = ''
  for (const name of names) key += `${name.length}:${name}`
  return key
}
