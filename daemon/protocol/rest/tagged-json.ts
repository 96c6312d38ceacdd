/**
 * JSON for values that JSON has no word for: undefined, NaN, ±Infinity, -0, bigint, Date, Map, Set, bytes. They become
 * `{"$": kind, "v": …}`; an object that has a key '$' itself is escaped the same way, so every value comes back as it was.
 */
export function toTaggedJson(value: unknown): unknown {
  switch (typeof value) {
    case 'undefined':
      return { $: 'undefined' }
    case 'bigint':
      return { $: 'bigint', v: String(value) }
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $: 'number', v: Object.is(value, -0) ? '-0' : String(value) }
    case 'object':
      return value === null ? null : objectToTagged(value)
    default:
      return value
  }
}

function objectToTagged(value: object): unknown {
  if (Array.isArray(value)) return value.map(toTaggedJson)
  if (value instanceof Date) return { $: 'date', v: value.getTime() }
  if (value instanceof Map) return { $: 'map', v: [...value].map(([k, v]) => [toTaggedJson(k), toTaggedJson(v)]) }
  if (value instanceof Set) return { $: 'set', v: [...value].map(toTaggedJson) }
  if (value instanceof Uint8Array) return { $: 'bytes', v: Buffer.from(value).toString('base64') }
  const entries = Object.entries(value).map(([key, v]) => [key, toTaggedJson(v)])
  return Object.hasOwn(value, '$') ? { $: 'object', v: entries } : Object.fromEntries(entries)
}

export function fromTaggedJson(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return json.map(fromTaggedJson)
  if (!Object.hasOwn(json, '$')) return Object.fromEntries(Object.entries(json).map(([key, v]) => [key, fromTaggedJson(v)]))
  const { $: kind, v } = json as { $: string; v: never }
  switch (kind) {
    case 'undefined':
      return undefined
    case 'bigint':
      return BigInt(v)
    case 'number':
      return Number(v)
    case 'date':
      return new Date(v)
    case 'map':
      return new Map((v as [unknown, unknown][]).map(([key, value]) => [fromTaggedJson(key), fromTaggedJson(value)]))
    case 'set':
      return new Set((v as unknown[]).map(fromTaggedJson))
    case 'bytes':
      return new Uint8Array(Buffer.from(v, 'base64'))
    case 'object':
      return Object.fromEntries((v as [string, unknown][]).map(([key, value]) => [key, fromTaggedJson(value)]))
    default:
      throw new Error(`unknown tag '${kind}'`)
  }
}
