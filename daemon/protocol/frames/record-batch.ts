/**
 * A batch of records.
 *   u8 kind | u8 flags | u16 schema | u32 count | u32 heap offset from the frame's start | u32 heap bytes | rows … | heap
 * A row: u8 variant | i32 hash of the key (flag Hashes) | f64 timestamp (flag Timestamps) | fields, as the schema's variant says.
 * A row of variant MISFIT has a general value (core/serialization/value-codec.ts) instead of fields: u32 length | bytes.
 * A string field is its length alone (u16, in UTF-16 units): the characters of all strings of the frame stand in the heap, in order,
 * ASCII or (flag HeapUtf16) UTF-16.
 */
import { FrameKind } from './frame.js'

export const RECORDS_HEADER_BYTES = 16
export const MISFIT = 0xff
export const RecordsFlag = { Hashes: 1, Timestamps: 2, HeapUtf16: 4 } as const
/** The lengths from here on mark null and undefined; longer strings do not fit a row. */
export const STRING_LENGTH_MAX = 0xfffd
export const STRING_NULL = 0xfffe
export const STRING_UNDEFINED = 0xffff
/** So that a consumer can size its arrays. */
export const RECORDS_PER_FRAME_MAX = 4096

export interface RecordsHeader {
  readonly flags: number
  readonly schema: number
  readonly count: number
  readonly heapOffset: number
  readonly heapBytes: number
}

export function encodeRecordsHeader(view: DataView, at: number, header: RecordsHeader): void {
  view.setUint8(at, FrameKind.Records)
  view.setUint8(at + 1, header.flags)
  view.setUint16(at + 2, header.schema, true)
  view.setUint32(at + 4, header.count, true)
  view.setUint32(at + 8, header.heapOffset, true)
  view.setUint32(at + 12, header.heapBytes, true)
}
export function decodeRecordsHeader(view: DataView, at: number): RecordsHeader {
  return {
    flags: view.getUint8(at + 1),
    schema: view.getUint16(at + 2, true),
    count: view.getUint32(at + 4, true),
    heapOffset: view.getUint32(at + 8, true),
    heapBytes: view.getUint32(at + 12, true),
  }
}
