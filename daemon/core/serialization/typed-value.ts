/** Values of types that are not plain (`types.custom`), as plain values that the value codec can encode, and back. */
import { FlottError } from '../errors.js'
import type { TypeSpec } from './declared-types.js'

/** Whether values of the type may be anything but plain. Where it is false, toPlain and fromPlain are not needed. */
export function hasCustom(type: TypeSpec): boolean {
  switch (type.kind) {
    case 'custom':
      return true
    case 'array':
      return hasCustom(type.item)
    case 'nullable':
      return hasCustom(type.of)
    case 'map':
      return hasCustom(type.key) || hasCustom(type.value)
    case 'row':
      return Object.values(type.fields).some(hasCustom)
    case 'union':
      return type.members.some(hasCustom)
    default:
      return false
  }
}

/** Custom parts become [version, bytes]. INVALID_ARGUMENT for a union with a custom member: its values can not be told apart. */
export function toPlain(type: TypeSpec, value: unknown): unknown {
  return convert(type, value, (codec, part) => [codec.version, codec.encode(part)])
}
export function fromPlain(type: TypeSpec, value: unknown): unknown {
  return convert(type, value, (codec, part) => {
    const [version, bytes] = part as [number, Uint8Array]
    return codec.decode(bytes, version)
  })
}

type Custom = { readonly version: number; encode(value: unknown): Uint8Array; decode(bytes: Uint8Array, version: number): unknown }

function convert(type: TypeSpec, value: unknown, custom: (codec: Custom, part: unknown) => unknown): unknown {
  if (value === undefined || !hasCustom(type)) return value
  switch (type.kind) {
    case 'custom':
      return custom(type.codec as unknown as Custom, value)
    case 'nullable':
      return value === null ? null : convert(type.of, value, custom)
    case 'array':
      return (value as readonly unknown[]).map((item) => convert(type.item, item, custom))
    case 'map':
      return new Map([...(value as Map<unknown, unknown>)].map(([k, v]) => [convert(type.key, k, custom), convert(type.value, v, custom)]))
    case 'row': {
      const row = { ...(value as Record<string, unknown>) }
      for (const [name, field] of Object.entries(type.fields)) if (name in row) row[name] = convert(field, row[name], custom)
      return row
    }
    default:
      throw new FlottError('INVALID_ARGUMENT', 'a union can not have a custom type as a member')
  }
}
