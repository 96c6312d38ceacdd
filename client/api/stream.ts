/**
 * What the streams of data-stream.ts are made of: one immutable class that turns each call into a step of the graph. The interfaces
 * carry the types; here functions and records are opaque.
 */

import { millis } from '#core/duration.js'
import { FlottError } from '#core/errors.js'
import type { WatermarkStrategy } from '#core/eventtime/watermarks.js'
import type { Window, WindowAssigner } from '#core/eventtime/windows.js'
import type { AggregateFunction, Process, WindowProcess } from '#core/functions/functions.js'
import type { KeySelector, OperatorDefinition, WindowDefinition } from '#core/functions/operator-definition.js'
import type { OutputTag } from '#core/functions/output-tag.js'
import type { Sink, TwoPhaseSink } from '#core/functions/sink.js'
import { printSink } from '../connectors/print-sink.js'
import type { Partitioning, Transformation, Upstream } from '../graph/transformation.js'
import type { TransformationRegistry } from '../graph/transformation-registry.js'
import type { DataStream, WindowOptions } from './data-stream.js'
import { type AnyOptions, optionsObject } from './options.js'

type UserFunction = (...args: never[]) => unknown
type RollingAggregate = 'sum' | 'min' | 'max' | 'minBy' | 'maxBy'
type Selection = string | UserFunction

/** What a stream needs of its environment. */
export interface StreamEnvironment {
  readonly registry: TransformationRegistry
  /** Runs the job built so far; records of the collect operator come back. */
  collectAndExecute(collect: Transformation, limit: number | undefined): Promise<unknown[]>
  collected(collect: Transformation): AsyncIterable<unknown>
}

export class Stream {
  constructor(
    readonly env: StreamEnvironment,
    readonly upstreams: readonly Upstream[],
  ) {}

