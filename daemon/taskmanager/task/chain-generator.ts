/**
 * Writes the code between the operators of a chain. map, filter and flatMap are fused into what feeds them; the others are objects
 * that are called, each with an output of its own. So each function sees one target at each call, and the engine inlines it. What
 * each of them does is said readably in operators/map.ts and so on, run by class-chain.ts, which the tests compare with this.
 */
import type { RecordBatch } from '../exchange/exchange.js'
import { returnedRecords } from '../operators/flat-map.js'
import { generate } from '../operators/generated-function.js'
import type { Operator, Output } from '../operators/operator.js'
import { isThenable, promiseReturned, usedAfterCall } from '../operators/operator-error.js'
import type { ChainLayout, Target } from './chain-layout.js'

/** The operator last entered, for error messages: written before each call of user code. */
export interface Site {
  operator: number
  /** Tells that it is this task whose code is run; absent where nobody asks (task/slot-sites.ts). */
  enter?(): void
}

const FUSED: ReadonlySet<string> = new Set(['map', 'filter', 'flatMap'])

export class ChainGenerator {
  readonly #bindings: Record<string, unknown>
  /** Declarations that the code at hand needs, before it. */
  #declarations: string[] = []
  #names = 0

  constructor(
    private readonly layout: ChainLayout,
    private readonly operators: ReadonlyMap<number, Operator>,
    site: Site,
    private readonly freeze?: (value: unknown) => void,
  ) {
    this.#bindings = { site, isThenable, promiseReturned, usedAfterCall, returnedRecords, ...(freeze ? { freeze } : {}) }
  }
  isFused(index: number): boolean {
    return FUSED.has(this.layout.nodes[index]!.definition.kind)
  }
  /** The output of an operator that is not fused. The operators behind it must have been made. */
  output(index: number): Output {
    this.#declarations = []
    const main = this.#emit(this.layout.targets(index), 'value', 'timestamp')
    const sides = this.layout.tags(index).map((tag) => {
      const code = this.#emit(this.layout.targets(index, tag), 'value', 'timestamp')
      return `if (tag === ${JSON.stringify(tag)}) {\n${code}\n}`
    })
    return generate<Output>(
      this.#bindings,
      `${this.#declarations.join('\n')}
class ChainOutput {
  collect(value, timestamp) {
${main}
site.operator = ${index}
  }
  side(tag, value, timestamp) {
${sides.join('\n')}
site.operator = ${index}
  }
}
return new ChainOutput()`,
    )
  }
  /** What a frame is given to when the head itself is fused. */
  headLoop(): (batch: RecordBatch) => void {
    this.#declarations = []
    const body = this.#enter(0, 'values[i]', 'hasTimestamps ? timestamps[i] : NaN')
    return generate<(batch: RecordBatch) => void>(
      this.#bindings,
      `${this.#declarations.join('\n')}
return function processBatch(batch) {
  const { values, timestamps, hasTimestamps, count } = batch
  for (let i = 0; i < count; i++) {
${body}
  }
}`,
    )
  }

  #emit(targets: readonly Target[], value: string, timestamp: string): string {
    const frozen = this.freeze ? `freeze(${value})\n` : ''
    return (
      frozen +
      targets
        .map((target) => {
          if (target.kind === 'operator') return this.#enter(target.index, value, timestamp)
          const partition = this.#bind(`partition${target.index}`, this.layout.partitions[target.index]!.partition)
          return `${partition}.emit(${value}, ${timestamp})`
        })
        .join('\n')
    )
  }
  #enter(index: number, value: string, timestamp: string): string {
    const { definition } = this.layout.nodes[index]!
    switch (definition.kind) {
      case 'map':
        return this.#map(index, definition.f, value, timestamp)
      case 'filter':
        return this.#filter(index, definition.f, value, timestamp)
      case 'flatMap':
        return this.#flatMap(index, definition.f, value, timestamp)
      default: {
        const operator = this.#bind(`operator${index}`, this.operators.get(index))
        return `site.operator = ${index}\n${operator}.processElement(${value}, ${timestamp})`
      }
    }
  }
  #map(index: number, f: unknown, value: string, timestamp: string): string {
    const [call, mapped, t] = [this.#bind(`f${index}`, f), this.#name('mapped'), this.#name('t')]
    return `{
site.operator = ${index}
const ${t} = ${timestamp}
const ${mapped} = ${call}(${value})
if (typeof ${mapped} === 'object' && isThenable(${mapped})) throw promiseReturned()
${this.#emit(this.layout.targets(index), mapped, t)}
}`
  }
  #filter(index: number, f: unknown, value: string, timestamp: string): string {
    const [call, kept, v, t] = [this.#bind(`f${index}`, f), this.#name('kept'), this.#name('v'), this.#name('t')]
    return `{
site.operator = ${index}
const ${v} = ${value}
const ${t} = ${timestamp}
const ${kept} = ${call}(${v})
if (${kept}) {
if (${kept} !== true && isThenable(${kept})) throw promiseReturned()
${this.#emit(this.layout.targets(index), v, t)}
}
}`
  }
  /** What is behind a flatMap is a function: both what it collects and what it returns go there. */
  #flatMap(index: number, f: unknown, value: string, timestamp: string): string {
    const [call, call2] = [this.#bind(`f${index}`, f), `flat${index}`]
    this.#declarations.push(`const times${index} = new Float64Array(1)
let inCall${index} = false
function down${index}(value, timestamp) {
${this.#emit(this.layout.targets(index), 'value', 'timestamp')}
site.operator = ${index}
}
const out${index} = { collect(value) {
  if (!inCall${index}) throw usedAfterCall('the collector')
  down${index}(value, times${index}[0])
} }
function ${call2}(value, timestamp) {
  site.operator = ${index}
  times${index}[0] = timestamp
  inCall${index} = true
  const returned = ${call}(value, out${index})
  inCall${index} = false
  if (returned === undefined) return
  const records = returnedRecords(returned)
  for (let i = 0; i < records.length; i++) down${index}(records[i], timestamp)
}`)
    return `${call2}(${value}, ${timestamp})`
  }
  #bind(name: string, value: unknown): string {
    if (value === undefined) throw new Error(`${name} was not made`)
    this.#bindings[name] = value
    return name
  }
  #name(prefix: string): string {
    return `${prefix}${this.#names++}`
  }
}
