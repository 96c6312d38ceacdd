/** How a record becomes a line of text and back. */
import { FlottError } from '#core/errors.js'
import { checkType, type TypeSpec, typeSpecOf } from '#core/serialization/declared-types.js'
import type { Type } from '#core/serialization/types.js'

declare const phantom: unique symbol

/** One record a line. */
export interface Format<T> {
  readonly [phantom]?: (value: T) => T
}
export interface LineFormat<T> extends Format<T> {
  /** Without the line's end. */
  encode(record: T): string
  /** RECORD_TYPE_MISMATCH where the line is no such record. */
  decode(line: string): T
  /** Lines are the records: neither function needs to be called. */
  readonly plain?: true
}

export function lineFormat<T>(format: Format<T>): LineFormat<T> {
  return format as LineFormat<T>
}

const lines: LineFormat<string> = { encode: (record) => record, decode: (line) => line, plain: true }

/** Text formats for fileSource, fileSink and socketSource. */
export const formats = {
  lines: lines as Format<string>,
  /** One JSON value a line; bigints as text, bytes in base64. The type also checks what is read. */
  json<T>(type: Type<T>): Format<T> {
    const spec = typeSpecOf(type)!
    const format: LineFormat<T> = {
      encode: (record) => JSON.stringify(toJson(spec, record)),
      decode(line) {
        let value: unknown
        try {
          value = fromJson(spec, JSON.parse(line))
        } catch (cause) {
          throw new FlottError('RECORD_TYPE_MISMATCH', `not a line of JSON: ${line.slice(0, 120)}`, { cause })
        }
        checkType(spec, value)
        return value as T
      },
    }
    return format
  },
  /** Fields in the order of the row type, separated by commas, quoted where they must be; no header, no line ends within a field. */
  csv<T>(type: Type<T>): Format<T> {
    const spec = typeSpecOf(type)!
    if (spec.kind !== 'row') throw new FlottError('INVALID_ARGUMENT', `formats.csv needs a row type, not ${spec.kind}`)
    const fields = Object.entries(spec.fields)
    for (const [name, field] of fields)
      if (!isScalar(field)) throw new FlottError('INVALID_ARGUMENT', `formats.csv has no notation for field '${name}' (${field.kind})`)
    const format: LineFormat<T> = {
      encode: (record) => fields.map(([name]) => csvField((record as Record<string, unknown>)[name])).join(','),
      decode(line) {
        const texts = csvFields(line)
        if (texts.length !== fields.length)
          throw new FlottError('RECORD_TYPE_MISMATCH', `${texts.length} fields instead of ${fields.length}: ${line.slice(0, 120)}`)
        const record = Object.fromEntries(fields.flatMap(([name, field], i) => parsed(name, field, texts[i]!)))
        checkType(spec, record)
        return record as T
      },
    }
    return format
  },
}

/** Types whose values JSON can not hold as they are. */
function toJson(type: TypeSpec, value: unknown): unknown {
  if (value === undefined || value === null) return value
  switch (type.kind) {
    case 'bigint':
      return String(value)
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('base64')
    case 'custom':
      return Buffer.from(type.codec.encode(value as never)).toString('base64')
    case 'map':
      return [...(value as Map<unknown, unknown>)].map(([k, v]) => [toJson(type.key, k), toJson(type.value, v)])
    case 'array':
      return (value as unknown[]).map((item) => toJson(type.item, item))
    case 'nullable':
      return toJson(type.of, value)
    case 'row':
      return mapFields(type.fields, value as Record<string, unknown>, toJson)
    default:
      return value
  }
}
function fromJson(type: TypeSpec, value: unknown): unknown {
  if (value === undefined || value === null) return value
  switch (type.kind) {
    case 'bigint':
      return typeof value === 'string' || typeof value === 'number' ? BigInt(value) : value
    case 'bytes':
      return typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value
    case 'custom':
      return typeof value === 'string' ? type.codec.decode(new Uint8Array(Buffer.from(value, 'base64')), type.codec.version) : value
    case 'map':
      return Array.isArray(value) ? new Map(value.map(([k, v]) => [fromJson(type.key, k), fromJson(type.value, v)])) : value
    case 'array':
      return Array.isArray(value) ? value.map((item) => fromJson(type.item, item)) : value
    case 'nullable':
      return fromJson(type.of, value)
    case 'row':
      return typeof value === 'object' && !Array.isArray(value) ? mapFields(type.fields, value as Record<string, unknown>, fromJson) : value
    default:
      return value
  }
}
/** The fields that the type names; others are left out. */
function mapFields(
  fields: Readonly<Record<string, TypeSpec>>,
  value: Record<string, unknown>,
  convert: (type: TypeSpec, value: unknown) => unknown,
): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const name in fields) if (value[name] !== undefined) result[name] = convert(fields[name]!, value[name])
  return result
}

const SCALARS: readonly string[] = ['string', 'number', 'int', 'boolean', 'bigint', 'timestamp', 'enum']
function isScalar(type: TypeSpec): boolean {
  return type.kind === 'nullable' ? isScalar(type.of) : SCALARS.includes(type.kind)
}
function csvField(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = String(value)
  if (/[\r\n]/.test(text)) throw new FlottError('RECORD_NOT_SERIALIZABLE', `formats.csv: a field holds a line end: ${text.slice(0, 60)}`)
  return text === '' || /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
interface CsvText {
  readonly text: string
  readonly quoted: boolean
}
function csvFields(line: string): readonly CsvText[] {
  const fields: CsvText[] = []
  for (let at = 0; ; ) {
    if (line[at] === '"') {
      const match = /"((?:[^"]|"")*)"(?=,|$)/y
      match.lastIndex = at
      const found = match.exec(line)
      if (!found) throw new FlottError('RECORD_TYPE_MISMATCH', `a quote is not closed: ${line.slice(0, 120)}`)
      fields.push({ text: found[1]!.replaceAll('""', '"'), quoted: true })
      at = match.lastIndex
    } else {
      const end = line.indexOf(',', at)
      fields.push({ text: line.slice(at, end < 0 ? undefined : end), quoted: false })
      at = end < 0 ? line.length : end
    }
    if (at >= line.length) return fields
    at++
  }
}
/** Nothing where an optional field is empty. */
function parsed(name: string, type: TypeSpec, field: CsvText): readonly (readonly [string, unknown])[] {
  const { text, quoted } = field
  if (text === '' && !quoted && type.isOptional) return []
  switch (type.kind) {
    case 'nullable':
      return text === '' && !quoted ? [[name, null]] : parsed(name, type.of, field)
    case 'number':
    case 'int':
    case 'timestamp':
      return [[name, text.trim() === '' ? text : Number(text)]]
    case 'bigint':
      return [[name, /^-?\d+$/.test(text) ? BigInt(text) : text]]
    case 'boolean':
      return [[name, text === 'true' ? true : text === 'false' ? false : text]]
    default:
      return [[name, text]]
  }
}
