/**
 * Sends records to the client. With checkpoints each goes exactly once: what a checkpoint covers is kept in the snapshot and sent when
 * that checkpoint is complete, again after a restore, under the same number; the receiver drops what it has. Without checkpoints
 * records leave in batches, numbered from 1.
 */
import type { CollectDefinition } from '#core/functions/operator-definition.js'
import { AbstractOperator, NOTHING } from './abstract-operator.js'
import type { OperatorContext, OperatorSnapshotResult, TaskServices } from './operator.js'
import { encodedResult, redistribute, restoredValues } from './operator-state.js'

const BATCH_RECORDS_MAX = 1_000
const BATCH_DELAY_MS = 50

interface Group {
  /** Who numbered it: after a restore at another parallelism, not the one who sends it. */
  readonly subtaskIndex: number
  readonly checkpointId: number
  readonly records: readonly unknown[]
}
interface CollectState {
  readonly groups: readonly Group[]
  readonly taken: number
}

export class CollectOperator extends AbstractOperator {
  #records: unknown[] = []
  #groups: Group[] = []
  #taken = 0
  #batches = 0
  #sendAt: number | undefined
  readonly #limit: number

  constructor(
    private readonly ctx: OperatorContext,
    private readonly services: TaskServices,
  ) {
    super()
    this.#limit = (ctx.definition as CollectDefinition).limit ?? Infinity
  }
  override async open(): Promise<void> {
    const restored = await restoredValues<CollectState>(this.ctx)
    const groups = redistribute(
      this.ctx,
      restored.map(({ subtaskIndex, value }) => ({ subtaskIndex, items: value.groups })),
    )
    this.#taken = restored.find((r) => r.subtaskIndex === this.#subtask)?.value.taken ?? 0
    for (const group of groups) this.#send(group)
  }
  get #subtask(): number {
    return this.ctx.runtime.taskInfo.indexOfThisSubtask
  }
  processElement(value: unknown): void {
    if (this.#taken >= this.#limit) return
    this.#taken++
    this.#records.push(value)
    if (this.services.checkpointingEnabled) return
    if (this.#records.length >= BATCH_RECORDS_MAX) this.#sendBatch()
    else this.#sendAt ??= this.ctx.clock.now() + BATCH_DELAY_MS
  }
  #sendBatch(): void {
    this.#sendAt = undefined
    if (this.#records.length === 0) return
    this.#send({ subtaskIndex: this.#subtask, checkpointId: ++this.#batches, records: this.#records })
    this.#records = []
  }
  #send({ subtaskIndex, checkpointId, records }: Group): void {
    this.services.sendCollected(this.ctx.spec.id, subtaskIndex, checkpointId, records)
  }
  override processProcessingTime(now: number): void {
    if (this.#sendAt !== undefined && now >= this.#sendAt) this.#sendBatch()
  }
  override get nextProcessingTime(): number | undefined {
    return this.#sendAt
  }
  override async snapshot(checkpointId: number): Promise<OperatorSnapshotResult> {
    if (this.#records.length > 0) {
      this.#groups.push({ subtaskIndex: this.#subtask, checkpointId, records: this.#records })
      this.#records = []
    }
    if (this.#groups.length === 0 && this.#taken === 0) return NOTHING
    const state: CollectState = { groups: this.#groups, taken: this.#taken }
    return encodedResult(state)
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    for (const group of this.#groups) if (group.checkpointId <= checkpointId) this.#send(group)
    this.#groups = this.#groups.filter((g) => g.checkpointId > checkpointId)
  }
  override endOfData(): void {
    if (!this.services.checkpointingEnabled) this.#sendBatch()
  }
}
