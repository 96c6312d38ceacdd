/** The plain way to link operators: one shared class, a loop over what reads it. The reference that generated chains are tested against. */
import type { Operator, Output } from '../operators/operator.js'
import type { Site } from './chain-generator.js'
import type { ChainLayout } from './chain-layout.js'

export class ClassOutput implements Output {
  constructor(
    private readonly layout: ChainLayout,
    private readonly operators: ReadonlyMap<number, Operator>,
    private readonly site: Site,
    private readonly index: number,
    private readonly freeze?: (value: unknown) => void,
  ) {}
  collect(value: unknown, timestamp: number): void {
    this.#emit(undefined, value, timestamp)
  }
  side(tag: string, value: unknown, timestamp: number): void {
    this.#emit(tag, value, timestamp)
  }
  #emit(tag: string | undefined, value: unknown, timestamp: number): void {
    this.freeze?.(value)
    for (const target of this.layout.targets(this.index, tag)) {
      if (target.kind === 'partition') this.layout.partitions[target.index]!.partition.emit(value, timestamp)
      else {
        this.site.operator = target.index
        this.operators.get(target.index)!.processElement(value, timestamp)
      }
    }
    this.site.operator = this.index
  }
}
