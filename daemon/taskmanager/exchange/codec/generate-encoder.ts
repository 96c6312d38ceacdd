/**
 * Compiles a schema into a function that writes one record as a row. Each variant is tried in turn: first everything is checked and
 * measured (nothing is written for a record that does not fit, or that has no room), then written at offsets known when compiled.
 */
import { encodeValue } from '#core/serialization/value-codec.js'
import { RECORDS_PER_FRAME_MAX, STRING_LENGTH_MAX, STRING_NULL, STRING_UNDEFINED } from '#protocol/frames/record-batch.js'
import type { Field, RecordSchema } from '#protocol/frames/schema.js'

/** What a row is written into: the open frame of a channel. */
export interface RowTarget {
  view: DataView
  /** Where the next row begins. */
  at: number
  /** Bytes that rows and heap may still take; the heap is counted by `heapScale`. */
  room: number
  count: number
  heap: string
  /** Bytes that a character of the heap is expected to take, times 256. */
  heapScale: number
  /** Rows have a time stamp. */
  timestamps: boolean
}
export const Encoded = { Misfit: 0, Written: 1, NoRoom: 2 } as const
/** NoRoom: also where the record has a time stamp and the open frame has none. */
export type RecordEncoder = (target: RowTarget, value: unknown, hash: number, timestamp: number) => 0 | 1 | 2

export function generateEncoder(schema: RecordSchema, hashes: boolean): RecordEncoder {
  if (schema.length === 0) return () => Encoded.Misfit
  const dispatched = schema.length > 1 ? objectVariants(schema) : []
  const variants = schema.map((variant, i) => new EncoderSource(hashes).compile(variant, i, dispatched.includes(i)))
  if (variants.length === 1) return variants[0]!
  const others = variants.flatMap((_, i) => (dispatched.includes(i) ? [] : [attempt(i)]))
  const source = `
    const objectPrototype = Object.prototype
    return function encode(w, v, hash, ts) {
      let r = ${Encoded.Misfit}
      ${dispatched.length > 0 ? dispatchByShape(schema, dispatched) : ''}
      ${others.join('\n')}
      return ${Encoded.Misfit}
    }`
  return new Function(...variants.map((_, i) => `e${i}`), source)(...variants) as RecordEncoder
}

function attempt(variant: number): string {
  return `r = e${variant}(w, v, hash, ts); if (r !== ${Encoded.Misfit}) return r`
}

/** Indexes of the variants that are told apart by their names. */
function objectVariants(schema: RecordSchema): number[] {
  return schema.flatMap((variant, i) => (variant.kind === 'object' && !variant.nullable ? [i] : []))
}

/** One walk over the record's names, through a tree of the variants' names, in place of one walk for each variant. */
function dispatchByShape(schema: RecordSchema, variants: readonly number[]): string {
  const steps: Map<string, number>[] = [new Map()]
  const ends = new Map<number, number[]>()
  for (const variant of variants) {
    const { names } = schema[variant] as Field & { kind: 'object' }
    let state = 0
    for (const name of names) {
      const next = steps[state]!.get(name) ?? steps.push(new Map()) - 1
      steps[state]!.set(name, next)
      state = next
    }
    ends.set(state, [...(ends.get(state) ?? []), variant])
  }
  const cases = steps.map((step, state) => {
    const choices = [...step].map(([name, next]) => `k === ${JSON.stringify(name)} ? ${next} : `)
    return `case ${state}: s = ${choices.join('')}-1; break`
  })
  const found = [...ends].map(([state, fitting]) => `case ${state}: ${fitting.map(attempt).join('\n')}\nbreak`)
  return `
    if (typeof v === 'object' && v !== null && v.__proto__ === objectPrototype) {
      let s = 0
      for (const k in v) { switch (s) { ${cases.join('\n')} } }
      switch (s) { ${found.join('\n')} }
    }`
}

/** The record's part as a general value; where it can not be sent, the error names the path from the record. */
function encodeGeneral(part: unknown, record: unknown): Uint8Array {
  try {
    return encodeValue(part)
  } catch {
    return encodeValue(record)
  }
}

/**
 * What is not obvious in the generated code: `__proto__` is compiled to a constant for records of one shape, `Object.getPrototypeOf`
 * to a call; `Object.is` is a call, too, hence the arithmetic that keeps -0 out of integers; `for in` over a shape that the engine knows
 * only compares pointers.
 */
class EncoderSource {
  readonly #checks: string[] = []
  readonly #writes: string[] = []
  /** Bytes of a row known now, and those written since `at` was last moved. */
  #fixed = 0
  #offset = 0
  #names = 0
  #any = false

  constructor(private readonly hashes: boolean) {}

