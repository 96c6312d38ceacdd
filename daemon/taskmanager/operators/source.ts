/**
 * Drives a source's reader: splits come in numbered events from its enumerator, records go out of `pollNext`. A snapshot holds the
 * reader's splits and the number of the last event in them, so that enumerator and reader agree on who has which split.
 */
import { FlottError } from '#core/errors.js'
import type { SourceDefinition } from '#core/functions/operator-definition.js'
import type { SourceOutput, SourceReader, SourceSplit } from '#core/functions/source.js'
import type { NumberedEvent } from '#protocol/gateways/task-executor-gateway.js'
import { AbstractOperator } from './abstract-operator.js'
import { generate } from './generated-function.js'
import type { OperatorContext, OperatorSnapshotResult, TaskServices } from './operator.js'
import { operatorError } from './operator-error.js'
import { encodedResult, redistribute, restoredValues } from './operator-state.js'
import { WatermarkTracker } from './watermark-tracker.js'

export type PollStatus = 'more-available' | 'nothing-available' | 'end-of-input'

interface SourceState {
  readonly received: number
  readonly splits: readonly SourceSplit[]
  readonly noMoreSplits: boolean
}

/** Calls of pollNext between two looks at the clock. */
const POLLS_PER_LOOK = 16

export class SourceOperator extends AbstractOperator {
  readonly #out: SourceOutput<unknown>
  readonly #tracker: WatermarkTracker | undefined
  #reader!: SourceReader<unknown, SourceSplit>
  #received = 0
  #deferred: NumberedEvent[] = []
  #noMoreSplits = false
  /** Events above it wait until the barrier of a checkpoint that is about to begin has passed. */
  #ceiling = Infinity
  #waiting = false
  #ended = false
  readonly #counts = new Float64Array(1)

