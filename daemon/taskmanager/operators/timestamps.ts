import type { TimestampsDefinition } from '#core/functions/operator-definition.js'
import { AbstractOperator } from './abstract-operator.js'
import type { OperatorContext, TaskServices } from './operator.js'
import { WatermarkTracker } from './watermark-tracker.js'

/** assignTimestampsAndWatermarks: watermarks from before it end here (but for that of the end of input), its own begin. */
export class TimestampsOperator extends AbstractOperator {
  readonly #tracker: WatermarkTracker

  constructor(
    private readonly ctx: OperatorContext,
    operatorIndex: number,
    services: TaskServices,
  ) {
    super()
    this.#tracker = new WatermarkTracker({
      strategy: (ctx.definition as TimestampsDefinition).watermarks,
      intervalMs: services.watermarkIntervalMs,
      emitWatermark: (timestamp) => services.emitWatermark(operatorIndex, timestamp),
      emitIdle: (idle) => services.emitIdle(operatorIndex, idle),
    })
  }
  processElement(value: unknown, timestamp: number): void {
    const tracker = this.#tracker
    const assigned = tracker.timestampOf(value, timestamp)
    tracker.beforeRecord()
    this.ctx.output.collect(value, assigned)
    tracker.afterRecord(value, assigned)
  }
  override processProcessingTime(now: number): void {
    const due = this.#tracker.nextDue
    if (due !== undefined && due <= now) this.#tracker.onPeriodic(now)
  }
  override get nextProcessingTime(): number | undefined {
    return this.#tracker.nextDue
  }
}
