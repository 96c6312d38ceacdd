import type { RecordBatch } from '../exchange/exchange.js'
import type { Operator, OperatorSnapshotResult, Output } from './operator.js'

export const NOTHING: OperatorSnapshotResult = Object.freeze({ checkpointedBytes: 0, stateBytes: 0 })

/** What most operators do at most of the calls: nothing. */
export abstract class AbstractOperator implements Operator {
  abstract processElement(value: unknown, timestamp: number): void

  processBatch(batch: RecordBatch, _input: number): void {
    const { values, timestamps, hasTimestamps, count } = batch
    for (let i = 0; i < count; i++) this.processElement(values[i], hasTimestamps ? timestamps[i]! : Number.NaN)
  }
  async open(): Promise<void> {}
  processWatermark(_timestamp: number): void {}
  processProcessingTime(_now: number): void {}
  get nextProcessingTime(): number | undefined {
    return undefined
  }
  prepareSnapshot(_checkpointId: number): void | Promise<void> {}
  async snapshot(_checkpointId: number): Promise<OperatorSnapshotResult> {
    return NOTHING
  }
  notifyCheckpointComplete(_checkpointId: number): void | Promise<void> {}
  notifyCheckpointAborted(_checkpointId: number): void {}
  endOfData(): void | Promise<void> {}
  async close(): Promise<void> {}
}

/** Of an operator that emits through no output: a sink. */
export const noOutput: Output = { collect() {}, side() {} }
