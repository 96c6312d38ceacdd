/**
 * Many keys or values as bytes, by what they have in common. A column is one tag byte, then
 *   0x01 numbers: f64 each
 *   0x02 ascii strings: u32 lengths, then all characters, a byte each
 *   0x03 other strings: u32 lengths (UTF-16 units), then all characters as UTF-16
 *   0x04 anything else: a stream of values (core/serialization/value-codec.ts)
 *   0x05 numbers that are 32-bit integers: i32 each
 *   0x06 plain objects with the same names in the same order: u32 length, the names as one value, then a column a name
 * The number of items is known from outside. Little-endian. Tags are on disk: never renumber.
 */
import { decodeValue, encodeValue, ValueReader, ValueWriter } from '#core/serialization/value-codec.js'
import type { ByteSink } from './byte-sink.js'
import { type ObjectShape, shapeOf } from './object-shape.js'

enum Tag {
  Numbers = 1,
  Ascii = 2,
  Utf16 = 3,
  Values = 4,
  Integers = 5,
  Objects = 6,
}
/** Objects in objects in objects: deeper ones are written as values. */
const DEPTH_MAX = 3
const NAMES_MAX = 64
const writer = new ValueWriter(64 * 1024)

/** Appends the first `count` items as a column. Nothing is appended when it throws. */
export function writeColumn(out: ByteSink, items: readonly unknown[], count: number, depth = 0): void {
  const start = out.length
  if (writeAlike(out, items, count, depth)) return
  out.length = start // What was begun does not count.
  writer.reset()
  for (let i = 0; i < count; i++) writer.write(items[i])
  out.appendByte(Tag.Values)
  out.append(writer.view())
}

// Most of what a snapshot costs is here: plain loops, each over everything once. False where the items are not all of one type.
function writeAlike(out: ByteSink, items: readonly unknown[], count: number, depth: number): boolean {
  if (count === 0) return false
  const first = items[0]
  if (typeof first === 'number') return writeNumbers(out, items, count)
  if (typeof first === 'string') return writeStrings(out, items, count)
  return typeof first === 'object' && first !== null && depth < DEPTH_MAX && writeObjects(out, items, first, count, depth)
}

let integers = new Int32Array(1_024)
let doubles = new Float64Array(1_024)

function writeNumbers(out: ByteSink, items: readonly unknown[], count: number): boolean {
  if (count > doubles.length) {
    integers = new Int32Array(count)
    doubles = new Float64Array(count)
  }
  let areIntegers = true
  for (let i = 0; i < count; i++) {
    const item = items[i]
    if (typeof item !== 'number') return false
    doubles[i] = item
    integers[i] = item
    if (integers[i] !== item || (item === 0 && 1 / item < 0)) areIntegers = false
  }
  out.appendByte(areIntegers ? Tag.Integers : Tag.Numbers)
  out.append(bytesOf(areIntegers ? integers : doubles, count))
  return true
}

function writeStrings(out: ByteSink, items: readonly unknown[], count: number): boolean {
  if (count > integers.length) integers = new Int32Array(count)
  let units = 0
  for (let i = 0; i < count; i++) {
    const item = items[i]
    if (typeof item !== 'string') return false
    integers[i] = item.length
    units += item.length
  }
  const strings = items as readonly string[]
  const at = out.take(1)
  out.append(bytesOf(integers, count))
  const start = out.take(units)
  if (writeAscii(strings, count, out.bytes, start)) {
    out.bytes[at] = Tag.Ascii
    return true
  }
  out.take(units)
  out.bytes[at] = Tag.Utf16
  out.bytes.write(strings.slice(0, count).join(''), start, 'utf16le')
  return true
}

/** False where a character is none. Most keys are short: a loop beats a call for each, and joining them. */
function writeAscii(items: readonly string[], count: number, bytes: Buffer, start: number): boolean {
  let at = start
  let bits = 0
  for (let n = 0; n < count; n++) {
    const item = items[n]!
    for (let i = 0; i < item.length; i++) {
      const code = item.charCodeAt(i)
      bits |= code
      bytes[at++] = code
    }
  }
  return bits < 128
}

/** A value codec looks at each object anew; code made for a shape takes it apart in a few nanoseconds a field. */
function writeObjects(out: ByteSink, items: readonly unknown[], first: object, count: number, depth: number): boolean {
  const names = Object.keys(first)
  if (names.length === 0 || names.length > NAMES_MAX) return false
  const columns = shapeOf(names).split(items, count)
  if (columns === undefined) return false
  const header = encodeValue(names)
  const at = out.take(5)
  out.bytes[at] = Tag.Objects
  out.bytes.writeUInt32LE(header.length, at + 1)
  out.append(header)
  try {
    for (const column of columns) writeColumn(out, column, count, depth + 1)
  } catch {
    return false // Written as values it throws again, and names the path from the object.
  }
  return true
}

