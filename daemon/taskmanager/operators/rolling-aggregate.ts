import type { RollingAggregateDefinition } from '#core/functions/operator-definition.js'
import { valueState } from '#core/state/state.js'
import { generate } from './generated-function.js'
import { type Handle, KeyedOperator } from './keyed-operator.js'
import type { OperatorContext } from './operator.js'
import { generateReduce } from './reduce.js'

type Row = Readonly<Record<string, number>>
type Fold = (a: Row, b: Row) => Row

const aggregated = valueState<unknown>('aggregated')

/**
 * How two records become one. sum, min and max keep the first record's other fields, minBy and maxBy keep a whole record, the first of
 * equals (Flink: SumAggregator, ComparableAggregator).
 */
export function rollingFold(aggregate: RollingAggregateDefinition['aggregate'], field: string): Fold {
  const name = JSON.stringify(field)
  const [a, b] = [`a[${name}]`, `b[${name}]`]
  // The name is part of the source: a copy with a field whose name is known is several times as fast.
  const bodies = {
    sum: `({ ...a, [${name}]: ${a} + ${b} })`,
    min: `${b} < ${a} ? { ...a, [${name}]: ${b} } : a`,
    max: `${b} > ${a} ? { ...a, [${name}]: ${b} } : a`,
    minBy: `${b} < ${a} ? b : a`,
    maxBy: `${b} > ${a} ? b : a`,
  }
  return generate<Fold>({}, `return (a, b) => ${bodies[aggregate]}`)
}

/** keyBy(…).sum, min, max, minBy, maxBy: emits the aggregate so far with each record. */
export class RollingAggregateOperator extends KeyedOperator {
  constructor(ctx: OperatorContext) {
    super(ctx, (ctx.definition as RollingAggregateDefinition).key)
  }
  protected handler(): Handle {
    const { aggregate, field } = this.ctx.definition as RollingAggregateDefinition
    const fold = rollingFold(aggregate, field) as (a: unknown, b: unknown) => unknown
    return generateReduce(fold, this.backend.state(aggregated), this.ctx.output)
  }
}
