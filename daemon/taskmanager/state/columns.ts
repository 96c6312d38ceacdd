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
  const first = typeof items[0]
  const column = first === 'number' ? encodeNumbers(items) : first === 'string' ? encodeStrings(items) : undefined
  if (column !== undefined) return column
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

// Most of what a snapshot costs is here: plain loops, each over everything once. Undefined where the items are not all of one type.
function encodeNumbers(items: readonly unknown[]): Buffer | undefined {
  const integers = new Int32Array(items.length)
  let areIntegers = true
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    if (typeof item !== 'number') return undefined
    integers[i] = item
    if (integers[i] !== item || (item === 0 && 1 / item < 0)) areIntegers = false
  }
  return areIntegers ? tagged(Tag.Integers, bytesOf(integers)) : tagged(Tag.Numbers, bytesOf(Float64Array.from(items as readonly number[])))
}

function encodeStrings(items: readonly unknown[]): Buffer | undefined {
  const lengths = new Uint32Array(items.length)
  let units = 0
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    if (typeof item !== 'string') return undefined
    lengths[i] = item.length
    units += item.length
  }
  const strings = items as readonly string[]
  const start = 1 + 4 * items.length
  const column = Buffer.allocUnsafe(start + units)
  bytesOf(lengths).copy(column, 1)
  if (writeAscii(strings, column, start)) {
    column[0] = Tag.Ascii
    return column
  }
  const wide = Buffer.allocUnsafe(start + 2 * units)
  column.copy(wide, 0, 0, start)
  wide[0] = Tag.Utf16
  wide.write(strings.join(''), start, 'utf16le')
  return wide
}

/** False where a character is none. Most keys are short: a loop beats a call for each, and joining them. */
function writeAscii(items: readonly string[], column: Buffer, start: number): boolean {
  let at = start
  let bits = 0
  for (let n = 0; n < items.length; n++) {
    const item = items[n]!
    for (let i = 0; i < item.length; i++) {
      const code = item.charCodeAt(i)
      bits |= code
      column[at++] = code
    }
  }
  return bits < 128
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
