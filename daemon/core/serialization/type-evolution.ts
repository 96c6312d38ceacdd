/**
 * What is stored was written under the type that was declared then. A type's description is stored beside the values; on restore it is
 * compared with the type that is declared now, which may read it as it is, through `migratedFrom`, or not at all.
 */
import type { TypeSpec } from './declared-types.js'

/** A type as plain JSON. Field order counts for nothing. */
export type TypeDescription =
  | { readonly kind: string }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'array' | 'nullable'; readonly item: TypeDescription }
  | { readonly kind: 'map'; readonly key: TypeDescription; readonly value: TypeDescription }
  | { readonly kind: 'row'; readonly fields: Readonly<Record<string, TypeDescription & { readonly isOptional?: true }>> }
  | { readonly kind: 'union'; readonly members: readonly TypeDescription[] }
  | { readonly kind: 'custom'; readonly name: string; readonly version: number }

export function describeType(type: TypeSpec): TypeDescription {
  switch (type.kind) {
    case 'enum':
      return { kind: 'enum', values: [...type.values] }
    case 'array':
      return { kind: 'array', item: describeType(type.item) }
    case 'nullable':
      return { kind: 'nullable', item: describeType(type.of) }
    case 'map':
      return { kind: 'map', key: describeType(type.key), value: describeType(type.value) }
    case 'union':
      return { kind: 'union', members: type.members.map(describeType) }
    case 'custom':
      return { kind: 'custom', name: type.codec.name, version: type.codec.version }
    case 'row': {
      const fields = Object.entries(type.fields).map(([name, field]) => {
        return [name, { ...describeType(field), ...(field.isOptional ? { isOptional: true } : {}) }]
      })
      return { kind: 'row', fields: Object.fromEntries(fields) }
    }
    default:
      return { kind: type.kind }
  }
}

/**
 * Why values of the stored type can not be read as the declared one, as a path and a reason; undefined when they can. Widening is
 * allowed: a new optional field, null, more enum values or union members, int to number, a dropped field; a custom type of any version.
 */
export function incompatibilityOf(stored: TypeDescription, type: TypeSpec): string | undefined {
  return compare(stored, describeType(type), '')
}

interface Described {
  readonly kind: string
  readonly isOptional?: true
  readonly name?: string
  readonly values?: readonly string[]
  readonly item?: Described
  readonly key?: Described
  readonly value?: Described
  readonly members?: readonly Described[]
  readonly fields?: Readonly<Record<string, Described>>
}
const NUMBERS = ['int', 'number', 'timestamp']

function compare(stored: Described, now: Described, path: string): string | undefined {
  const at = path === '' ? '' : `${path}: `
  const differ = `${at}stored as ${stored.kind}, declared as ${now.kind}`
  if (now.kind === 'union' && stored.kind !== 'union')
    return now.members!.some((member) => compare(stored, member, path) === undefined) ? undefined : differ
  if (now.kind === 'nullable' && stored.kind !== 'nullable') return compare(stored, now.item!, path)
  if (stored.kind === 'int' && NUMBERS.includes(now.kind)) return undefined
  if (stored.kind === 'timestamp' && now.kind === 'number') return undefined
  if (stored.kind === 'enum' && now.kind === 'string') return undefined
  if (stored.kind !== now.kind) return differ
  switch (now.kind) {
    case 'enum': {
      const gone = stored.values!.find((value) => !now.values!.includes(value))
      return gone === undefined ? undefined : `${at}the value '${gone}' is not declared any more`
    }
    case 'union':
      return stored.members!.map((member) => compare(member, now, path)).find((reason) => reason !== undefined)
    case 'array':
    case 'nullable':
      return compare(stored.item!, now.item!, now.kind === 'array' ? `${path}[]` : path)
    case 'map':
      return compare(stored.key!, now.key!, `${path}.keys()`) ?? compare(stored.value!, now.value!, `${path}.values()`)
    case 'custom':
      return stored.name === now.name ? undefined : `${at}stored as ${stored.name}, declared as ${now.name}`
    case 'row':
      return compareRows(stored.fields!, now.fields!, path)
    default:
      return undefined
  }
}

function compareRows(
  stored: Readonly<Record<string, Described>>,
  now: Readonly<Record<string, Described>>,
  path: string,
): string | undefined {
  for (const [name, field] of Object.entries(now)) {
    const at = path === '' ? name : `${path}.${name}`
    const old = stored[name]
    if (!old) {
      if (!field.isOptional) return `${at}: is not stored, and not optional`
      continue
    }
    if (old.isOptional && !field.isOptional) return `${at}: stored as optional`
    const reason = compare(old, field, at)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** What turns stored values into values of the declared type: nothing to do, a chain of `migratedFrom`, or the reason why it is impossible. */
export type Migration =
  | { readonly kind: 'as-is' }
  | { readonly kind: 'migrate'; migrate(value: unknown): unknown }
  | { readonly kind: 'impossible'; readonly reason: string }

export function migrationFrom(stored: TypeDescription, type: TypeSpec): Migration {
  const reason = incompatibilityOf(stored, type)
  if (reason === undefined) return { kind: 'as-is' }
  for (const { from, migrate } of type.migrations.toReversed()) {
    const before = migrationFrom(stored, from)
    const last = migrate as (old: unknown) => unknown
    if (before.kind === 'as-is') return { kind: 'migrate', migrate: last }
    if (before.kind === 'migrate') return { kind: 'migrate', migrate: (value) => last(before.migrate(value)) }
  }
  return { kind: 'impossible', reason }
}