  /** `isShapeKnown`: it is called for plain objects with the variant's names only. */
  compile(variant: Field, index: number, isShapeKnown: boolean): RecordEncoder {
    if (isShapeKnown && variant.kind === 'object') this.#checkFields(variant, 'v', true)
    else this.#check(variant, 'v', true)
    this.#write(variant, 'v')
    this.#moveAt()
    const head = this.hashes ? 5 : 1
    const source = `
      const objectPrototype = Object.prototype, arrayPrototype = Array.prototype, { isArray } = Array
      return function encodeVariant(w, v, hash, ts) {
        let size = ${head + this.#fixed}, chars = 0${this.#any ? ', any = [], next = 0' : ''}
        ${this.#checks.join('\n')}
        if (w.timestamps) size += 8
        else if (ts === ts) return ${Encoded.NoRoom}
        const room = w.room
        if (chars > room) return ${Encoded.NoRoom}
        size += (chars * w.heapScale) >> 8
        if (size > room || w.count >= ${RECORDS_PER_FRAME_MAX}) return ${Encoded.NoRoom}
        const view = w.view
        let at = w.at, heap = w.heap
        view.setUint8(at, ${index})
        ${this.hashes ? 'view.setInt32(at + 1, hash, true)' : ''}
        at += ${head}
        if (w.timestamps) { view.setFloat64(at, ts, true); at += 8 }
        ${this.#writes.join('\n')}
        w.at = at
        w.heap = heap
        w.room = room - size
        w.count++
        return ${Encoded.Written}
      }`
    return new Function('general', source)(encodeGeneral) as RecordEncoder
  }

