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
  const spec: AccumulatorSpec<V, A, R> = Object.freeze({ name, aggregate })
  declared().set(name, spec as Declared)
  return spec
}

type Declared = AccumulatorSpec<unknown, unknown, unknown>
const KEY = Symbol.for('flott.accumulators')
type Holder = { [KEY]?: Map<string, Declared> }
/** Those of the program that was evaluated in this thread. */
function declared(): Map<string, Declared> {
  const holder = globalThis as Holder
  holder[KEY] ??= new Map()
  return holder[KEY]
}
/** How the JobManager's worker adds subtasks up; undefined where the program of this thread declares no such accumulator. */
export function accumulatorMerge(name: string): ((a: unknown, b: unknown) => unknown) | undefined {
  return declared().get(name)?.aggregate.merge
}
/** What the user sees of an intermediate value; the value itself where the program of this thread declares no such accumulator. */
export function accumulatorResult(name: string, value: unknown): unknown {
  const spec = declared().get(name)
  return spec ? spec.aggregate.getResult(value) : value
}
