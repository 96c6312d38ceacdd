/**
 * Finds the layout of records by looking at some. Schemas only widen: int to double, a field to nullable, one variant more. Shapes that
 * differ become variants, since unions are told apart by shape; what varies without end (dictionaries) becomes `any`.
 */
import type { Field, RecordSchema } from '#protocol/frames/schema.js'

const FIELDS_MAX = 64
const DEPTH_MAX = 4
/** A longer array that is not uniform is no tuple. */
const TUPLE_ITEMS_MAX = 16
export const VARIANTS_MAX = 16
/** Variants with the same names at the top; above it they are merged into one, with `any` where they differ. */
const SAME_NAMES_MAX = 3

const ANY: Field = { kind: 'any', nullable: false }
const NONE: Field = { kind: 'none', nullable: false }
const NULL: Field = { kind: 'none', nullable: true }

export function inferField(value: unknown, depth = 0): Field {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return { kind: typeof value as 'string' | 'boolean', nullable: false }
    case 'number':
      return { kind: Object.is(value | 0, value) ? 'int' : 'double', nullable: false }
    case 'undefined':
      return NULL
    case 'object':
      return value === null ? NULL : inferObject(value, depth)
    default:
      return ANY
  }
}

function inferObject(value: object, depth: number): Field {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (depth >= DEPTH_MAX) return ANY
  if (Array.isArray(value) && prototype === Array.prototype) return inferArray(value, depth)
  if (prototype !== Object.prototype) return ANY
  const names = Object.keys(value)
  if (names.length > FIELDS_MAX) return ANY
  const fields = names.map((name) => inferField((value as Readonly<Record<string, unknown>>)[name], depth + 1))
  return { kind: 'object', nullable: false, names, fields }
}

function inferArray(value: readonly unknown[], depth: number): Field {
  let item: Field | undefined = NONE
  for (let i = 0; i < Math.min(value.length, FIELDS_MAX) && item; i++) item = mergeFields(item, inferField(value[i], depth + 1), false)
  if (item && item.kind !== 'any') return { kind: 'array', nullable: false, item }
  if (value.length > TUPLE_ITEMS_MAX) return ANY
  return { kind: 'tuple', nullable: false, items: value.map((each) => inferField(each, depth + 1)) }
}

/** A field that holds what either holds; undefined where there is none, or `any` where that is allowed. */
export function mergeFields(a: Field, b: Field, allowAny: boolean): Field | undefined {
  const nullable = a.nullable || b.nullable
  const otherwise = allowAny ? ANY : undefined
  if (a.kind === 'any' || b.kind === 'any') return a.kind === b.kind || a.kind === 'none' || b.kind === 'none' ? ANY : otherwise
  if (a.kind === 'none') return { ...b, nullable }
  if (b.kind === 'none') return { ...a, nullable }
  if ((a.kind === 'int' && b.kind === 'double') || (a.kind === 'double' && b.kind === 'int')) return { kind: 'double', nullable }
  if (a.kind === 'array' && b.kind === 'array') {
    const item = mergeFields(a.item, b.item, allowAny)
    return item ? { kind: 'array', nullable, item } : otherwise
  }
  if (a.kind === 'tuple' && b.kind === 'tuple') {
    const items = mergeAll(a.items, b.items, allowAny)
    return items ? { kind: 'tuple', nullable, items } : otherwise
  }
  if (a.kind === 'object' && b.kind === 'object') {
    const fields = sameNames(a, b) ? mergeAll(a.fields, b.fields, allowAny) : undefined
    return fields ? { kind: 'object', nullable, names: a.names, fields } : otherwise
  }
  return a.kind === b.kind ? { ...a, nullable } : otherwise
}

function mergeAll(a: readonly Field[], b: readonly Field[], allowAny: boolean): readonly Field[] | undefined {
  if (a.length !== b.length) return undefined
  const merged: Field[] = []
  for (let i = 0; i < a.length; i++) {
    const field = mergeFields(a[i]!, b[i]!, allowAny)
    if (!field) return undefined
    merged.push(field)
  }
  return merged
}

function sameNames(a: Field, b: Field): boolean {
  if (a.kind !== 'object' || b.kind !== 'object') return a.kind === b.kind
  return a.names.length === b.names.length && a.names.every((name, i) => name === b.names[i])
}

/** The schema, widened so that it holds records of this field too; the same object where it can not or need not be. */
export function widenSchema(schema: RecordSchema, record: Field): RecordSchema {
  for (const [i, variant] of schema.entries()) {
    const merged = mergeFields(variant, record, false)
    if (merged) return isSameField(merged, variant) ? schema : schema.with(i, merged)
  }
  if (record.kind === 'any') return schema // As a misfit it costs no more.
  const alike = schema.filter((variant) => sameNames(variant, record))
  if (alike.length >= SAME_NAMES_MAX) {
    const merged = alike.reduce((a, b) => mergeFields(a, b, true)!, record)
    if (merged.kind === 'any') return schema
    return [...schema.filter((variant) => !alike.includes(variant)), merged]
  }
  return schema.length < VARIANTS_MAX ? [...schema, record] : schema
}

export function isSameField(a: Field, b: Field): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
