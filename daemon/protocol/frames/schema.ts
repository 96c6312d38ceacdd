/**
 * How the rows of the record frames behind it are laid out, until another schema comes. u8 kind | u8 unused | u16 schema id |
 * 4 unused bytes | the variants as a general value. Ids count up within a channel.
 */
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import { FrameKind } from './frame.js'

/**
 * One field of a row, or a whole record. `nullable`: null and undefined occur.
 *   int: i32 | double: f64 | boolean: u8 | string: u16, see record-batch.ts | any: u32 length, general value
 *   none: nothing (an item of arrays that were all empty) | object: its fields | tuple: its items | array: u16 count, items
 * In front of a nullable int, double, none, object, tuple or array stands a u8: 0 value, 1 null, 2 undefined; a nullable boolean is
 * 2 or 3 instead; `any` holds null by itself.
 */
export type Field =
  | { readonly kind: 'int' | 'double' | 'boolean' | 'string' | 'any' | 'none'; readonly nullable: boolean }
  | { readonly kind: 'object'; readonly nullable: boolean; readonly names: readonly string[]; readonly fields: readonly Field[] }
  | { readonly kind: 'tuple'; readonly nullable: boolean; readonly items: readonly Field[] }
  | { readonly kind: 'array'; readonly nullable: boolean; readonly item: Field }

/** A row's variant is an index of this list. */
export type RecordSchema = readonly Field[]

const HEADER_BYTES = 8

export function encodeSchemaFrame(id: number, schema: RecordSchema): Buffer {
  const body = encodeValue(schema)
  const frame = Buffer.alloc(HEADER_BYTES + body.length)
  frame[0] = FrameKind.Schema
  frame.writeUInt16LE(id, 2)
  frame.set(body, HEADER_BYTES)
  return frame
}
export function decodeSchemaFrame(frame: Uint8Array): { id: number; schema: RecordSchema } {
  if (frame[0] !== FrameKind.Schema) throw new Error(`not a schema frame: kind ${frame[0]}`)
  return { id: frame[2]! | (frame[3]! << 8), schema: decodeValue(frame.subarray(HEADER_BYTES)) as RecordSchema }
}
