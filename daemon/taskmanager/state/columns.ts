/**
 * Many keys or values as bytes, by what they have in common. A column is one tag byte, then
 *   0x01 numbers: f64 each
 *   0x02 ascii strings: u32 lengths, then all characters, a byte each
 *   0x03 other strings: u32 lengths (UTF-16 units), then all characters as UTF-16
 *   0x04 anything else: a stream of values (core/serialization/value-codec.ts)
 * The number of items is known from outside. Little-endian. Tags are on disk: never renumber.
 */
import { ValueReader, ValueWriter } from '#core/serialization/value-codec.js'

enum Tag {
  Numbers = 1,
  Ascii = 2,
  Utf16 = 3,
  Values = 4,
}
const writer = new ValueWriter(64 * 1024)

export function encodeColumn(items: readonly unknown[]): Buffer {
  if (items.length > 0 && typeof items[0] === 'number' && items.every((item) => typeof item === 'number'))
    return tagged(Tag.Numbers, Buffer.from(Float64Array.from(items as readonly number[]).buffer))
  if (items.length > 0 && typeof items[0] === 'string' && items.every((item) => typeof item === 'string'))
    return encodeStrings(items as string[])
  writer.reset()
  for (const item of items) writer.write(item)
  return tagged(Tag.Values, writer.view())
}

export function decodeColumn(column: Buffer, count: number): unknown[] {
  switch (column[0]) {
    case Tag.Numbers:
      return Array.from({ length: count }, (_, i) => column.readDoubleLE(1 + 8 * i))
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

function tagged(tag: Tag, bytes: Buffer): Buffer {
  const column = Buffer.allocUnsafe(1 + bytes.length)
  column[0] = tag
  bytes.copy(column, 1)
  return column
}

function encodeStrings(items: readonly string[]): Buffer {
  const heap = items.join('')
  const isAscii = Buffer.byteLength(heap, 'utf8') === heap.length
  const start = 1 + 4 * items.length
  const column = Buffer.allocUnsafe(start + (isAscii ? heap.length : 2 * heap.length))
  column[0] = isAscii ? Tag.Ascii : Tag.Utf16
  for (let i = 0; i < items.length; i++) column.writeUInt32LE(items[i]!.length, 1 + 4 * i)
  column.write(heap, start, isAscii ? 'latin1' : 'utf16le')
  return column
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
