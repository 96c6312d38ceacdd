/**
 * The checkpoint that the coordinator has asked a task for, and that waits for its moment: at a source until all assignments that the
 * enumerator's snapshot covers have come, behind finished producers until all channels have ended.
 */
import type { SourceOperator } from '../operators/source.js'
import type { Barrier } from './barrier-aligner.js'

export interface TriggerMessage {
  readonly checkpointId: number
  readonly epoch: string
  readonly timestamp: number
  /** By operator id and reader: the last assignment that the enumerator's snapshot covers. */
  readonly assigned: Readonly<Record<string, Readonly<Record<number, number>>>>
  readonly savepoint?: { readonly terminate: boolean; readonly drain: boolean }
}

export interface PendingTriggerOptions {
  readonly source: SourceOperator | undefined
  /** Of the source. */
  readonly operatorId: string
  readonly subtaskIndex: number
  readonly allChannelsEnded: () => boolean
  readonly decline: (checkpointId: number, cause: unknown) => void
}

export class PendingTrigger {
  #message: TriggerMessage | undefined
  constructor(private readonly options: PendingTriggerOptions) {}

  get isSet(): boolean {
    return this.#message !== undefined
  }
  /** From here on the source holds back what the enumerator's snapshot does not cover, also when the moment is still to come. */
  set(message: TriggerMessage): void {
    this.#message = message
    this.cover()
  }
  /** A newer one replaces it; an abort takes it back. */
  clear(upTo = Infinity): void {
    if (!this.#message || this.#message.checkpointId > upTo) return
    this.#message = undefined
    if (upTo !== Infinity) this.options.source?.releaseEvents()
  }
  get barrier(): Barrier {
    const { checkpointId, epoch, timestamp, savepoint } = this.#message!
    return { kind: 'barrier', checkpointId, epoch, timestamp, ...(savepoint ? { savepoint } : {}) }
  }
  /** Has the source hold back what is not covered; true when the moment has come. Declines, and is gone, when it has passed. */
  cover(): boolean {
    const { source, operatorId, subtaskIndex, decline } = this.options
    const message = this.#message
    if (!message) return false
    if (!source) return this.options.allChannelsEnded()
    try {
      return source.coverEvents(message.assigned[operatorId]?.[subtaskIndex])
    } catch (error) {
      this.#message = undefined
      decline(message.checkpointId, error)
      return false
    }
  }
}
