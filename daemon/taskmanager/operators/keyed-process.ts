import { functionBindingOf } from '#core/functions/function-binding.js'
import type { Collector, KeyedContext, TimeDomain } from '#core/functions/functions.js'
import type { KeyedProcessDefinition } from '#core/functions/operator-definition.js'
import { generate } from './generated-function.js'
import { type Handle, KeyedOperator } from './keyed-operator.js'
import type { OperatorContext, OperatorSnapshotResult } from './operator.js'
import { isThenable, promiseReturned } from './operator-error.js'
import { CallState, createCollector, KeyedProcessContext } from './process-context.js'
import { UserFunction } from './user-function.js'

interface Keyed {
  processElement(record: unknown, ctx: KeyedContext<unknown>, out: Collector<unknown>): unknown
  onTimer?(timestamp: number, ctx: KeyedContext<unknown>, out: Collector<unknown>, domain: TimeDomain): unknown
}

/** process() on a keyed stream: state of the current key, timers, side outputs. */
export class KeyedProcessOperator extends KeyedOperator {
  readonly #call = new CallState()
  readonly #user: UserFunction
  readonly #f: Keyed
  readonly #collector: Collector<unknown>
  #context!: KeyedProcessContext

  constructor(ctx: OperatorContext) {
    const definition = ctx.definition as KeyedProcessDefinition
    super(ctx, definition.key)
    this.#f = definition.f as unknown as Keyed
    this.#user = new UserFunction(ctx, this.#f)
    this.#collector = createCollector(this.#call, ctx.output)
  }
  protected override async opened(): Promise<void> {
    const { states } = this.ctx.definition as KeyedProcessDefinition
    const own = functionBindingOf(this.#f)?.keyedStates ?? []
    this.#context = new KeyedProcessContext(this.#call, this.ctx.output, this.ctx.runtime, this.ctx.clock, this.backend, [
      ...states,
      ...own,
    ])
    await this.#user.open(this.backend)
  }
  /** Written out as source for each instance, so that the call of the user's function is inlined. */
  protected handler(): Handle {
    const check = (returned: unknown) => {
      if (isThenable(returned)) throw promiseReturned()
    }
    return generate<Handle>(
      { call: this.#call, f: this.#f, context: this.#context, collector: this.#collector, check },
      `return function process(value, timestamp) {
  call.timestamp = timestamp
  call.inCall = true
  const returned = f.processElement(value, context, collector)
  call.inCall = false
  if (returned !== undefined) check(returned)
}`,
    )
  }
  override processWatermark(timestamp: number): void {
    this.#call.watermark = timestamp
    this.backend.timers.advanceWatermark(timestamp, this.#fire)
  }
  override processProcessingTime(now: number): void {
    this.backend.timers.advanceProcessingTime(now, this.#fire)
  }
  readonly #fire = (timestamp: number, domain: TimeDomain): void => {
    if (!this.#f.onTimer) return
    this.#call.timestamp = timestamp
    this.#call.inCall = true
    const returned = this.#f.onTimer(timestamp, this.#context, this.#collector, domain)
    this.#call.inCall = false
    if (returned !== undefined && isThenable(returned)) throw promiseReturned()
  }
  protected override snapshotOperator(checkpointId: number): OperatorSnapshotResult {
    return this.#user.snapshot(checkpointId)
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    super.notifyCheckpointComplete(checkpointId)
    this.#user.notifyCheckpointComplete(checkpointId)
  }
  override async close(): Promise<void> {
    this.#call.inCall = false
    await this.#user.close()
    await super.close()
  }
}
