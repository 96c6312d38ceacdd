import type { Collector, Context } from '#core/functions/functions.js'
import type { ProcessDefinition } from '#core/functions/operator-definition.js'
import { AbstractOperator } from './abstract-operator.js'
import type { OperatorContext, OperatorSnapshotResult } from './operator.js'
import { isThenable, promiseReturned } from './operator-error.js'
import { CallState, createCollector, ProcessContext } from './process-context.js'
import { UserFunction } from './user-function.js'

type Element = { processElement(record: unknown, ctx: Context, out: Collector<unknown>): unknown }

/** process() on a stream without a key: side outputs and watermarks, but no timers. */
export class ProcessOperator extends AbstractOperator {
  readonly #call = new CallState()
  readonly #user: UserFunction
  readonly #f: Element
  readonly #context: ProcessContext
  readonly #collector: Collector<unknown>

  constructor(ctx: OperatorContext) {
    super()
    this.#f = (ctx.definition as ProcessDefinition).f as unknown as Element
    this.#user = new UserFunction(ctx, this.#f)
    this.#context = new ProcessContext(this.#call, ctx.output, ctx.runtime, ctx.clock)
    this.#collector = createCollector(this.#call, ctx.output)
  }
  override open(): Promise<void> {
    return this.#user.open()
  }
  processElement(value: unknown, timestamp: number): void {
    const call = this.#call
    call.timestamp = timestamp
    call.inCall = true
    const returned = this.#f.processElement(value, this.#context, this.#collector)
    call.inCall = false
    if (returned !== undefined && isThenable(returned)) throw promiseReturned()
  }
  override processWatermark(timestamp: number): void {
    this.#call.watermark = timestamp
  }
  override async snapshot(checkpointId: number): Promise<OperatorSnapshotResult> {
    return this.#user.snapshot(checkpointId)
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    this.#user.notifyCheckpointComplete(checkpointId)
  }
  override close(): Promise<void> {
    this.#call.inCall = false
    return this.#user.close()
  }
}
