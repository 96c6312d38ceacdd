/** The declared types: plain descriptions that a codec is generated from, and that say whether a value fits. */
import { FlottError } from '../errors.js'
import type { KeyPart } from '../functions/functions.js'
import type { AnyType, Type } from './types.js'

export type Infer<X> = X extends Type<infer T> ? T : never
export type RowOf<F> = { [K in keyof F as F[K] extends { isOptional: true } ? never : K]: Infer<F[K]> } & {
  [K in keyof F as F[K] extends { isOptional: true } ? K : never]?: Infer<F[K]>
} extends infer R
  ? { [K in keyof R]: R[K] }
  : never

export interface CustomCodec<T> {
  readonly name: string
  readonly version: number
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array, version: number): T
}
export interface Migration {
  readonly from: TypeSpec
  readonly migrate: (old: never) => unknown
}
type Shape =
  | { readonly kind: 'string' | 'number' | 'int' | 'boolean' | 'bigint' | 'timestamp' | 'bytes' }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'array'; readonly item: TypeSpec }
  | { readonly kind: 'nullable'; readonly of: TypeSpec }
  | { readonly kind: 'map'; readonly key: TypeSpec; readonly value: TypeSpec }
  | { readonly kind: 'row'; readonly fields: Readonly<Record<string, TypeSpec>> }
  | { readonly kind: 'union'; readonly members: readonly TypeSpec[] }
  | { readonly kind: 'custom'; readonly codec: CustomCodec<never> }
/** What every `Type` made by `types` is: narrow by `kind`. */
export type TypeSpec = Shape & { readonly isOptional: boolean; readonly migrations: readonly Migration[] }

/** The description behind a declared type; undefined for none. */
export function typeSpecOf(type: AnyType | undefined): TypeSpec | undefined {
  return type as TypeSpec | undefined
}

function make<T>(shape: Shape, isOptional = false, migrations: readonly Migration[] = []): Type<T> {
  const type = {
    ...shape,
    isOptional,
    migrations,
    migratedFrom<Old>(old: Type<Old>, migrate: (old: Old) => T): Type<T> {
      const migration = { from: old as unknown as TypeSpec, migrate: migrate as (old: never) => unknown }
      return make<T>(shape, isOptional, [...migrations, migration])
    },
  }
  return Object.freeze(type) as Type<T>
}
const spec = (type: AnyType): TypeSpec => type as TypeSpec

/** Declared types of records and state. */
export const types = {
  string: make<string>({ kind: 'string' }),
  number: make<number>({ kind: 'number' }),
  /** An integer from -2^31 to 2^31 - 1. */
  int: make<number>({ kind: 'int' }),
  boolean: make<boolean>({ kind: 'boolean' }),
  bigint: make<bigint>({ kind: 'bigint' }),
  /** Milliseconds since the epoch. */
  timestamp: make<number>({ kind: 'timestamp' }),
  bytes: make<Uint8Array>({ kind: 'bytes' }),
  enum<const L extends string>(...values: readonly L[]): Type<L> {
    return make<L>({ kind: 'enum', values })
  },
  array<T>(item: Type<T>): Type<T[]> {
    return make<T[]>({ kind: 'array', item: spec(item) })
  },
  nullable<T>(type: Type<T>): Type<T | null> {
    return make<T | null>({ kind: 'nullable', of: spec(type) })
  },
  map<K extends KeyPart, V>(key: Type<K>, value: Type<V>): Type<Map<K, V>> {
    return make<Map<K, V>>({ kind: 'map', key: spec(key), value: spec(value) })
  },
  optional<T>(type: Type<T>): Type<T> & { readonly isOptional: true } {
    const { isOptional: _isOptional, migrations, ...shape } = spec(type)
    return make<T>(shape, true, migrations) as Type<T> & { readonly isOptional: true }
  },
  row<F extends Record<string, AnyType>>(fields: F): Type<RowOf<F>> {
    return make<RowOf<F>>({ kind: 'row', fields: Object.freeze({ ...fields }) as unknown as Readonly<Record<string, TypeSpec>> })
  },
  union<U extends readonly AnyType[]>(...members: U): Type<Infer<U[number]>> {
    return make<Infer<U[number]>>({ kind: 'union', members: members as unknown as readonly TypeSpec[] })
  },
  custom<T>(codec: CustomCodec<T>): Type<T> {
    return make<T>({ kind: 'custom', codec: codec as unknown as CustomCodec<never> })
  },
}

/** Where the value does not fit the type: 'user.age: 12 is not a string'; undefined where it does. Fields that the type does not know are let through. */
export function mismatch(type: TypeSpec, value: unknown, path = ''): string | undefined {
  const wrong = (expected: string) => `${path === '' ? 'the record' : path}: ${show(value)} is not ${expected}`
  switch (type.kind) {
    case 'string':
      return typeof value === 'string' ? undefined : wrong('a string')
    case 'number':
      return typeof value === 'number' ? undefined : wrong('a number')
    case 'int':
      return typeof value === 'number' && (value | 0) === value ? undefined : wrong('a 32-bit integer')
    case 'timestamp':
      return Number.isFinite(value) ? undefined : wrong('a time stamp')
    case 'boolean':
      return typeof value === 'boolean' ? undefined : wrong('a boolean')
    case 'bigint':
      return typeof value === 'bigint' ? undefined : wrong('a bigint')
    case 'bytes':
      return value instanceof Uint8Array ? undefined : wrong('a Uint8Array')
    case 'enum':
      return type.values.includes(value as string) ? undefined : wrong(`one of ${type.values.join(', ')}`)
    case 'nullable':
      return value === null ? undefined : mismatch(type.of, value, path)
    case 'array':
      return Array.isArray(value) ? first(value, (item, i) => mismatch(type.item, item, `${path}[${i}]`)) : wrong('an array')
    case 'map':
      if (!(value instanceof Map)) return wrong('a Map')
      return first([...value], ([k, v]) => mismatch(type.key, k, `${path} key`) ?? mismatch(type.value, v, `${path}[${show(k)}]`))
    case 'row':
      return rowMismatch(type.fields, value, path) ?? (isObject(value) ? undefined : wrong('an object'))
    case 'union':
      return type.members.some((member) => mismatch(member, value, path) === undefined) ? undefined : wrong('of any member of the union')
    case 'custom':
      return undefined
  }
}
function rowMismatch(fields: Readonly<Record<string, TypeSpec>>, value: unknown, path: string): string | undefined {
  if (!isObject(value)) return undefined
  for (const name in fields) {
    const field = fields[name]!
    const found = (value as Record<string, unknown>)[name]
    if (found === undefined && field.isOptional) continue
    const text = mismatch(field, found, path === '' ? name : `${path}.${name}`)
    if (text !== undefined) return text
  }
  return undefined
}
function first<T>(items: readonly T[], check: (item: T, index: number) => string | undefined): string | undefined {
  for (let i = 0; i < items.length; i++) {
    const text = check(items[i]!, i)
    if (text !== undefined) return text
  }
  return undefined
}
function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** RECORD_TYPE_MISMATCH where the value does not fit. */
export function checkType(type: TypeSpec, value: unknown): void {
  const text = mismatch(type, value)
  if (text !== undefined) throw new FlottError('RECORD_TYPE_MISMATCH', text)
}
