/**
 * keyBy(…).sum, min, max, minBy, maxBy. sum, min and max keep the first record's other fields, minBy and maxBy keep a whole record, the
 * first of equals (Flink: SumAggregator, ComparableAggregator).
 */
import type { RollingAggregateDefinition } from '#core/functions/operator-definition.js'
import { valueState } from '#core/state/state.js'
import type { EntryValueState } from '../state/value-state.js'
import { generate } from './generated-function.js'
import { type Handle, KeyedOperator } from './keyed-operator.js'
import type { OperatorContext } from './operator.js'
import { generateReduce } from './reduce.js'

type Row = Readonly<Record<string, number>>
/** From the aggregate before and the record that comes to the new aggregate. */
type Fold<T> = (a: Row, b: Row) => T

const aggregated = valueState<unknown>('aggregated')

/** Shapes that a fold is written for, one after the other, before it lives with spreads. */
const SHAPES_MAX = 8

/** How two records become one. */
export function rollingFold(aggregate: RollingAggregateDefinition['aggregate'], field: string): Fold<Row> {
  const copyWith = (value: string) => `{ ...a, [${JSON.stringify(field)}]: ${value} }`
  return generate<Fold<Row>>({}, `return (a, b) => ${folded(aggregate, field, copyWith)}`)
}

/**
 * sum, min or max where the aggregate has the names of `sample`, which are written out: a spread takes eight times as long. Undefined for
 * other aggregates, and where the field is no number.
 */
export function foldOfShape(aggregate: RollingAggregateDefinition['aggregate'], field: string, sample: object): Fold<Row | undefined> {
  const names = Object.keys(sample)
  if (!names.includes(field) || names.includes('__proto__')) return () => undefined
  const properties = names.map((name) => ({ name, text: JSON.stringify(name) }))
  const copyWith = (value: string) =>
    `{ ${properties.map(({ name, text }) => `${text}: ${name === field ? value : `a[${text}]`}`).join(', ')} }`
  const checks = properties.map(({ text }, i) => `case ${i}: if (name !== ${text}) return undefined; break`)
  return generate<Fold<Row | undefined>>(
    { plain: Object.prototype },
    `return (a, b) => {
  if (a.__proto__ !== plain) return undefined
  let i = 0
  for (const name in a) { switch (i++) { ${checks.join('\n')}\ndefault: return undefined } }
  if (i !== ${names.length} || typeof b[${JSON.stringify(field)}] !== 'number') return undefined
  return ${folded(aggregate, field, copyWith)}
}`,
  )
}

function folded(aggregate: RollingAggregateDefinition['aggregate'], field: string, copyWith: (value: string) => string): string {
  const [a, b] = [`a[${JSON.stringify(field)}]`, `b[${JSON.stringify(field)}]`]
  switch (aggregate) {
    case 'sum':
      return `(${copyWith(`${a} + ${b}`)})`
    case 'min':
      return `${b} < ${a} ? ${copyWith(b)} : a`
    case 'max':
      return `${b} > ${a} ? ${copyWith(b)} : a`
    case 'minBy':
      return `${b} < ${a} ? b : a`
    case 'maxBy':
      return `${b} > ${a} ? b : a`
  }
}

/** Emits the aggregate so far with each record. */
export class RollingAggregateOperator extends KeyedOperator {
  constructor(ctx: OperatorContext) {
    super(ctx, (ctx.definition as RollingAggregateDefinition).key)
  }
  protected handler(): Handle {
    const { aggregate, field } = this.ctx.definition as RollingAggregateDefinition
    return generateRolling(aggregate, field, this.backend.state(aggregated) as EntryValueState, this.ctx.output)
  }
}

function generateRolling(
  aggregate: RollingAggregateDefinition['aggregate'],
  field: string,
  state: EntryValueState,
  output: OperatorContext['output'],
): Handle {
  const fold = rollingFold(aggregate, field)
  if (aggregate === 'minBy' || aggregate === 'maxBy') return generateReduce(fold as never, state, output)
  const folds = { ofShape: (() => undefined) as Fold<Row | undefined> }
  let shapes = 0
  const misfit = (a: Row, b: Row) => {
    if (shapes++ < SHAPES_MAX) folds.ofShape = foldOfShape(aggregate, field, a)
    return fold(a, b)
  }
  return generate<Handle>(
    { state, output, folds, misfit },
    `return function rolling(value, timestamp) {
  const before = state.value
  let after = value
  if (before === undefined) state.value = value
  else {
    after = folds.ofShape(before, value)
    if (after !== undefined) state.replace(after)
    else state.value = after = misfit(before, value)
  }
  output.collect(after, timestamp)
}`,
  )
}
