/** Compiles a schema into a function that reads the rows of a record frame into a batch. The mirror of generate-encoder.ts. */
import { decodeValue, propertyKey } from '#core/serialization/value-codec.js'
import { MISFIT, RecordsFlag, STRING_NULL } from '#protocol/frames/record-batch.js'
import type { Field, RecordSchema } from '#protocol/frames/schema.js'
import type { RecordBatch } from '../exchange.js'

/** `at`: of the first row, in `view` and `bytes`; `heap`: all strings of the frame. */
export type RowsDecoder = (
  batch: RecordBatch,
  count: number,
  view: DataView,
  bytes: Uint8Array,
  at: number,
  heap: string,
  flags: number,
) => void

const CACHE_SIZE_MAX = 256
const cache = new Map<string, RowsDecoder>()

/** Channels whose schemas are equal share a decoder, so that a gate with many channels stays on one piece of compiled code. */
export function decoderOf(schema: RecordSchema): RowsDecoder {
  const key = JSON.stringify(schema)
  const known = cache.get(key)
  if (known) return known
  if (cache.size >= CACHE_SIZE_MAX) cache.delete(cache.keys().next().value!)
  const decoder = generateDecoder(schema)
  cache.set(key, decoder)
  return decoder
}

export function generateDecoder(schema: RecordSchema): RowsDecoder {
  const cases = schema.map((variant, i) => `case ${i}: { ${new DecoderSource().variant(variant)}\nbreak }`)
  const source = `
    return function decode(batch, count, view, bytes, start, heap, flags) {
      const { values, hashes, timestamps } = batch
      let at = start, hp = 0
      for (let i = 0; i < count; i++) {
        const variant = view.getUint8(at)
        at += 1
        if (flags & ${RecordsFlag.Hashes}) { hashes[i] = view.getInt32(at, true); at += 4 }
        if (flags & ${RecordsFlag.Timestamps}) { timestamps[i] = view.getFloat64(at, true); at += 8 }
        switch (variant) {
          ${cases.join('\n')}
          case ${MISFIT}: {
            const n = view.getUint32(at, true)
            at += 4
            values[i] = decodeValue(bytes.subarray(at, at + n))
            at += n
            break
          }
          default: throw new Error('a row of the unknown variant ' + variant)
        }
      }
    }`
  return new Function('decodeValue', source)(decodeValue) as RowsDecoder
}

class DecoderSource {
  readonly #lines: string[] = []
  #offset = 0
  #names = 0

  variant(field: Field): string {
    const value = this.#read(field)
    this.#moveAt()
    return `${this.#lines.join('\n')}\nvalues[i] = ${value}`
  }
  #name(): string {
    return `x${this.#names++}`
  }
  #moveAt(): void {
    if (this.#offset > 0) this.#lines.push(`at += ${this.#offset}`)
    this.#offset = 0
  }
  #take(bytes: number): string {
    const at = this.#offset > 0 ? `at + ${this.#offset}` : 'at'
    this.#offset += bytes
    return at
  }
  #let(value: string): string {
    const name = this.#name()
    this.#lines.push(`const ${name} = ${value}`)
    return name
  }
  /** Adds the lines that read a field; returns the expression of its value. */
  #read(field: Field): string {
    const { kind, nullable } = field
    switch (kind) {
      case 'int':
      case 'double': {
        const missing = nullable ? this.#let(`view.getUint8(${this.#take(1)})`) : ''
        const number = this.#let(kind === 'int' ? `view.getInt32(${this.#take(4)}, true)` : `view.getFloat64(${this.#take(8)}, true)`)
        return nullable ? this.#let(`${missing} === 0 ? ${number} : ${missing} === 1 ? null : undefined`) : number
      }
      case 'boolean': {
        const byte = this.#let(`view.getUint8(${this.#take(1)})`)
        return this.#let(nullable ? `${byte} < 2 ? ${byte} === 1 : ${byte} === 2 ? null : undefined` : `${byte} === 1`)
      }
      case 'string':
        return this.#string(nullable)
      case 'any':
        return this.#any()
      case 'none':
        return nullable ? this.#let(`view.getUint8(${this.#take(1)}) === 1 ? null : undefined`) : 'undefined'
      default:
        return nullable ? this.#nullable(field) : this.#nested(field)
    }
  }
  #string(nullable: boolean): string {
    const n = this.#let(`view.getUint16(${this.#take(2)}, true)`)
    if (!nullable) return this.#let(`heap.substring(hp, hp += ${n})`)
    return this.#let(`${n} < ${STRING_NULL} ? heap.substring(hp, hp += ${n}) : ${n} === ${STRING_NULL} ? null : undefined`)
  }
  #any(): string {
    const n = this.#let(`view.getUint32(${this.#take(4)}, true)`)
    this.#moveAt()
    const value = this.#let(`decodeValue(bytes.subarray(at, at + ${n}))`)
    this.#lines.push(`at += ${n}`)
    return value
  }
  #nullable(field: Field & { kind: 'object' | 'tuple' | 'array' }): string {
    const missing = this.#let(`view.getUint8(${this.#take(1)})`)
    this.#moveAt()
    const name = this.#name()
    this.#lines.push(`let ${name}`, `if (${missing} === 0) {`)
    const value = this.#nested(field)
    this.#moveAt()
    this.#lines.push(`${name} = ${value}`, `} else if (${missing} === 1) ${name} = null`)
    return name
  }
  #nested(field: Field & { kind: 'object' | 'tuple' | 'array' }): string {
    if (field.kind === 'array') return this.#array(field.item)
    if (field.kind === 'tuple') return `[${field.items.map((item) => this.#read(item)).join(', ')}]`
    const properties = field.names.map((name, i) => `${propertyKey(name)}: ${this.#read(field.fields[i]!)}`)
    return `{ ${properties.join(', ')} }`
  }
  #array(item: Field): string {
    const n = this.#let(`view.getUint16(${this.#take(2)}, true)`)
    this.#moveAt()
    const array = this.#let('[]')
    const i = this.#name()
    this.#lines.push(`for (let ${i} = 0; ${i} < ${n}; ${i}++) {`)
    const value = this.#read(item)
    this.#moveAt()
    this.#lines.push(`${array}.push(${value})`, '}')
    return array
  }
}
