import type { FilterDefinition } from '#core/functions/operator-definition.js'
import { AbstractOperator } from './abstract-operator.js'
import type { Output } from './operator.js'
import { isThenable, promiseReturned } from './operator-error.js'

/** The readable form of what task/chain-generator.ts writes in line. */
export class FilterOperator extends AbstractOperator {
  readonly #f: (record: unknown) => unknown
  constructor(
    definition: FilterDefinition,
    private readonly output: Output,
  ) {
    super()
    this.#f = definition.f as (record: unknown) => unknown
  }
  processElement(value: unknown, timestamp: number): void {
    const kept = this.#f(value)
    if (isThenable(kept)) throw promiseReturned()
    if (kept) this.output.collect(value, timestamp)
  }
}
