import { TYPED_ARRAYS, VALUE_DEPTH_MAX } from './value-tags.js'

/** Says which part of a value keeps it from being encoded: 'items[3].price is a function'. For error messages only: it is slow. */
export function pathOfUnserializable(value: unknown): string {
  return find(value, '', 0) ?? 'the value changed while it was encoded'
}

function find(value: unknown, path: string, depth: number): string | undefined {
  const what = path === '' ? 'the value' : path.replace(/^\./, '')
  if (typeof value === 'function') return `${what} is a function`
  if (typeof value === 'symbol') return `${what} is a symbol`
  if (typeof value !== 'object' || value === null) return undefined
  if (depth >= VALUE_DEPTH_MAX) return `${what.slice(0, 60)}… nests deeper than ${VALUE_DEPTH_MAX} levels, or contains itself`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value) && prototype === Array.prototype) return findIn(value.entries(), (i) => `${path}[${i}]`, depth)
  if (prototype === Object.prototype || prototype === null) return findIn(Object.entries(value), (name) => `${path}.${name}`, depth)
  if (prototype === Map.prototype) {
    const map = value as Map<unknown, unknown>
    return (
      findIn(map.entries(), (k) => `${path}.get(${String(k)})`, depth) ?? findIn([...map.keys()].map(pair), () => `${path}.keys()`, depth)
    )
  }
  if (prototype === Set.prototype) return findIn([...(value as Set<unknown>)].map(pair), () => `${path}.values()`, depth)
  if (prototype === Date.prototype || prototype === ArrayBuffer.prototype) return undefined
  if (TYPED_ARRAYS.some((type) => prototype === type.prototype)) return undefined
  return `${what} is an instance of ${nameOf(prototype)}: only plain objects can be sent, since its methods and private fields would be lost`
}

function findIn<K>(entries: Iterable<readonly [K, unknown]>, pathOf: (key: K) => string, depth: number): string | undefined {
  for (const [key, item] of entries) {
    const found = find(item, pathOf(key), depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

function pair(item: unknown): readonly [undefined, unknown] {
  return [undefined, item]
}

function nameOf(prototype: unknown): string {
  const made: unknown = (prototype as { constructor?: unknown }).constructor
  return (typeof made === 'function' && made.name) || 'a class'
}
