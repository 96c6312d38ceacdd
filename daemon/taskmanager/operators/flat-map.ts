import { FlottError } from '#core/errors.js'
import type { FlatMapDefinition } from '#core/functions/operator-definition.js'
import { AbstractOperator } from './abstract-operator.js'
import type { Output } from './operator.js'
import { isThenable, promiseReturned, usedAfterCall } from './operator-error.js'

type FlatMap = (record: unknown, out: { collect: (record: unknown) => void }) => unknown

/** The readable form of what task/chain-generator.ts writes in line. */
export class FlatMapOperator extends AbstractOperator {
  readonly #f: FlatMap
  #timestamp = Number.NaN
  #inCall = false
  readonly #collector = {
    collect: (record: unknown): void => {
      if (!this.#inCall) throw usedAfterCall('the collector')
      this.output.collect(record, this.#timestamp)
    },
  }
  constructor(
    definition: FlatMapDefinition,
    private readonly output: Output,
  ) {
    super()
    this.#f = definition.f as unknown as FlatMap
  }
  processElement(value: unknown, timestamp: number): void {
    this.#timestamp = timestamp
    this.#inCall = true
    const returned = this.#f(value, this.#collector)
    this.#inCall = false
    if (returned === undefined) return
    for (const record of returnedRecords(returned)) this.output.collect(record, timestamp)
  }
}

/** What a flatMap returned, which must be an array. */
export function returnedRecords(returned: unknown): readonly unknown[] {
  if (Array.isArray(returned)) return returned
  if (returned === null) return []
  if (isThenable(returned)) throw promiseReturned()
  throw new FlottError('USER_FUNCTION_FAILED', `a flatMap returns an array or nothing, not ${typeof returned}`)
}
