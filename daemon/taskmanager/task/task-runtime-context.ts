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
  /** Intermediate values, copied: subtasks are added up elsewhere by the aggregate's `merge`, and the client applies `getResult`. */
  accumulators(): Readonly<Record<string, AccumulatorSnapshot>> {
    return Object.fromEntries(
      [...this.#accumulators].map(([name, { value }]) => [name, { kind: 'custom', value: decodeValue(encodeValue(value)) }]),
    )
  }
  userMetrics(): Readonly<Record<string, number>> {
    const counters = [...this.#counters].map(([name, counter]): [string, number] => [name, counter.count])
    const gauges = [...this.#gauges].map(([name, read]): [string, number] => [name, readGauge(read)])
    return Object.fromEntries([...counters, ...gauges])
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
