/**
 * Sinks. While a write's promise is pending the task takes no input; what the frame at hand still brings waits in a list. A sink with
 * two phases prepares a commit at each barrier; the prepared parts are in every snapshot until they are committed, which a completed
 * checkpoint at or above theirs allows. An aborted checkpoint rolls nothing back.
 */
import { sleep } from '#core/clock.js'
import type { SinkDefinition } from '#core/functions/operator-definition.js'
import type { CommitRequest, Committer, CommittingWriter, Sink, SinkWriter, TwoPhaseSink } from '#core/functions/sink.js'
import { AbstractOperator, NOTHING } from './abstract-operator.js'
import type { OperatorContext, OperatorSnapshotResult, TaskServices } from './operator.js'
import { operatorError } from './operator-error.js'
import { encodedResult, redistribute, restoredValues } from './operator-state.js'

/** Pause before committables that asked for it are tried again. */
const COMMIT_RETRY_MS = 100

export class SinkOperator extends AbstractOperator {
  protected writer!: SinkWriter<unknown>
  readonly #call = { timestamp: Number.NaN, currentWatermark: -Infinity }
  #waiting: { value: unknown; timestamp: number }[] = []
  #pending: Promise<void> | undefined

  constructor(
    protected readonly ctx: OperatorContext,
    protected readonly services: TaskServices,
  ) {
    super()
  }
  override async open(): Promise<void> {
    this.writer = await ((this.ctx.definition as SinkDefinition).sink as Sink<unknown>).createWriter(this.ctx.runtime)
  }
  get holdsInput(): boolean {
    return this.#pending !== undefined
  }
  processElement(value: unknown, timestamp: number): void {
    if (this.#pending !== undefined) {
      this.#waiting.push({ value, timestamp })
      return
    }
    const written = this.#write(value, timestamp)
    if (written !== undefined) this.#pending = this.#settle(written)
  }
  #write(value: unknown, timestamp: number): void | Promise<void> {
    this.#call.timestamp = timestamp
    return this.writer.write(value, this.#call)
  }
  async #settle(first: Promise<void>): Promise<void> {
    try {
      await first
      for (let at = 0; at < this.#waiting.length; at++) {
        const { value, timestamp } = this.#waiting[at]!
        const written = this.#write(value, timestamp)
        if (written !== undefined) await written
      }
      this.#waiting = []
      this.#pending = undefined
      this.services.wake()
    } catch (error) {
      this.services.fail(operatorError(error, this.ctx.spec))
    }
  }
  override processWatermark(timestamp: number): void {
    this.#call.currentWatermark = timestamp
  }
  /** All that was given is written. A failure has failed the task. */
  async #written(): Promise<void> {
    while (this.#pending !== undefined) await this.#pending
  }
  override async prepareSnapshot(_checkpointId: number): Promise<void> {
    await this.#written()
    await this.writer.flush(false)
  }
  override async endOfData(): Promise<void> {
    await this.#written()
    await this.writer.flush(true)
  }
  override async close(): Promise<void> {
    await this.writer?.close?.()
  }
}

interface Prepared {
  readonly checkpointId: number
  readonly committables: readonly unknown[]
}
interface TwoPhaseState {
  readonly writer: readonly unknown[]
  readonly prepared: readonly Prepared[]
}

export class TwoPhaseSinkOperator extends SinkOperator {
  #committer!: Committer<unknown>
  #prepared: Prepared[] = []
  #lastId = 0
  #committing: Promise<void> = Promise.resolve()
  readonly #closed = new AbortController()

  override async open(): Promise<void> {
    const sink = (this.ctx.definition as SinkDefinition).sink as TwoPhaseSink<unknown, unknown, unknown>
    const restored = await restoredValues<TwoPhaseState>(this.ctx)
    const share = <T>(of: (state: TwoPhaseState) => readonly T[]): T[] =>
      redistribute(
        this.ctx,
        restored.map(({ subtaskIndex, value }) => ({ subtaskIndex, items: of(value) })),
      )
    this.ctx.entering()
    this.writer = await sink.createWriter(
      this.ctx.runtime,
      share((state) => state.writer),
    )
    this.#committer = await sink.createCommitter(this.ctx.runtime)
    this.#lastId = this.ctx.restored?.checkpointId ?? 0
    this.#prepared = share((state) => state.prepared)
    // The checkpoint that we start from is complete, and so is what it holds.
    await this.#commitUpTo(this.#lastId)
  }
  override async prepareSnapshot(checkpointId: number): Promise<void> {
    await super.prepareSnapshot(checkpointId)
    await this.#prepare(checkpointId)
  }
  async #prepare(checkpointId: number): Promise<void> {
    this.#lastId = checkpointId
    const committables = await (this.writer as CommittingWriter<unknown, unknown>).prepareCommit(checkpointId)
    if (committables.length > 0) this.#prepared.push({ checkpointId, committables })
  }
  override async snapshot(checkpointId: number): Promise<OperatorSnapshotResult> {
    const writer = (this.writer as CommittingWriter<unknown, unknown, unknown>).snapshotState?.(checkpointId) ?? []
    if (writer.length === 0 && this.#prepared.length === 0) return NOTHING
    const state: TwoPhaseState = { writer, prepared: this.#prepared }
    return encodedResult(state)
  }
  override notifyCheckpointComplete(checkpointId: number): Promise<void> {
    return this.#commitUpTo(checkpointId)
  }
  override async endOfData(): Promise<void> {
    await super.endOfData()
    if (this.services.checkpointingEnabled) return // The final checkpoint prepares, its completion commits.
    await this.#prepare(this.#lastId + 1)
    await this.#commitUpTo(this.#lastId)
  }
  /** One commit at a time, in order. */
  #commitUpTo(checkpointId: number): Promise<void> {
    this.#committing = this.#committing.then(async () => {
      const due = this.#prepared.filter((p) => p.checkpointId <= checkpointId)
      if (due.length === 0) return
      await this.#commit(due.flatMap((p) => p.committables))
      this.#prepared = this.#prepared.filter((p) => !due.includes(p))
    })
    return this.#committing
  }
  async #commit(committables: readonly unknown[]): Promise<void> {
    let open = committables.map((committable) => new Request(committable))
    for (;;) {
      for (const request of open) request.retry = false
      await this.#committer.commit(open)
      const failed = open.find((request) => request.failure !== undefined)
      if (failed) throw failed.failure
      open = open.filter((request) => request.retry)
      if (open.length === 0) return
      for (const request of open) request.numberOfRetries++
      await sleep(this.ctx.clock, COMMIT_RETRY_MS, this.#closed.signal)
    }
  }
  override async close(): Promise<void> {
    this.#closed.abort(new Error('the task has ended'))
    this.#committing.catch(() => {}) // Told to whoever asked for the commit.
    await super.close()
    await this.#committer?.close?.()
  }
}

class Request implements CommitRequest<unknown> {
  numberOfRetries = 0
  retry = false
  failure: Error | undefined
  constructor(readonly committable: unknown) {}
  retryLater(): void {
    this.retry = true
  }
  signalAlreadyCommitted(): void {
    this.retry = false
  }
  signalFailed(error: Error): void {
    this.failure = error
  }
}

export function isTwoPhase(sink: SinkDefinition['sink']): sink is TwoPhaseSink<never, unknown, unknown> {
  return typeof (sink as Partial<TwoPhaseSink<never, unknown, unknown>>).createCommitter === 'function'
}
