import type { AttemptEvent } from './attempt.js'
import type { JobMessage } from './job-reports.js'
import type { FromSlotWorker } from './slotworker/protocol.js'

export interface TaskMessage {
  readonly attemptId: string
  /** What the TaskManager remembers of it. */
  readonly event?: AttemptEvent
  /** What the JobMaster is told. */
  readonly message: JobMessage
}

/** What a task says to its JobMaster, states aside; undefined for what is for the TaskManager alone. */
export function taskMessageOf(said: FromSlotWorker): TaskMessage | undefined {
  switch (said.kind) {
    case 'checkpoint-acknowledged': {
      const { kind, ...request } = said
      const { attemptId, checkpointId } = request
      return { attemptId, event: { kind, checkpointId }, message: { method: 'acknowledgeCheckpoint', request } }
    }
    case 'checkpoint-declined': {
      const { kind: _, ...request } = said
      return { attemptId: said.attemptId, message: { method: 'declineCheckpoint', request } }
    }
    case 'reader-event': {
      const { kind, ...request } = said
      const { attemptId, operatorId, event } = request
      return { attemptId, event: { kind, operatorId, event }, message: { method: 'sendReaderEvent', request } }
    }
    case 'collected': {
      const { kind: _, ...request } = said
      return { attemptId: said.attemptId, message: { method: 'sendCollected', request } }
    }
    case 'awaiting-final-checkpoint': {
      const { attemptId } = said
      return { attemptId, event: { kind: 'final-checkpoint-awaited' }, message: { method: 'awaitFinalCheckpoint', request: { attemptId } } }
    }
    default:
      return undefined
  }
}
