/** What a window keeps of its records, and what it emits: one shape for reduce, aggregate, rolling aggregates and process. */
import type { Window } from '#core/eventtime/windows.js'
import type { AggregateFunction, Collector } from '#core/functions/functions.js'
import type { WindowDefinition } from '#core/functions/operator-definition.js'
import { retained } from '../state/retain.js'
import type { Output } from './operator.js'
import { isThenable, promiseReturned } from './operator-error.js'
import { type CallState, createCollector } from './process-context.js'
import { rollingFold } from './rolling-aggregate.js'
import type { OperatorWindowContext } from './window-context.js'

export interface WindowContents {
  /** Of the first record. The result is state: what enters is copied where it will be changed. */
  first(record: unknown): unknown
  /** `contents` may be changed in place; what is returned replaces it. */
  add(contents: unknown, record: unknown): unknown
}
export type EmitWindow = (contents: unknown) => void

type Row = Readonly<Record<string, number>>

export function windowContents(f: WindowDefinition['f']): WindowContents {
  switch (f.kind) {
    case 'reduce': {
      const reduce = f.reduce as (a: unknown, b: unknown) => unknown
      return { first: (record) => retained(record), add: (contents, record) => retained(reduce(contents, record)) }
    }
    case 'aggregate': {
      const aggregate = f.aggregate as AggregateFunction<unknown, unknown, unknown>
      return {
        first: (record) => retainedAccumulator(aggregate.add(record, aggregate.createAccumulator())),
        add: (contents, record) => retainedAccumulator(aggregate.add(record, contents)),
      }
    }
    case 'rollingAggregate': {
      const fold = rollingFold(f.aggregate, f.field) as (a: unknown, b: unknown) => unknown
      return f.aggregate === 'sum'
        ? sumInPlace(f.field)
        : { first: (record) => retained(record), add: (contents, record) => retained(fold(contents, record)) }
    }
    case 'process':
      return {
        first: (record) => [retained(record)],
        add(contents, record) {
          ;(contents as unknown[]).push(retained(record))
          return contents
        },
      }
  }
}

/** Of a growing array only what is new is looked at. */
function retainedAccumulator(accumulator: unknown): unknown {
  if (typeof accumulator !== 'object' || accumulator === null) return retained(accumulator)
  if (!Array.isArray(accumulator)) return retained(accumulator, 1)
  if (accumulator.length > 0) accumulator[accumulator.length - 1] = retained(accumulator[accumulator.length - 1])
  return accumulator
}

/** The sum is kept in a record of our own. */
function sumInPlace(field: string): WindowContents {
  return {
    first: (record) => retained({ ...(record as Row) }),
    add(contents, record) {
      ;(contents as Record<string, number>)[field]! += (record as Row)[field]!
      return contents
    },
  }
}

export interface WindowEmitter {
  readonly call: CallState
  readonly context: OperatorWindowContext
  readonly output: Output
  /** A window may fire again: what it emitted must not change with it. */
  readonly firesAgain: boolean
}

/** Emits the contents of the window that `enter` was called with, under the current key. */
export function windowEmit(f: WindowDefinition['f'], emitter: WindowEmitter): EmitWindow {
  const { call, context, output } = emitter
  const collector = createCollector(call, output)
  switch (f.kind) {
    case 'process': {
      const { process } = f as unknown as { process: { process(records: unknown, ctx: unknown, out: Collector<unknown>): unknown } }
      return (contents) => {
        call.inCall = true
        const returned = process.process((contents as unknown[]).slice(), context, collector)
        call.inCall = false
        if (returned !== undefined && isThenable(returned)) throw promiseReturned()
      }
    }
    case 'aggregate': {
      const aggregate = f.aggregate as { getResult(accumulator: unknown): unknown }
      return finished((contents) => aggregate.getResult(contents), f.each, emitter)
    }
    case 'reduce':
      return finished((contents) => contents, f.each, emitter)
    case 'rollingAggregate':
      // A sum is changed in place as long as the window lives.
      return finished(
        f.aggregate === 'sum' && emitter.firesAgain ? (contents) => ({ ...(contents as Row) }) : (contents) => contents,
        undefined,
        emitter,
      )
  }
}

function finished(resultOf: (contents: unknown) => unknown, each: unknown, { call, context, output }: WindowEmitter): EmitWindow {
  if (each === undefined) return (contents) => output.collect(resultOf(contents), call.timestamp)
  const finish = each as (result: unknown, ctx: unknown) => unknown
  return (contents) => {
    call.inCall = true
    const result = finish(resultOf(contents), context)
    call.inCall = false
    output.collect(result, call.timestamp)
  }
}

export function enterWindow({ call, context }: WindowEmitter, window: Window): void {
  context.window = window
  call.timestamp = window.maxTimestamp
}