  constructor(
    private readonly ctx: OperatorContext,
    operatorIndex: number,
    private readonly services: TaskServices,
  ) {
    super()
    const { watermarks } = ctx.definition as SourceDefinition
    if (watermarks)
      this.#tracker = new WatermarkTracker({
        strategy: watermarks,
        intervalMs: services.watermarkIntervalMs,
        emitWatermark: (timestamp) => services.emitWatermark(operatorIndex, timestamp),
        emitIdle: (idle) => services.emitIdle(operatorIndex, idle),
      })
    this.#out = this.#tracker ? this.#trackedOutput(this.#tracker) : this.#plainOutput()
  }
  #plainOutput(): SourceOutput<unknown> {
    return generate<SourceOutput<unknown>>(
      { counts: this.#counts, output: this.ctx.output },
      `return { collect(record, timestamp) {
  counts[0]++
  output.collect(record, timestamp === undefined ? NaN : timestamp)
} }`,
    )
  }
  #trackedOutput(tracker: WatermarkTracker): SourceOutput<unknown> {
    return generate<SourceOutput<unknown>>(
      { counts: this.#counts, output: this.ctx.output, tracker },
      `return { collect(record, sourceTimestamp) {
  counts[0]++
  const timestamp = tracker.timestampOf(record, sourceTimestamp === undefined ? NaN : sourceTimestamp)
  tracker.beforeRecord()
  output.collect(record, timestamp)
  tracker.afterRecord(record, timestamp)
} }`,
    )
  }

  override async open(): Promise<void> {
    const { source } = this.ctx.definition as SourceDefinition
    this.#reader = source.createReader({
      runtime: this.ctx.runtime,
      clock: this.ctx.clock,
      sendSplitRequest: () => this.services.sendReaderEvent(this.ctx.spec.id, { kind: 'split-requested' }),
    })
    const restored = await restoredValues<SourceState>(this.ctx)
    const own = restored.find((r) => r.subtaskIndex === this.#index && this.ctx.restored?.parallelism === this.#parallelism)
    this.#received = own?.value.received ?? this.ctx.finished?.received[this.ctx.spec.id] ?? 0
    const splits = redistribute(
      this.ctx,
      restored.map(({ subtaskIndex, value }) => ({ subtaskIndex, items: value.splits })),
    )
    if (splits.length > 0) this.#reader.addSplits(splits)
    if (own?.value.noMoreSplits || this.ctx.finished) this.#endOfSplits()
    this.services.sendReaderEvent(this.ctx.spec.id, { kind: 'reader-registered', received: this.#received })
  }
  get #index(): number {
    return this.ctx.runtime.taskInfo.indexOfThisSubtask
  }
  get #parallelism(): number {
    return this.ctx.runtime.taskInfo.numberOfParallelSubtasks
  }
  /** Number of the last event applied. */
  get assignmentsReceived(): number {
    return this.#received
  }
  processElement(): void {
    throw new Error('a source has no input')
  }

  /** From the enumerator: in order, repeats ignored, what comes too early kept. */
  handleEvents(events: readonly NumberedEvent[]): void {
    this.#deferred.push(...events)
    this.#applyEvents()
  }
  #applyEvents(): void {
    this.#deferred = this.#deferred.filter((e) => e.number > this.#received).sort((a, b) => a.number - b.number)
    for (let next = this.#deferred[0]; next && next.number <= this.#ceiling; next = this.#deferred[0]) {
      if (next.number > this.#received + 1) return
      this.#deferred.shift()
      if (next.number <= this.#received) continue
      this.#received = next.number
      if (next.event.kind === 'no-more-splits') this.#endOfSplits()
      else this.#reader.addSplits(next.event.splits as readonly SourceSplit[])
      this.services.wake()
      this.#waiting = false
    }
  }
  #endOfSplits(): void {
    this.#noMoreSplits = true
    this.#reader.notifyNoMoreSplits()
  }
  /**
   * A checkpoint whose enumerator snapshot covers events up to `covered` is about to begin: holds later ones back until
   * `releaseEvents`. False while an event up to it has not come yet. CHECKPOINT_FAILED when a later one was applied already.
   */
  coverEvents(covered: number | undefined): boolean {
    if (covered === undefined) return true
    if (this.#received > covered)
      throw new FlottError(
        'CHECKPOINT_FAILED',
        `the reader has applied event ${this.#received}, the enumerator's snapshot covers ${covered}`,
      )
    this.#ceiling = covered
    this.#applyEvents()
    return this.#received === covered
  }
  releaseEvents(): void {
    this.#ceiling = Infinity
    this.#applyEvents()
  }

  /** Polls until the reader has nothing, `until` (monotonic) is reached, `maxPolls` were made or `stop` says so. */
  poll(maxPolls: number, budgetMs: number, stop: () => boolean): PollStatus {
    if (this.#ended) return 'end-of-input'
    const until = this.ctx.clock.monotonicMs() + budgetMs
    for (let polls = 1, look = 1; polls <= maxPolls; polls++) {
      const status = this.#reader.pollNext(this.#out)
      if (status === 'end-of-input') this.#ended = true
      if (status !== 'more-available') return status
      if (stop()) break
      if (polls < look) continue
      if (this.ctx.clock.monotonicMs() >= until) break
      look += Math.min(look, POLLS_PER_LOOK) // Soon at first: a poll may bring many records to a slow function.
    }
    return 'more-available'
  }
  /** Whether a poll may bring something; false until the reader's promise settles. */
  get mayHaveInput(): boolean {
    return !this.#waiting
  }
  /** The reader has nothing: asks for a turn when that changes. */
  awaitInput(): void {
    if (this.#waiting) return
    this.#waiting = true
    const ready = () => {
      this.#waiting = false
      this.services.wake()
    }
    this.#reader.isAvailable().then(ready, (error: unknown) => this.services.fail(operatorError(error, this.ctx.spec)))
  }
  override processProcessingTime(now: number): void {
    const due = this.#tracker?.nextDue
    if (due !== undefined && due <= now) this.#tracker!.onPeriodic(now)
  }
  override get nextProcessingTime(): number | undefined {
    return this.#ended ? undefined : this.#tracker?.nextDue
  }
  override async snapshot(checkpointId: number): Promise<OperatorSnapshotResult> {
    const splits = this.#reader.snapshotState(checkpointId)
    const state: SourceState = { received: this.#received, splits, noMoreSplits: this.#noMoreSplits }
    return encodedResult(state)
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    this.#reader.notifyCheckpointComplete?.(checkpointId)
  }
  override async close(): Promise<void> {
    await this.#reader?.close?.()
  }
}
