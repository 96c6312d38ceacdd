/**
 * What keyed operators share: the backend, the loop over a frame (touch the frame's entries first, then record by record under its
 * key) and the snapshot. The loop is generated for each instance, so that reading the key and calling the operator stay monomorphic.
 */

import type { Key } from '#core/functions/functions.js'
import type { KeySelector } from '#core/functions/operator-definition.js'
import { keyHash } from '#core/serialization/key-hash.js'
import type { RecordBatch } from '../exchange/exchange.js'
import type { KeyedStateBackend } from '../state/keyed-state-backend.js'
import { AbstractOperator } from './abstract-operator.js'
import { generate } from './generated-function.js'
import { keyExpression, keySelectorOf } from './key-selector.js'
import type { OperatorContext, OperatorSnapshotResult } from './operator.js'

type BatchLoop = (batch: RecordBatch) => void
export type Handle = (value: unknown, timestamp: number) => void

export abstract class KeyedOperator extends AbstractOperator {
  protected backend!: KeyedStateBackend
  readonly #key: (record: unknown) => Key
  #loop!: BatchLoop
  #handle!: Handle

  constructor(
    protected readonly ctx: OperatorContext,
    private readonly selector: KeySelector,
  ) {
    super()
    this.#key = keySelectorOf(selector)
  }
  /** The operator's work on one record, its key set; a closure of its own for each instance. Called once, after the backend was made. */
  protected abstract handler(): Handle

  override async open(): Promise<void> {
    this.backend = await this.ctx.createKeyedState()
    await this.opened()
    this.#handle = this.handler()
    this.backend.declared()
    this.#loop = generateLoop(this.selector, this.#key, this.backend, this.#handle)
  }
  /** The backend is there; records come after it. */
  protected async opened(): Promise<void> {}

  override processBatch(batch: RecordBatch): void {
    this.backend.prefetch(batch.hashes, batch.count)
    this.#loop(batch)
  }
  processElement(value: unknown, timestamp: number): void {
    const key = this.#key(value)
    this.backend.setCurrentKey(key, keyHash(key))
    this.#handle(value, timestamp)
  }

  override get nextProcessingTime(): number | undefined {
    return this.backend.timers.nextProcessingTime
  }
  override async snapshot(checkpointId: number): Promise<OperatorSnapshotResult> {
    const { done } = this.backend.snapshot(checkpointId)
    const own = this.snapshotOperator(checkpointId)
    const { chunks, checkpointedBytes, stateBytes } = await done
    return {
      keyed: chunks,
      ...(own.operator === undefined ? {} : { operator: own.operator }),
      ...(own.union ? { union: true } : {}),
      checkpointedBytes: checkpointedBytes + own.checkpointedBytes,
      stateBytes: stateBytes + own.stateBytes,
    }
  }
  /** Operator state beside the keyed one; synchronous. */
  protected snapshotOperator(_checkpointId: number): OperatorSnapshotResult {
    return { checkpointedBytes: 0, stateBytes: 0 }
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    this.backend.notifyCheckpointComplete(checkpointId)
  }
  override notifyCheckpointAborted(checkpointId: number): void {
    this.backend.notifyCheckpointAborted(checkpointId)
  }
  override async close(): Promise<void> {
    this.backend?.close()
  }
}

function generateLoop(selector: KeySelector, select: (record: unknown) => Key, backend: KeyedStateBackend, handle: Handle): BatchLoop {
  return generate<BatchLoop>(
    { backend, select, handle },
    `return function processBatch(batch) {
  const { values, hashes, timestamps, hasTimestamps, count } = batch
  for (let i = 0; i < count; i++) {
    const record = values[i]
    backend.setCurrentKey(${keyExpression(selector, 'record', 'select')}, hashes[i])
    handle(record, hasTimestamps ? timestamps[i] : NaN)
  }
}`,
  )
}
