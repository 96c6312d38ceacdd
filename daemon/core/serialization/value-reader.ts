import { Tag, TYPED_ARRAYS } from './value-tags.js'

/** Reads what encodeValue wrote. */
export function decodeValue(bytes: Uint8Array): unknown {
  return new ValueReader(bytes).read()
}

interface Shape {
  readonly names: readonly string[]
  uses: number
  make: ((reader: ValueReader) => object) | undefined
}
/** Uses of a shape after which a constructor of its own is compiled. */
const COMPILE_AFTER = 16

/** Reads one stream of values (see value-codec.ts). It copies: what it returns does not depend on the bytes any more. */
export class ValueReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #shapes: Shape[] = []
  position: number

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }
  get isAtEnd(): boolean {
    return this.position >= this.#bytes.length
  }
  /** Throws a RangeError or an Error where the bytes are cut off or not of this format. */
  read(): unknown {
    const tag = this.#byte()
    if (tag >= Tag.SmallInt) return tag - Tag.SmallInt
    if (tag >= Tag.ShortAscii) return this.#ascii(tag - Tag.ShortAscii)
    switch (tag) {
      case Tag.Undefined:
        return undefined
      case Tag.Null:
        return null
      case Tag.False:
        return false
      case Tag.True:
        return true
      case Tag.Int32:
        this.position += 4
        return this.#view.getInt32(this.position - 4, true)
      case Tag.Double:
        return this.#double()
      case Tag.Array:
        return this.#array()
      case Tag.NewShape:
        return this.#object(this.#newShape())
      case Tag.Shape:
        return this.#object(this.#shape())
      default:
        return this.#rare(tag)
    }
  }
  #rare(tag: number): unknown {
    switch (tag) {
      case Tag.Ascii:
        return this.#ascii(this.#count())
      case Tag.Utf8:
        return this.#text('utf8')
      case Tag.Utf16:
        return this.#text('utf16le')
      case Tag.Bigint:
        return this.#bigint()
      case Tag.NewShapeNoPrototype:
        return this.#bare(this.#newShape())
      case Tag.ShapeNoPrototype:
        return this.#bare(this.#shape())
      case Tag.Map:
        return this.#map()
      case Tag.Set:
        return this.#set()
      case Tag.Date:
        return new Date(this.#double())
      case Tag.TypedArray:
        return this.#typedArray()
      case Tag.ArrayBuffer:
        return this.#raw().buffer
      default:
        throw new Error(`not a value: tag 0x${tag.toString(16)} at ${this.position - 1}`)
    }
  }
  #byte(): number {
    const byte = this.#bytes[this.position++]
    if (byte === undefined) throw new RangeError('a value is cut off')
    return byte
  }
  #count(): number {
    let count = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byte()
      count |= (byte & 127) << shift
      if (byte < 128) return count >>> 0
    }
  }
  #double(): number {
    this.position += 8
    return this.#view.getFloat64(this.position - 8, true)
  }
  #advance(bytes: number): number {
    const at = this.position
    this.position += bytes
    if (this.position > this.#bytes.length) throw new RangeError('a value is cut off')
    return at
  }
  #ascii(length: number): string {
    const at = this.#advance(length)
    return length < 16 ? shortAscii(this.#bytes, at, length) : this.#bytes.toString('latin1', at, at + length)
  }
  #text(encoding: 'utf8' | 'utf16le'): string {
    const length = this.#count()
    const at = this.#advance(length)
    return this.#bytes.toString(encoding, at, at + length)
  }
  #bigint(): bigint {
    const hex = this.#ascii(this.#count())
    return hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`)
  }
  #array(): unknown[] {
    const length = this.#count()
    if (length > this.#bytes.length - this.position) throw new RangeError('a value is cut off')
    const array: unknown[] = []
    for (let i = 0; i < length; i++) {
      if (this.#bytes[this.position] !== Tag.Hole) array.push(this.read())
      else {
        this.position++
        array.length = i + 1
      }
    }
    return array
  }
  #newShape(): Shape {
    const names = Array.from({ length: this.#count() }, () => String(this.read()))
    const shape: Shape = { names, uses: 0, make: undefined }
    this.#shapes.push(shape)
    return shape
  }
  #shape(): Shape {
    const index = this.#count()
    const shape = this.#shapes[index]
    if (!shape) throw new Error(`not a value: shape ${index} of ${this.#shapes.length}`)
    return shape
  }
  #object(shape: Shape): object {
    if (shape.make) return shape.make(this)
    if (++shape.uses === COMPILE_AFTER) shape.make = compile(shape.names)
    const object: Record<string, unknown> = {}
    for (const name of shape.names) define(object, name, this.read())
    return object
  }
  #bare(shape: Shape): object {
    const object = Object.create(null) as Record<string, unknown>
    for (const name of shape.names) object[name] = this.read()
    return object
  }
  #map(): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>()
    for (let rest = this.#count(); rest > 0; rest--) {
      const key = this.read()
      map.set(key, this.read())
    }
    return map
  }
  #set(): Set<unknown> {
    const set = new Set<unknown>()
    for (let rest = this.#count(); rest > 0; rest--) set.add(this.read())
    return set
  }
  #raw(): Uint8Array<ArrayBuffer> {
    const length = this.#count()
    const at = this.#advance(length)
    return new Uint8Array(this.#bytes.subarray(at, at + length))
  }
  #typedArray(): object {
    const kind = this.#byte()
    const type = TYPED_ARRAYS[kind]
    if (!type) throw new Error(`not a value: typed array of kind ${kind}`)
    const { buffer } = this.#raw()
    return type === Buffer ? Buffer.from(buffer) : new (type as typeof Uint8Array)(buffer)
  }
}

/** An own property whatever its name, '__proto__' included. */
function define(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  else object[name] = value
}

function compile(names: readonly string[]): (reader: ValueReader) => object {
  const fields = names.map((name) => `${propertyKey(name)}: r.read()`)
  return new Function('r', `return { ${fields.join(', ')} }`) as (reader: ValueReader) => object
}

/** A name as it stands in an object literal; computed where a literal would set the prototype. */
export function propertyKey(name: string): string {
  return name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)
}

const { fromCharCode } = String

function shortAscii(bytes: Uint8Array, start: number, length: number): string {
  let text = ''
  let at = start
  let rest = length
  for (; rest >= 4; rest -= 4, at += 4) text += fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!)
  if (rest === 3) return text + fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!)
  if (rest === 2) return text + fromCharCode(bytes[at]!, bytes[at + 1]!)
  return rest === 1 ? text + fromCharCode(bytes[at]!) : text
}