  #name(): string {
    return `x${this.#names++}`
  }
  /** Size that is part of every row, or (within a branch or loop) added when it occurs. */
  #count(bytes: number, fixed: boolean): void {
    if (fixed) this.#fixed += bytes
    else this.#checks.push(`size += ${bytes}`)
  }
  #check(field: Field, x: string, fixed: boolean) {
    const { kind, nullable } = field
    const checks = this.#checks
    switch (kind) {
      case 'int':
      case 'double': {
        const misfit =
          kind === 'int' ? `typeof ${x} !== 'number' || (${x} | 0) !== ${x} || (${x} === 0 && 1 / ${x} < 0)` : `typeof ${x} !== 'number'`
        checks.push(nullable ? `if (${x} != null && (${misfit})) return 0` : `if (${misfit}) return 0`)
        return this.#count((kind === 'int' ? 4 : 8) + (nullable ? 1 : 0), fixed)
      }
      case 'boolean':
        checks.push(`if (${x} !== true && ${x} !== false${nullable ? ` && ${x} != null` : ''}) return 0`)
        return this.#count(1, fixed)
      case 'string':
        checks.push(`if (typeof ${x} === 'string') { const n = ${x}.length; if (n > ${STRING_LENGTH_MAX}) return 0; chars += n }`)
        checks.push(nullable ? `else if (${x} != null) return 0` : 'else return 0')
        return this.#count(2, fixed)
      case 'any':
        this.#any = true
        checks.push(`{ const b = general(${x}, v); any.push(b); size += b.length }`)
        return this.#count(4, fixed)
      case 'none':
        checks.push(nullable ? `if (${x} != null) return 0` : 'return 0')
        return this.#count(nullable ? 1 : 0, fixed)
      default:
        return this.#checkNested(field, x, fixed)
    }
  }
  #checkNested(field: Field & { kind: 'object' | 'tuple' | 'array' }, x: string, fixed: boolean): void {
    const inside = fixed && !field.nullable
    if (field.nullable) {
      this.#count(1, fixed)
      this.#checks.push(`if (${x} != null) {`)
    }
    if (field.kind === 'object') this.#checkObject(field, x, inside)
    else {
      this.#checks.push(`if (!isArray(${x}) || ${x}.__proto__ !== arrayPrototype) return 0`)
      if (field.kind === 'tuple') this.#checkTuple(field, x, inside)
      else this.#checkArray(field, x, inside)
    }
    if (field.nullable) this.#checks.push('}')
  }
  #checkObject(field: Field & { kind: 'object' }, x: string, fixed: boolean): void {
    const i = this.#name()
    const k = this.#name()
    const cases = field.names.map((name, index) => `case ${index}: if (${k} !== ${JSON.stringify(name)}) return 0; break`)
    this.#checks.push(
      `if (typeof ${x} !== 'object' || ${x} === null || ${x}.__proto__ !== objectPrototype) return 0`,
      `let ${i} = 0`,
      `for (const ${k} in ${x}) { switch (${i}++) { ${cases.join('\n')}\ndefault: return 0 } }`,
      `if (${i} !== ${field.names.length}) return 0`,
    )
    this.#checkFields(field, x, fixed)
  }
  #checkFields(field: Field & { kind: 'object' }, x: string, fixed: boolean): void {
    field.names.forEach((name, index) => {
      const value = this.#name()
      this.#checks.push(`const ${value} = ${x}[${JSON.stringify(name)}]`)
      this.#check(field.fields[index]!, value, fixed)
    })
  }
  #checkTuple(field: Field & { kind: 'tuple' }, x: string, fixed: boolean): void {
    this.#checks.push(`if (${x}.length !== ${field.items.length}) return 0`)
    field.items.forEach((item, index) => {
      const value = this.#name()
      this.#checks.push(`const ${value} = ${x}[${index}]`)
      if (item.nullable || item.kind === 'any') this.#checks.push(`if (${value} === undefined && !(${index} in ${x})) return 0`)
      this.#check(item, value, fixed)
    })
  }
  #checkArray(field: Field & { kind: 'array' }, x: string, fixed: boolean): void {
    this.#count(2, fixed)
    const i = this.#name()
    const value = this.#name()
    this.#checks.push(
      `if (${x}.length > 65535) return 0`,
      `for (let ${i} = 0; ${i} < ${x}.length; ${i}++) {`,
      `const ${value} = ${x}[${i}]`,
    )
    if (field.item.nullable || field.item.kind === 'any') this.#checks.push(`if (${value} === undefined && !(${i} in ${x})) return 0`)
    this.#check(field.item, value, false)
    this.#checks.push('}')
  }

  /** Brings `at` up to date before a part whose length is not known now. */
  #moveAt(): void {
    if (this.#offset > 0) this.#writes.push(`at += ${this.#offset}`)
    this.#offset = 0
  }
  #put(bytes: number, set: (at: string) => string): void {
    this.#writes.push(set(this.#offset > 0 ? `at + ${this.#offset}` : 'at'))
    this.#offset += bytes
  }
  #write(field: Field, x: string) {
    const { kind, nullable } = field
    const value = nullable ? `${x} == null ? 0 : ${x}` : x
    switch (kind) {
      case 'int':
        if (nullable) this.#putNull(x)
        return this.#put(4, (at) => `view.setInt32(${at}, ${value}, true)`)
      case 'double':
        if (nullable) this.#putNull(x)
        return this.#put(8, (at) => `view.setFloat64(${at}, ${value}, true)`)
      case 'boolean':
        return this.#put(1, (at) => `view.setUint8(${at}, ${nullable ? `${x} === null ? 2 : ${x} === undefined ? 3 : ` : ''}${x} ? 1 : 0)`)
      case 'string':
        return this.#put(2, (at) => {
          const write = `view.setUint16(${at}, ${x}.length, true); heap += ${x}`
          if (!nullable) return write
          return `if (${x} == null) view.setUint16(${at}, ${x} === null ? ${STRING_NULL} : ${STRING_UNDEFINED}, true)\nelse { ${write} }`
        })
      case 'any':
        this.#moveAt()
        this.#writes.push(`{ const b = any[next++]; view.setUint32(at, b.length, true); at += 4`)
        this.#writes.push('for (let i = 0; i < b.length; i++) view.setUint8(at + i, b[i])\nat += b.length }')
        return
      case 'none':
        return nullable ? this.#putNull(x) : undefined
      default:
        return this.#writeNested(field, x)
    }
  }
  #putNull(x: string): void {
    this.#put(1, (at) => `view.setUint8(${at}, ${x} === null ? 1 : ${x} === undefined ? 2 : 0)`)
  }
  #writeNested(field: Field & { kind: 'object' | 'tuple' | 'array' }, x: string): void {
    if (field.nullable) {
      this.#putNull(x)
      this.#moveAt()
      this.#writes.push(`if (${x} != null) {`)
    }
    if (field.kind === 'array') this.#writeArray(field, x)
    else {
      const fields = field.kind === 'object' ? field.fields : field.items
      fields.forEach((item, index) => {
        const value = this.#name()
        this.#writes.push(`const ${value} = ${x}[${field.kind === 'object' ? JSON.stringify(field.names[index]) : index}]`)
        this.#write(item, value)
      })
    }
    if (field.nullable) {
      this.#moveAt()
      this.#writes.push('}')
    }
  }
  #writeArray(field: Field & { kind: 'array' }, x: string): void {
    const i = this.#name()
    const value = this.#name()
    this.#put(2, (at) => `view.setUint16(${at}, ${x}.length, true)`)
    this.#moveAt()
    this.#writes.push(`for (let ${i} = 0; ${i} < ${x}.length; ${i}++) {`, `const ${value} = ${x}[${i}]`)
    this.#write(field.item, value)
    this.#moveAt()
    this.#writes.push('}')
  }
}
