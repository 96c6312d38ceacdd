import { FlottError } from '../errors.js'
import { currentBuildPhase } from './build-phase.js'
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
  const spec: AccumulatorSpec<V, A, R> = Object.freeze({ name, aggregate })
  if (currentBuildPhase()) declared().set(name, spec.aggregate.merge as Merge)
  return spec
}

type Merge = (a: unknown, b: unknown) => unknown
const KEY = Symbol.for('flott.accumulators')
type Holder = { [KEY]?: Map<string, Merge> }
function declared(): Map<string, Merge> {
  const holder = globalThis as Holder
  holder[KEY] ??= new Map()
  return holder[KEY]
}
/** The `merge` of an accumulator that the program evaluated in this thread has declared: how the JobManager's worker adds subtasks up. */
export function accumulatorMerge(name: string): Merge | undefined {
  return declared().get(name)
}
