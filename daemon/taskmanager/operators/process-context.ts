/** The one context object of a process operator. Valid during a call: outside of one everything on it throws USED_AFTER_CALL. */
import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Collector, Context, KeyedContext, KeyedTimerService } from '#core/functions/functions.js'
import type { OutputTag } from '#core/functions/output-tag.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import type { StateDescriptor } from '#core/state/state.js'
import type { KeyedStateBackend } from '../state/keyed-state-backend.js'
import { generate } from './generated-function.js'
import type { Output } from './operator.js'
import { usedAfterCall } from './operator-error.js'

/** What the operator changes and context, collector and timer service look at. */
export class CallState {
  inCall = false
  timestamp = Number.NaN
  watermark = -Infinity

  check(what: string): void {
    if (!this.inCall) throw usedAfterCall(what)
  }
}

export function createCollector(call: CallState, output: Output): Collector<unknown> {
  return generate<Collector<unknown>>(
    { call, output, usedAfterCall },
    `return { collect(record) {
  if (!call.inCall) throw usedAfterCall('the collector')
  output.collect(record, call.timestamp)
} }`,
  )
}

export class ProcessContext implements Context {
  readonly timerService: KeyedTimerService
  constructor(
    protected readonly call: CallState,
    private readonly out: Output,
    readonly runtime: RuntimeContext,
    clock: Clock,
    backend?: KeyedStateBackend,
  ) {
    this.timerService = new ContextTimerService(call, clock, backend)
  }
  get timestamp(): number {
    this.call.check('the context')
    const { timestamp } = this.call
    if (Number.isNaN(timestamp)) throw new FlottError('NO_TIMESTAMP', 'the record has no time stamp: assign one with a watermark strategy')
    return timestamp
  }
  output<X>(tag: OutputTag<X>, record: NoInfer<X>): void {
    this.call.check('the context')
    this.out.side(tag.id, record, this.call.timestamp)
  }
}

export class KeyedProcessContext extends ProcessContext implements KeyedContext<unknown> {
  readonly #handles = new Map<string, unknown>()
  constructor(
    call: CallState,
    out: Output,
    runtime: RuntimeContext,
    clock: Clock,
    private readonly backend: KeyedStateBackend,
    declared: readonly StateDescriptor<unknown>[],
  ) {
    super(call, out, runtime, clock, backend)
    for (const descriptor of declared) this.#handles.set(descriptor.name, backend.state(descriptor))
  }
  get currentKey(): unknown {
    this.call.check('the context')
    return this.backend.currentKey
  }
  getState<S>(state: StateDescriptor<S>): S {
    this.call.check('the context')
    const handle = this.#handles.get(state.name)
    if (handle === undefined)
      throw new FlottError('STATE_NOT_DECLARED', `state '${state.name}' is not declared by the operator: give it as { state: [ … ] }`)
    return handle as S
  }
}

class ContextTimerService implements KeyedTimerService {
  constructor(
    private readonly call: CallState,
    private readonly clock: Clock,
    private readonly backend: KeyedStateBackend | undefined,
  ) {}
  get currentProcessingTime(): number {
    return this.clock.now()
  }
  get currentWatermark(): number {
    return this.call.watermark
  }
  registerEventTimeTimer(timestamp: number): void {
    this.#timers().registerEventTime(timestamp)
  }
  deleteEventTimeTimer(timestamp: number): void {
    this.#timers().deleteEventTime(timestamp)
  }
  registerProcessingTimeTimer(timestamp: number): void {
    this.#timers().registerProcessingTime(timestamp)
  }
  deleteProcessingTimeTimer(timestamp: number): void {
    this.#timers().deleteProcessingTime(timestamp)
  }
  #timers() {
    this.call.check('the timer service')
    if (!this.backend) throw new FlottError('STATE_NOT_DECLARED', 'timers need a keyed stream')
    return this.backend.timers
  }
}
