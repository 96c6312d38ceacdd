import { FlottError } from '#core/errors.js'
import type { Accumulator, AccumulatorSpec } from '#core/functions/accumulator.js'
import type { Counter, RuntimeContext } from '#core/functions/runtime-context.js'
import type { Logger } from '#core/logger.js'
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import type { AccumulatorSnapshot } from '#protocol/gateways/task-executor-gateway.js'

class PlainCounter implements Counter {
  count = 0
  inc(by = 1): void {
    this.count += by
  }
}

interface LiveAccumulator {
  readonly spec: AccumulatorSpec<unknown, unknown, unknown>
  value: unknown
}

/** What a job's user functions see of their task; one a task, shared by its operators. */
export class TaskRuntimeContext implements RuntimeContext {
  readonly #counters = new Map<string, PlainCounter>()
  readonly #gauges = new Map<string, () => number>()
  readonly #accumulators = new Map<string, LiveAccumulator>()
  readonly metrics: RuntimeContext['metrics']

  constructor(
    readonly jobInfo: RuntimeContext['jobInfo'],
    readonly taskInfo: RuntimeContext['taskInfo'],
    readonly logger: Logger,
    readonly print: (line: string) => void,
  ) {
    this.metrics = {
      counter: (name) => {
        let counter = this.#counters.get(name)
        if (!counter) {
          counter = new PlainCounter()
          this.#counters.set(name, counter)
        }
        return counter
      },
      gauge: (name, read) => void this.#gauges.set(name, read),
    }
  }
  accumulator<V, R>(accumulator: Accumulator<V, R>): { add(value: V): void } {
    const spec = accumulator as unknown as AccumulatorSpec<unknown, unknown, unknown>
    let live = this.#accumulators.get(spec.name)
    if (!live) {
      live = { spec, value: spec.aggregate.createAccumulator() }
      this.#accumulators.set(spec.name, live)
    }
    const { aggregate } = live.spec
    const target = live
    return {
      add: (value) => {
        target.value = aggregate.add(value, target.value)
      },
    }
  }
  /**
   * Intermediate values, copied: subtasks are added up elsewhere by the aggregate's `merge`, and the client applies `getResult`.
   * RECORD_NOT_SERIALIZABLE where one is no plain value.
   */
  accumulators(): Readonly<Record<string, AccumulatorSnapshot>> {
    return Object.fromEntries([...this.#accumulators].map(([name, { value }]) => [name, snapshotOf(name, value)]))
  }
  /** The same while the task runs, or after it failed: what can't be copied is left out. */
  intermediateAccumulators(): Readonly<Record<string, AccumulatorSnapshot>> {
    const snapshots: Record<string, AccumulatorSnapshot> = {}
    for (const [name, { value }] of this.#accumulators) {
      try {
        snapshots[name] = snapshotOf(name, value)
      } catch (cause) {
        this.logger.debug('an accumulator is no plain value', { name, cause })
      }
    }
    return snapshots
  }
  userMetrics(): Readonly<Record<string, number>> {
    const counters = [...this.#counters].map(([name, counter]): [string, number] => [name, counter.count])
    const gauges = [...this.#gauges].map(([name, read]): [string, number] => [name, readGauge(read)])
    return Object.fromEntries([...counters, ...gauges])
  }
}

function snapshotOf(name: string, value: unknown): AccumulatorSnapshot {
  try {
    return { kind: 'custom', value: decodeValue(encodeValue(value)) }
  } catch (cause) {
    throw new FlottError('RECORD_NOT_SERIALIZABLE', `accumulator '${name}' holds what is no plain value`, { cause })
  }
}

/** A gauge is user code: one that throws must not take the task with it. */
function readGauge(read: () => number): number {
  try {
    return read()
  } catch {
    return Number.NaN
  }
}

/** pipeline.global-job-parameters: 'key:value,key:value'. */
export function parseGlobalParameters(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf(':')
      return at < 0 ? [pair.trim(), ''] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
    }),
  )
}
