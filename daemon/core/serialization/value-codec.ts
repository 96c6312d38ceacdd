/**
 * Any plain value as bytes, exactly: -0, NaN, holes, undefined, bigint, Date, Map, Set, typed arrays, lone surrogates, objects without
 * a prototype all come back as they were. What would come back as something else (functions, symbols, instances of classes, cycles)
 * is refused with RECORD_NOT_SERIALIZABLE, which names the path. JSON and MessagePack libraries lose several of these silently.
 *
 * A value is one tag byte and what follows it; integers are little-endian, `n` is a LEB128 varint:
 *   0x00 undefined | 0x01 null | 0x02 false | 0x03 true | 0x04 i32 | 0x05 f64 | 0x06 ascii: n, bytes | 0x07 utf-8: n, bytes
 *   0x08 utf-16: n (bytes), bytes | 0x09 bigint: n, ascii hex | 0x0a array: n, values | 0x0b new shape: n, names, then its values
 *   0x0c object of shape n: values | 0x0d as 0x0b, 0x0e as 0x0c, without a prototype | 0x0f Map: n, keys and values | 0x10 Set: n, values
 *   0x11 Date: f64 | 0x12 typed array: kind, n (bytes), bytes | 0x13 ArrayBuffer: n, bytes | 0x14 hole (in arrays only)
 *   0x40 + n ascii of n < 64 characters | 0x80 + n the integer n < 128
 * Shapes are numbered in the order in which a stream defines them; reset() begins a new stream. Tags are on disk: never renumber.
 */
import { FlottError } from '../errors.js'
import { pathOfUnserializable } from './unserializable.js'
import { ShapeTable } from './value-shapes.js'
import { Tag, TYPED_ARRAYS, VALUE_DEPTH_MAX } from './value-tags.js'

export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  sharedWriter.reset()
  sharedWriter.write(value)
  return sharedWriter.toBytes()
}

export { decodeValue, propertyKey, ValueReader } from './value-reader.js'

/** Appends values to a buffer of its own. A stream of values must be read from its start, since later objects refer to earlier shapes. */
export class ValueWriter {
  #bytes: Buffer<ArrayBuffer>
  #view: DataView
  readonly #shapes = new ShapeTable()
  #depth = 0
  /** Bytes written since reset(). */
  length = 0

