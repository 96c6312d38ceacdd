import type { ReduceDefinition } from '#core/functions/operator-definition.js'
import { type ValueState, valueState } from '#core/state/state.js'
import { generate } from './generated-function.js'
import { type Handle, KeyedOperator } from './keyed-operator.js'
import type { OperatorContext } from './operator.js'
import { isThenable, promiseReturned } from './operator-error.js'

const reduced = valueState<unknown>('reduced')

/** Rolling reduce: each record is folded into what its key has so far, which is emitted. */
export class ReduceOperator extends KeyedOperator {
  constructor(ctx: OperatorContext) {
    super(ctx, (ctx.definition as ReduceDefinition).key)
  }
  protected handler(): Handle {
    const { f } = this.ctx.definition as ReduceDefinition
    return generateReduce(f as (a: unknown, b: unknown) => unknown, this.backend.state(reduced), this.ctx.output)
  }
}

/** `f(before, record)` where the key has a value, the record itself where it has none. */
export function generateReduce(
  f: (a: unknown, b: unknown) => unknown,
  state: ValueState<unknown>,
  output: OperatorContext['output'],
): Handle {
  const check = (value: unknown) => {
    if (isThenable(value)) throw promiseReturned()
  }
  return generate<Handle>(
    { f, state, output, check },
    `return function reduce(value, timestamp) {
  const before = state.value
  const after = before === undefined ? value : f(before, value)
  if (typeof after === 'object' && after !== null && after.then !== undefined) check(after)
  state.value = after
  output.collect(after, timestamp)
}`,
  )
}