type ItemAt = (index: number) => unknown

export class ColumnReader {
  #at = 0
  constructor(private readonly bytes: Buffer) {}

  read(count: number): unknown[] {
    const tag = this.bytes[this.#at++]
    switch (tag) {
      case Tag.Numbers:
        return this.#numbers(count)
      case Tag.Integers:
        return this.#integers(count)
      case Tag.Ascii:
        return this.#strings(count, 1, 'latin1')
      case Tag.Utf16:
        return this.#strings(count, 2, 'utf16le')
      case Tag.Values:
        return this.#values(count)
      case Tag.Objects:
        return this.#objects(count)
      default:
        throw new Error(`unknown column tag ${tag}`)
    }
  }
  /** Reads single items; undefined where an item can only be read behind the ones before it. */
  readItems(count: number): ItemAt | undefined {
    const { bytes } = this
    const start = this.#at + 1
    switch (bytes[this.#at]) {
      case Tag.Numbers:
        this.#at = start + 8 * count
        return (index) => bytes.readDoubleLE(start + 8 * index)
      case Tag.Integers:
        this.#at = start + 4 * count
        return (index) => bytes.readInt32LE(start + 4 * index)
      case Tag.Ascii:
        return this.#stringItems(start, count, 1, 'latin1')
      case Tag.Utf16:
        return this.#stringItems(start, count, 2, 'utf16le')
      case Tag.Objects:
        return this.#objectItems(start, count)
      default:
        return undefined
    }
  }
  #stringItems(start: number, count: number, unit: number, encoding: 'latin1' | 'utf16le'): ItemAt {
    const { bytes } = this
    const ends = new Int32Array(count)
    let end = start + 4 * count
    for (let i = 0; i < count; i++) {
      end += unit * bytes.readUInt32LE(start + 4 * i)
      ends[i] = end
    }
    this.#at = end
    return (index) => bytes.toString(encoding, index === 0 ? start + 4 * count : ends[index - 1], ends[index])
  }
  #objectItems(start: number, count: number): ItemAt | undefined {
    this.#at = start
    const { shape, width } = this.#shape()
    const columns: ItemAt[] = []
    for (let i = 0; i < width; i++) {
      const column = this.readItems(count)
      if (column === undefined) return undefined
      columns.push(column)
    }
    return (index) =>
      shape.join(
        columns.map((itemAt) => [itemAt(index)]),
        1,
      )[0]
  }
  #numbers(count: number): unknown[] {
    const items = new Array<number>(count)
    for (let i = 0; i < count; i++, this.#at += 8) items[i] = this.bytes.readDoubleLE(this.#at)
    return items
  }
  #integers(count: number): unknown[] {
    const items = new Array<number>(count)
    for (let i = 0; i < count; i++, this.#at += 4) items[i] = this.bytes.readInt32LE(this.#at)
    return items
  }
  #strings(count: number, unit: number, encoding: 'latin1' | 'utf16le'): unknown[] {
    const items = new Array<string>(count)
    let lengthAt = this.#at
    let at = lengthAt + 4 * count
    for (let i = 0; i < count; i++, lengthAt += 4) {
      const end = at + unit * this.bytes.readUInt32LE(lengthAt)
      // One by one: slices of one big string would keep all of it.
      items[i] = this.bytes.toString(encoding, at, end)
      at = end
    }
    this.#at = at
    return items
  }
  #values(count: number): unknown[] {
    const reader = new ValueReader(this.bytes, this.#at)
    const items = new Array<unknown>(count)
    for (let i = 0; i < count; i++) items[i] = reader.read()
    this.#at = reader.position
    return items
  }
  #objects(count: number): unknown[] {
    const { shape, width } = this.#shape()
    const columns = Array.from({ length: width }, () => this.read(count))
    return shape.join(columns, count)
  }
  #shape(): { readonly shape: ObjectShape; readonly width: number } {
    const start = this.#at + 4
    this.#at = start + this.bytes.readUInt32LE(this.#at)
    const names = decodeValue(this.bytes.subarray(start, this.#at)) as readonly string[]
    return { shape: shapeOf(names), width: names.length }
  }
}

/** The bytes of so many items as they lie in memory, which is little-endian on all machines that Node runs on. */
export function bytesOf(array: Int32Array | Float64Array, count: number): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, count * array.BYTES_PER_ELEMENT)
}