  constructor(initialBytes = 1024) {
    this.#bytes = Buffer.allocUnsafeSlow(initialBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }
  reset(): void {
    this.length = 0
    this.#shapes.truncate(0)
  }
  /** A copy of what was written. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.subarray(0, this.length))
  }
  /** What was written, valid until the next call of any method. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }
  /** Nothing is written when it throws. */
  write(value: unknown): void {
    const before = this.length
    const shapes = this.#shapes.size
    try {
      this.#write(value)
    } catch (error) {
      this.length = before
      this.#depth = 0
      this.#shapes.truncate(shapes)
      if (!(error instanceof NotSerializable)) throw error
      throw new FlottError('RECORD_NOT_SERIALIZABLE', pathOfUnserializable(value))
    }
  }

  #write(value: unknown): void {
    if (typeof value === 'string') this.#string(value)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'object' && value !== null) this.#object(value)
    else this.#constant(value)
  }
  #constant(value: unknown): void {
    if (typeof value === 'boolean') this.#tag(value ? Tag.True : Tag.False)
    else if (value === undefined) this.#tag(Tag.Undefined)
    else if (value === null) this.#tag(Tag.Null)
    else if (typeof value === 'bigint') this.#bigint(value)
    else throw new NotSerializable()
  }
  #number(value: number): void {
    this.#reserve(9)
    if (Object.is(value | 0, value)) {
      if (value >= 0 && value < 128) {
        this.#bytes[this.length++] = 0x80 + value
        return
      }
      this.#bytes[this.length] = Tag.Int32
      this.#view.setInt32(this.length + 1, value, true)
      this.length += 5
    } else {
      this.#bytes[this.length] = Tag.Double
      this.#view.setFloat64(this.length + 1, value, true)
      this.length += 9
    }
  }
  #string(text: string): void {
    const { length } = text
    this.#reserve(length + 6)
    if (length < 64) {
      const bytes = this.#bytes
      const at = this.length + 1
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) break
        bytes[at + i] = code
      }
      if (i === length) {
        bytes[at - 1] = Tag.ShortAscii + length
        this.length = at + length
        return
      }
    }
    this.#longString(text)
  }
  #longString(text: string): void {
    const utf8 = text.isWellFormed()
    const bytes = utf8 ? Buffer.byteLength(text) : text.length * 2
    this.#tag(!utf8 ? Tag.Utf16 : bytes === text.length ? Tag.Ascii : Tag.Utf8)
    this.#count(bytes)
    this.#reserve(bytes)
    this.#bytes.write(text, this.length, utf8 ? 'utf8' : 'utf16le')
    this.length += bytes
  }
  #bigint(value: bigint): void {
    const hex = value.toString(16)
    this.#tag(Tag.Bigint)
    this.#count(hex.length)
    this.#reserve(hex.length)
    this.#bytes.write(hex, this.length, 'latin1')
    this.length += hex.length
  }
  #object(value: object): void {
    if (++this.#depth > VALUE_DEPTH_MAX) throw new NotSerializable()
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) this.#plain(value as Readonly<Record<string, unknown>>, Tag.NewShape)
    else if (Array.isArray(value) && prototype === Array.prototype) this.#array(value)
    else if (prototype === null) this.#plain(value as Readonly<Record<string, unknown>>, Tag.NewShapeNoPrototype)
    else this.#builtin(value, prototype)
    this.#depth--
  }
  #plain(value: Readonly<Record<string, unknown>>, newTag: number): void {
    const names = Object.keys(value)
    const shape = this.#shapes.indexOf(names)
    if (shape >= 0) {
      this.#tag(newTag + 1)
      this.#count(shape)
    } else {
      this.#tag(newTag)
      this.#count(names.length)
      for (const name of names) this.#string(name)
      this.#shapes.add(names)
    }
    for (let i = 0; i < names.length; i++) this.#write(value[names[i]!])
  }
  #array(value: readonly unknown[]): void {
    this.#tag(Tag.Array)
    this.#count(value.length)
    for (let i = 0; i < value.length; i++) {
      const item = value[i]
      if (item === undefined && !(i in value)) this.#tag(Tag.Hole)
      else this.#write(item)
    }
  }
  #builtin(value: object, prototype: unknown): void {
    if (prototype === Map.prototype) {
      const map = value as Map<unknown, unknown>
      this.#tag(Tag.Map)
      this.#count(map.size)
      for (const [k, v] of map) {
        this.#write(k)
        this.#write(v)
      }
    } else if (prototype === Set.prototype) {
      const set = value as Set<unknown>
      this.#tag(Tag.Set)
      this.#count(set.size)
      for (const item of set) this.#write(item)
    } else if (prototype === Date.prototype) {
      this.#reserve(9)
      this.#bytes[this.length] = Tag.Date
      this.#view.setFloat64(this.length + 1, (value as Date).getTime(), true)
      this.length += 9
    } else if (prototype === ArrayBuffer.prototype) {
      this.#tag(Tag.ArrayBuffer)
      this.#raw(new Uint8Array(value as ArrayBuffer))
    } else {
      const kind = TYPED_ARRAYS.findIndex((type) => prototype === type.prototype)
      if (kind < 0) throw new NotSerializable()
      const array = value as Uint8Array
      this.#tag(Tag.TypedArray)
      this.#tag(kind)
      this.#raw(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    }
  }
  #raw(bytes: Uint8Array): void {
    this.#count(bytes.length)
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }
  #tag(tag: number): void {
    this.#reserve(1)
    this.#bytes[this.length++] = tag
  }
  #count(count: number): void {
    this.#reserve(5)
    let rest = count
    while (rest > 127) {
      this.#bytes[this.length++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#bytes[this.length++] = rest
  }
  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.length + bytes))
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

class NotSerializable extends Error {}

const sharedWriter = new ValueWriter()
