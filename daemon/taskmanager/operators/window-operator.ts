/** What both window operators share: the key of a record, late records, the life of the user function, snapshots. */
import { millis } from '#core/duration.js'
import { FlottError } from '#core/errors.js'
import { functionBindingOf } from '#core/functions/function-binding.js'
import type { Key } from '#core/functions/functions.js'
import type { WindowDefinition } from '#core/functions/operator-definition.js'
import type { Counter } from '#core/functions/runtime-context.js'
import { keyHash } from '#core/serialization/key-hash.js'
import type { StateDescriptor } from '#core/state/state.js'
import type { RecordBatch } from '../exchange/exchange.js'
import type { KeyedStateBackend } from '../state/keyed-state-backend.js'
import { AbstractOperator } from './abstract-operator.js'
import { keySelectorOf } from './key-selector.js'
import type { OperatorContext, OperatorSnapshotResult } from './operator.js'
import { CallState } from './process-context.js'
import { UserFunction } from './user-function.js'
import { OperatorWindowContext } from './window-context.js'
import { type WindowContents, type WindowEmitter, windowContents, windowEmit } from './window-function.js'

/** The key of windowAll. */
const NO_KEY = 0

export abstract class WindowOperator extends AbstractOperator implements WindowEmitter {
  protected readonly definition: WindowDefinition
  protected readonly allowedLatenessMs: number
  protected readonly isEventTime: boolean
  protected readonly keyOf: ((record: unknown) => Key) | undefined
  protected readonly contents: WindowContents
  protected emit!: (contents: unknown) => void
  protected backend!: KeyedStateBackend
  readonly call = new CallState()
  context!: OperatorWindowContext
  readonly #user: UserFunction
  readonly #lateRecords: Counter

  constructor(protected readonly ctx: OperatorContext) {
    super()
    this.definition = ctx.definition as WindowDefinition
    const { assigner, options, key, f } = this.definition
    this.isEventTime = assigner.timeDomain === 'event-time'
    this.allowedLatenessMs = this.isEventTime ? millis(options.allowedLateness ?? 0) : 0
    if (!(this.allowedLatenessMs >= 0)) throw new FlottError('INVALID_ARGUMENT', `allowedLateness is ${options.allowedLateness}`)
    this.keyOf = key && keySelectorOf(key)
    this.contents = windowContents(f)
    this.#user = new UserFunction(ctx, this.#userObject)
    this.#lateRecords = ctx.runtime.metrics.counter('numLateRecordsDropped')
  }
  get output() {
    return this.ctx.output
  }
  abstract get firesAgain(): boolean
  /** The record's key is current. */
  protected abstract add(record: unknown, timestamp: number, key: Key, hash: number): void
  /** Declares states; what was restored is there. */
  protected abstract opened(): void

  override async open(): Promise<void> {
    const { ctx, definition } = this
    this.backend = await ctx.createKeyedState()
    const states = functionBindingOf(this.#userObject)?.keyedStates ?? ([] as readonly StateDescriptor<unknown>[])
    this.context = new OperatorWindowContext(this.call, ctx.output, ctx.runtime, ctx.clock, this.backend, this.keyOf !== undefined, states)
    this.emit = windowEmit(definition.f, this)
    this.opened()
    this.backend.declared()
    await this.#user.open(this.backend)
  }
  processElement(record: unknown, timestamp: number): void {
    const key = this.keyOf === undefined ? NO_KEY : this.keyOf(record)
    this.add(record, this.#timeOf(timestamp), key, keyHash(key))
  }
  override processBatch(batch: RecordBatch, _input: number): void {
    const { values, hashes, timestamps, hasTimestamps, count } = batch
    const { keyOf } = this
    if (keyOf === undefined) {
      super.processBatch(batch, _input)
      return
    }
    for (let i = 0; i < count; i++)
      this.add(values[i], this.#timeOf(hasTimestamps ? timestamps[i]! : Number.NaN), keyOf(values[i]), hashes[i]!)
  }
  protected dropLate(record: unknown, timestamp: number): void {
    const { sideOutputLateData } = this.definition.options
    if (sideOutputLateData === undefined) this.#lateRecords.inc()
    else this.ctx.output.side(sideOutputLateData.id, record, timestamp)
  }
  override async snapshot(checkpointId: number): Promise<OperatorSnapshotResult> {
    const { done } = this.backend.snapshot(checkpointId)
    const own = this.#user.snapshot(checkpointId)
    const { chunks, checkpointedBytes, stateBytes } = await done
    return {
      keyed: chunks,
      ...(own.operator === undefined ? {} : { operator: own.operator }),
      checkpointedBytes: checkpointedBytes + own.checkpointedBytes,
      stateBytes: stateBytes + own.stateBytes,
    }
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    this.backend.notifyCheckpointComplete(checkpointId)
    this.#user.notifyCheckpointComplete(checkpointId)
  }
  override notifyCheckpointAborted(checkpointId: number): void {
    this.backend.notifyCheckpointAborted(checkpointId)
  }
  override async close(): Promise<void> {
    await this.#user.close()
    this.backend?.close()
  }
  get #userObject(): object {
    const { f } = this.definition
    return f.kind === 'process' ? f.process : f
  }
  #timeOf(timestamp: number): number {
    if (!this.isEventTime) return this.ctx.clock.now()
    if (Number.isNaN(timestamp)) throw new FlottError('NO_TIMESTAMP', 'the record has no time stamp: assign one with a watermark strategy')
    return timestamp
  }
}
