import { FlottError } from '../errors.js'
import type { AggregateFunction } from './functions.js'

declare const phantom: unique symbol

/** A value that all subtasks of a job add to; the client gets the result. */
export interface Accumulator<in V, out R> {
  readonly name: string
  readonly [phantom]?: (value: V) => R
}
export interface AccumulatorSpec<V, A, R> extends Accumulator<V, R> {
  readonly aggregate: AggregateFunction<V, A, R>
}
/** MERGE_MISSING where the aggregate has no `merge`: subtasks could not be added up. */
export function accumulator<V, A, R>(name: string, aggregate: AggregateFunction<V, A, R>): Accumulator<V, R> {
  if (!aggregate.merge) throw new FlottError('MERGE_MISSING', `accumulator '${name}' needs an aggregate with merge`)
  const spec: AccumulatorSpec<V, A, R> = { name, aggregate }
  return Object.freeze(spec)
}
