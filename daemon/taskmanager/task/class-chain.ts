/** The plain way to link operators: one shared class, a loop over what reads it. The reference that generated chains are tested against. */
import type { Operator, Output } from '../operators/operator.js'
import type { Site } from './chain-generator.js'
import type { ChainLayout } from './chain-layout.js'

type Reader = (value: unknown, timestamp: number) => void

export class ClassOutput implements Output {
  readonly #main: readonly Reader[]
  readonly #sides: ReadonlyMap<string, readonly Reader[]>

  /** The operators behind it must have been made. */
  constructor(
    private readonly layout: ChainLayout,
    private readonly operators: ReadonlyMap<number, Operator>,
    private readonly site: Site,
    private readonly index: number,
    private readonly freeze?: (value: unknown) => void,
  ) {
    this.#main = this.#readers(undefined)
    this.#sides = new Map(layout.tags(index).map((tag) => [tag, this.#readers(tag)]))
  }
  #readers(tag: string | undefined): readonly Reader[] {
    return this.layout.targets(this.index, tag).map((target): Reader => {
      if (target.kind === 'partition') {
        const { partition } = this.layout.partitions[target.index]!
        return (value, timestamp) => partition.emit(value, timestamp)
      }
      const operator = this.operators.get(target.index)!
      return (value, timestamp) => {
        this.site.operator = target.index
        operator.processElement(value, timestamp)
      }
    })
  }
  collect(value: unknown, timestamp: number): void {
    this.#emit(this.#main, value, timestamp)
  }
  side(tag: string, value: unknown, timestamp: number): void {
    const readers = this.#sides.get(tag)
    if (readers) this.#emit(readers, value, timestamp)
  }
  #emit(readers: readonly Reader[], value: unknown, timestamp: number): void {
    this.freeze?.(value)
    for (const read of readers) read(value, timestamp)
    this.site.operator = this.index
  }
}
