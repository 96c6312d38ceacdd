/** What enters state must not hold on to what it came from, and what a snapshot keeps must not change with what it was taken from. */

/**
 * A string of 13 characters or more may be a slice of a frame's whole string heap, and would pin it: its characters are copied.
 * Records never change by contract; giving a field an equal string is no change.
 */
export function retained(value: unknown, depth = 4): unknown {
  if (typeof value === 'string') return value.length < 13 ? value : ` ${value}`.slice(1)
  if (typeof value !== 'object' || value === null || depth === 0) return value
  // biome-ignore lint/suspicious/noProto: compiled to a constant for records of one shape; Object.getPrototypeOf is a call.
  if ((value as { __proto__: unknown }).__proto__ === Object.prototype) retainFields(value as Record<string, unknown>, depth)
  else if (Array.isArray(value)) retainItems(value, depth)
  return value
}

function retainFields(value: Record<string, unknown>, depth: number): void {
  for (const field in value) {
    const part = value[field]
    if (typeof part === 'string') {
      if (part.length >= 13 && !Object.isFrozen(value)) value[field] = ` ${part}`.slice(1)
    } else if (typeof part === 'object') retained(part, depth - 1)
  }
}

function retainItems(value: unknown[], depth: number): void {
  for (let i = 0; i < value.length; i++) {
    const part = value[i]
    if (typeof part === 'string') {
      if (part.length >= 13 && !Object.isFrozen(value)) value[i] = ` ${part}`.slice(1)
    } else if (typeof part === 'object') retained(part, depth - 1)
  }
}

/** The value as it is now, whatever is done to the original later. */
export function deepCopy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(deepCopy)
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>()
    for (const [key, part] of value) copy.set(deepCopy(key), deepCopy(part))
    return copy
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return isCloneable(value) ? structuredClone(value) : value
  const copy = { ...value } as Record<string, unknown>
  if (prototype === null) Object.setPrototypeOf(copy, null)
  for (const field in copy) {
    const part = copy[field]
    if (typeof part === 'object' && part !== null) copy[field] = deepCopy(part)
  }
  return copy
}

/** An instance of any other class is left to the encoder, which refuses it. */
function isCloneable(value: object): boolean {
  return value instanceof Set || value instanceof Date || ArrayBuffer.isView(value) || value instanceof ArrayBuffer
}
