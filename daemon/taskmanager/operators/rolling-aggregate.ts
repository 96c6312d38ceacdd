import type { RollingAggregateDefinition } from '#core/functions/operator-definition.js'
import { valueState } from '#core/state/state.js'
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
  switch (aggregate) {
    case 'sum':
      return (a, b) => ({ ...a, [field]: a[field]! + b[field]! })
    case 'min':
      return (a, b) => (b[field]! < a[field]! ? { ...a, [field]: b[field]! } : a)
    case 'max':
      return (a, b) => (b[field]! > a[field]! ? { ...a, [field]: b[field]! } : a)
    case 'minBy':
      return (a, b) => (b[field]! < a[field]! ? b : a)
    case 'maxBy':
      return (a, b) => (b[field]! > a[field]! ? b : a)
  }
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