  map(f: UserFunction, options?: AnyOptions): Stream {
    return this.#step({ kind: 'map', f: f as (record: never) => unknown }, 'Map', options)
  }
  flatMap(f: UserFunction, options?: AnyOptions): Stream {
    return this.#step({ kind: 'flatMap', f: f as (record: never) => readonly unknown[] | undefined }, 'Flat Map', options)
  }
  filter(f: UserFunction, options?: AnyOptions): Stream {
    return this.#step({ kind: 'filter', f: f as (record: never) => boolean }, 'Filter', options)
  }
  process(f: Process<never, never, never> | UserFunction, options?: AnyOptions): Stream {
    return this.#step({ kind: 'process', f: asProcess(f) }, 'Process', options)
  }
  keyBy(...selection: readonly Selection[]): KeyedStreamOf {
    const key = keySelector(selection)
    return new KeyedStreamOf(this.env, this.#spread({ kind: 'hash', key }), key)
  }
  windowAll(assigner: WindowAssigner<never, Window>, options?: WindowOptions<never>): WindowedStreamOf {
    return new WindowedStreamOf(this, undefined, assigner, options)
  }
  union(...others: readonly Stream[]): Stream {
    const foreign = others.find((other) => other.env.registry !== this.env.registry)
    if (foreign) {
      const [name] = foreign.upstreams.map(({ from }) => from.name)
      throw new FlottError('FOREIGN_STREAM', `'${name}' belongs to another environment`, name === undefined ? {} : { operator: name })
    }
    return new Stream(
      this.env,
      [this, ...others].flatMap((stream) => stream.upstreams),
    )
  }
  broadcast(): Stream {
    return new Stream(this.env, this.#spread({ kind: 'broadcast' }))
  }
  rebalance(): Stream {
    return new Stream(this.env, this.#spread({ kind: 'rebalance' }))
  }
  rescale(): Stream {
    return new Stream(this.env, this.#spread({ kind: 'rescale' }))
  }
  shuffle(): Stream {
    return new Stream(this.env, this.#spread({ kind: 'shuffle' }))
  }
  global(): Stream {
    return new Stream(this.env, this.#spread({ kind: 'global' }))
  }
  forward(): Stream {
    return new Stream(this.env, this.#spread({ kind: 'forward' }))
  }
  partitionCustom(partition: (key: never, consumers: number) => number, selection: Selection): Stream {
    return new Stream(this.env, this.#spread({ kind: 'custom', key: keySelector([selection]), partition }))
  }
  assignTimestampsAndWatermarks(strategy: WatermarkStrategy<never>, options?: AnyOptions): Stream {
    checkWatermarks(strategy)
    return this.#step({ kind: 'timestamps', watermarks: strategy }, 'Timestamps/Watermarks', options)
  }
  sinkTo(sink: Sink<never> | TwoPhaseSink<never, unknown, unknown>, options?: AnyOptions): void {
    this.step({ kind: 'sink', sink }, 'Writer', options, { prefix: 'Sink: ' })
  }
  print(prefix?: string): void {
    this.step({ kind: 'sink', sink: printSink(prefix) }, 'Print to Std. Out', undefined, { prefix: 'Sink: ' })
  }
  executeAndCollect(limit?: number): Promise<unknown[]> {
    if (limit !== undefined && !(Number.isInteger(limit) && limit > 0))
      throw new FlottError('INVALID_ARGUMENT', `a limit of ${limit} records: a whole number above 0`)
    return this.env.collectAndExecute(this.#collect(limit), limit)
  }
  collectAsync(): AsyncIterable<unknown> {
    return this.env.collected(this.#collect(undefined))
  }
  getSideOutput(tag: OutputTag<never>): Stream {
    return new Stream(
      this.env,
      this.upstreams.map((upstream) => ({ from: upstream.from, tag: tag.id })),
    )
  }

  /** Adds a step that takes this stream as its input. */
  step(
    definition: OperatorDefinition,
    defaultName: string,
    options: AnyOptions,
    naming: { readonly prefix?: string; readonly nonParallel?: boolean } = {},
  ): Transformation {
    const given = optionsObject(options)
    const typed = given.type === undefined ? definition : { ...definition, type: given.type }
    return this.env.registry.add(typed, this.upstreams, given, { defaultName, ...naming })
  }
  #step(definition: OperatorDefinition, defaultName: string, options: AnyOptions): Stream {
    return new Stream(this.env, [{ from: this.step(definition, defaultName, options) }])
  }
  #spread(partitioning: Partitioning): readonly Upstream[] {
    return this.upstreams.map((upstream) => ({ ...upstream, partitioning }))
  }
  #collect(limit: number | undefined): Transformation {
    const definition: OperatorDefinition = { kind: 'collect', ...(limit === undefined ? {} : { limit }) }
    return this.step(definition, 'Collect', undefined, { prefix: 'Sink: ', nonParallel: true })
  }
}

export class KeyedStreamOf extends Stream {
  constructor(
    env: StreamEnvironment,
    upstreams: readonly Upstream[],
    readonly key: KeySelector,
  ) {
    super(env, upstreams)
  }
  override process(f: Process<never, never, never> | UserFunction, options?: AnyOptions): Stream {
    const { state = [] } = optionsObject(options)
    return this.#keyed({ kind: 'keyedProcess', key: this.key, f: asProcess(f), states: state }, 'KeyedProcess', options)
  }
  reduce(f: (a: never, b: never) => unknown, options?: AnyOptions): Stream {
    return this.#keyed({ kind: 'reduce', key: this.key, f }, 'Keyed Reduce', options)
  }
  sum = this.#rolling('sum')
  min = this.#rolling('min')
  max = this.#rolling('max')
  minBy = this.#rolling('minBy')
  maxBy = this.#rolling('maxBy')
  window(assigner: WindowAssigner<never, Window>, options?: WindowOptions<never>): WindowedStreamOf {
    return new WindowedStreamOf(this, this.key, assigner, options)
  }
  #rolling(aggregate: RollingAggregate) {
    return (field: string, options?: AnyOptions): Stream =>
      this.#keyed({ kind: 'rollingAggregate', key: this.key, aggregate, field }, `Keyed Aggregation (${aggregate} of ${field})`, options)
  }
  #keyed(definition: OperatorDefinition, defaultName: string, options: AnyOptions): Stream {
    return new Stream(this.env, [{ from: this.step(definition, defaultName, options) }])
  }
}

export class WindowedStreamOf {
  constructor(
    readonly input: Stream,
    readonly key: KeySelector | undefined,
    readonly assigner: WindowAssigner<never, Window>,
    readonly options: WindowOptions<never> = {},
  ) {
    if (options.allowedLateness !== undefined && millis(options.allowedLateness) < 0)
      throw new FlottError('INVALID_ARGUMENT', `an allowed lateness of ${options.allowedLateness} is negative`)
  }
  reduce(reduce: (a: never, b: never) => unknown, each?: UserFunction | AnyOptions, options?: AnyOptions): Stream {
    return this.#window({ kind: 'reduce', reduce, ...eachOf(each) }, 'Window (reduce)', optionsOf(each, options))
  }
  aggregate(f: AggregateFunction<never, unknown, unknown>, each?: UserFunction | AnyOptions, options?: AnyOptions): Stream {
    if (this.assigner.mergeWindows && !f.merge) throw new FlottError('MERGE_MISSING', 'windows that merge need an aggregate with merge')
    return this.#window({ kind: 'aggregate', aggregate: f, ...eachOf(each) }, 'Window (aggregate)', optionsOf(each, options))
  }
  process(
    f: WindowProcess<never, never, never, never> | WindowProcess<never, never, never, never>['process'],
    options?: AnyOptions,
  ): Stream {
    const process = typeof f === 'function' ? { process: f } : f
    return this.#window({ kind: 'process', process }, 'Window (process)', options)
  }
  sum = this.#rolling('sum')
  min = this.#rolling('min')
  max = this.#rolling('max')
  minBy = this.#rolling('minBy')
  maxBy = this.#rolling('maxBy')
  #rolling(aggregate: RollingAggregate) {
    return (field: string, options?: AnyOptions): Stream =>
      this.#window({ kind: 'rollingAggregate', aggregate, field }, `Window (${aggregate} of ${field})`, options)
  }
  #window(f: WindowDefinition['f'], defaultName: string, options: AnyOptions): Stream {
    const { key, assigner } = this
    const definition: OperatorDefinition = { kind: 'window', ...(key ? { key } : {}), assigner, options: this.options, f }
    const step = this.input.step(definition, defaultName, options, { nonParallel: key === undefined })
    return new Stream(this.input.env, [{ from: step }])
  }
}

function eachOf(each: UserFunction | AnyOptions): { each?: (result: never, ctx: never) => unknown } {
  return typeof each === 'function' ? { each } : {}
}
function optionsOf(each: UserFunction | AnyOptions, options: AnyOptions): AnyOptions {
  return typeof each === 'function' ? options : each
}
function asProcess(f: Process<never, never, never> | UserFunction): Process<never, never, never> {
  return typeof f === 'function' ? { processElement: f as Process<never, never, never>['processElement'] } : f
}
function keySelector(selection: readonly Selection[]): KeySelector {
  const [only] = selection
  if (typeof only === 'function') return { select: only as (record: never) => string }
  const fields = selection as readonly string[]
  if (only === undefined) throw new FlottError('INVALID_ARGUMENT', 'keyBy needs a field or a function')
  return fields.length === 1 ? { field: only } : { fields }
}
/** INVALID_DURATION here and not in a slot. */
export function checkWatermarks({ maxOutOfOrderness = 0, idleness }: WatermarkStrategy<never>): void {
  if (millis(maxOutOfOrderness) < 0) throw new FlottError('INVALID_ARGUMENT', `maxOutOfOrderness ${maxOutOfOrderness} is negative`)
  if (idleness !== undefined && !(millis(idleness) > 0)) throw new FlottError('INVALID_ARGUMENT', `idleness ${idleness} is not above 0`)
}

/** The one place where the opaque class takes on its types. */
export function typed<T>(stream: Stream): DataStream<T> {
  return stream as unknown as DataStream<T>
}
