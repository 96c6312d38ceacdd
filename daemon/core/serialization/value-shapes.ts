/** Up to so many shapes are compared one by one. */
const FEW = 8

/** The shapes (lists of property names in order) that one stream of values has defined so far, on the writing side. */
export class ShapeTable {
  readonly #shapes: (readonly string[])[] = []
  /** Made once there are more than a few. */
  #indexes: Map<string, number> | undefined
  #last = 0

  get size(): number {
    return this.#shapes.length
  }
  /** -1 where the stream has not defined it. */
  indexOf(names: readonly string[]): number {
    const last = this.#shapes[this.#last]
    if (last && isSame(last, names)) return this.#last
    const index = this.#indexes ? (this.#indexes.get(keyOf(names)) ?? -1) : this.#shapes.findIndex((shape) => isSame(shape, names))
    if (index >= 0) this.#last = index
    return index
  }
  add(names: readonly string[]): void {
    this.#last = this.#shapes.length
    this.#shapes.push(names)
    if (this.#indexes) this.#indexes.set(keyOf(names), this.#last)
    else if (this.#shapes.length > FEW) this.#indexes = new Map(this.#shapes.map((shape, index) => [keyOf(shape), index]))
  }
  /** Forgets what was added last, until `size` are left. */
  truncate(size: number): void {
    if (this.#shapes.length === size) return
    this.#shapes.length = size
    this.#last = 0
    this.#indexes = size > FEW ? new Map(this.#shapes.map((shape, index) => [keyOf(shape), index])) : undefined
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
