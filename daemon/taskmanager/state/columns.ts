/**
 * Many keys or values as bytes, by what they have in common. A column is one tag byte, then
 *   0x01 numbers: f64 each
 *   0x02 ascii strings: u32 lengths, then all characters, a byte each
 *   0x03 other strings: u32 lengths (UTF-16 units), then all characters as UTF-16
 *   0x04 anything else: a stream of values (core/serialization/value-codec.ts)
 *   0x05 numbers that are 32-bit integers: i32 each
 * The number of items is known from outside. Little-endian. Tags are on disk: never renumber.
 */
import { ValueReader, ValueWriter } from '#core/serialization/value-codec.js'

enum Tag {
  Numbers = 1,
  Ascii = 2,
  Utf16 = 3,
  Values = 4,
  Integers = 5,
}
const writer = new ValueWriter(64 * 1024)

export function encodeColumn(items: readonly unknown[]): Buffer {
  const [first] = items
  if (typeof first === 'number' && items.every((item) => typeof item === 'number')) return encodeNumbers(items as readonly number[])
  if (typeof first === 'string' && items.every((item) => typeof item === 'string')) return encodeStrings(items as readonly string[])
  writer.reset()
  for (const item of items) writer.write(item)
  return tagged(Tag.Values, writer.view())
}

export function decodeColumn(column: Buffer, count: number): unknown[] {
  switch (column[0]) {
    case Tag.Numbers:
      return Array.from({ length: count }, (_, i) => column.readDoubleLE(1 + 8 * i))
    case Tag.Integers:
      return Array.from({ length: count }, (_, i) => column.readInt32LE(1 + 4 * i))
    case Tag.Ascii:
    case Tag.Utf16:
      return decodeStrings(column, count)
    case Tag.Values: {
      const reader = new ValueReader(column, 1)
      return Array.from({ length: count }, () => reader.read())
    }
    default:
      throw new Error(`unknown column tag ${column[0]}`)
  }
}

/** The bytes of a typed array as they lie in memory, which is little-endian on all machines that Node runs on. */
export function bytesOf(array: Int32Array | Uint32Array | Float64Array): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength)
}

function tagged(tag: Tag, bytes: Buffer): Buffer {
  const column = Buffer.allocUnsafe(1 + bytes.length)
  column[0] = tag
  bytes.copy(column, 1)
  return column
}

function encodeNumbers(items: readonly number[]): Buffer {
  const areIntegers = items.every((item) => Object.is(item | 0, item))
  return areIntegers ? tagged(Tag.Integers, bytesOf(new Int32Array(items))) : tagged(Tag.Numbers, bytesOf(new Float64Array(items)))
}

function encodeStrings(items: readonly string[]): Buffer {
  const lengths = new Uint32Array(items.length)
  let units = 0
  for (let i = 0; i < items.length; i++) {
    lengths[i] = items[i]!.length
    units += lengths[i]!
  }
  const start = 1 + 4 * items.length
  const column = Buffer.allocUnsafe(start + units)
  bytesOf(lengths).copy(column, 1)
  if (writeAscii(items, column, start)) {
    column[0] = Tag.Ascii
    return column
  }
  const wide = Buffer.allocUnsafe(start + 2 * units)
  column.copy(wide, 0, 0, start)
  wide[0] = Tag.Utf16
  wide.write(items.join(''), start, 'utf16le')
  return wide
}

/** False where a character is none. Most keys are short: a loop beats a call for each, and joining them. */
function writeAscii(items: readonly string[], column: Buffer, start: number): boolean {
  let at = start
  for (const item of items) {
    for (let i = 0; i < item.length; i++) {
      const code = item.charCodeAt(i)
      if (code > 127) return false
      column[at++] = code
    }
  }
  return true
}

function decodeStrings(column: Buffer, count: number): string[] {
  const unit = column[0] === Tag.Ascii ? 1 : 2
  const encoding = unit === 1 ? 'latin1' : 'utf16le'
  const items = new Array<string>(count)
  let at = 1 + 4 * count
  for (let i = 0; i < count; i++) {
    const end = at + unit * column.readUInt32LE(1 + 4 * i)
    // One by one: slices of one big string would keep all of it.
    items[i] = column.toString(encoding, at, end)
    at = end
  }
  return items
}
