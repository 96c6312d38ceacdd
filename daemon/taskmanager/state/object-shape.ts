/** Plain objects with the same names in the same order, taken apart into a column a name and put together again by compiled code. */
import { propertyKey } from '#core/serialization/value-codec.js'

export interface ObjectShape {
  /** Undefined where one of them is another kind of thing. */
  split(items: readonly unknown[], count: number): unknown[][] | undefined
  join(columns: readonly (readonly unknown[])[], count: number): object[]
}

const SHAPES_MAX = 256
const shapes = new Map<string, ObjectShape>()

export function shapeOf(names: readonly string[]): ObjectShape {
  const id = JSON.stringify(names)
  const known = shapes.get(id)
  if (known !== undefined) return known
  if (shapes.size >= SHAPES_MAX) shapes.clear()
  const shape = compile(names)
  shapes.set(id, shape)
  return shape
}

/**
 * `for in` over a shape that the engine knows only compares pointers, and `__proto__` is compiled to a constant, where Object.keys and
 * Object.getPrototypeOf are calls.
 */
function compile(names: readonly string[]): ObjectShape {
  const checks = names.map((name, i) => `case ${i}: if (name !== ${JSON.stringify(name)}) return undefined; break`)
  const columns = names.map((_, i) => `c${i} = new Array(count)`).join(', ')
  const reads = names.map((name, i) => `c${i}[i] = item[${JSON.stringify(name)}]`).join('\n')
  const fields = names.map((name, i) => `${propertyKey(name)}: columns[${i}][i]`).join(', ')
  const source = `
    const plain = Object.prototype
    function split(items, count) {
      const ${columns}
      for (let i = 0; i < count; i++) {
        const item = items[i]
        if (typeof item !== 'object' || item === null || item.__proto__ !== plain) return undefined
        let at = 0
        for (const name in item) { switch (at++) { ${checks.join('\n')}\ndefault: return undefined } }
        if (at !== ${names.length}) return undefined
        ${reads}
      }
      return [${names.map((_, i) => `c${i}`).join(', ')}]
    }
    function join(columns, count) {
      const items = new Array(count)
      for (let i = 0; i < count; i++) items[i] = { ${fields} }
      return items
    }
    return { split, join }`
  return new Function(source)() as ObjectShape
}
