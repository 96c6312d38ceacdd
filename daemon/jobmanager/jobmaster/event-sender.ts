import { sleep } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { NumberedEvent } from '#protocol/gateways/task-executor-gateway.js'
import type { ExecutionGraph } from './executiongraph/execution-graph.js'
import type { JobMasterContext } from './job-master-context.js'

const RETRY_MS = 200

/**
 * Brings events from the enumerators to an attempt; repeated until it has them, or is gone. Never to the attempt that follows it: what it
 * has is in its checkpoint, and the numbers of its events begin there anew.
 */
export class EventSender {
  /** By reader: its events go one call after the other, so that they arrive in order. */
  readonly #last = new Map<string, Promise<void>>()

  constructor(
    private readonly context: Pick<JobMasterContext, 'jobGraph' | 'clock' | 'signal' | 'logger' | 'taskManager'>,
    private readonly graph: Pick<ExecutionGraph, 'byAttempt'>,
  ) {}

  /** TASK_LOST when the attempt ended before it had taken the events. */
  readonly send = (attemptId: string, operatorId: string, events: readonly NumberedEvent[]): Promise<void> => {
    const key = `${attemptId} ${operatorId}`
    const sent = (this.#last.get(key) ?? Promise.resolve()).then(() => this.#send(attemptId, operatorId, events))
    const settled = sent.catch(() => {})
    this.#last.set(key, settled)
    void settled.then(() => this.#last.get(key) === settled && this.#last.delete(key))
    return sent
  }

  async #send(attemptId: string, operatorId: string, events: readonly NumberedEvent[]): Promise<void> {
    const { jobGraph, clock, signal, logger } = this.context
    for (;;) {
      signal.throwIfAborted()
      const vertex = this.graph.byAttempt(attemptId)
      if (!vertex || vertex.ended) throw new FlottError('TASK_LOST', `${attemptId} runs no more`)
      const taskManagerId = vertex.execution.slot?.taskManagerId
      const taskManager = taskManagerId === undefined ? undefined : this.context.taskManager(taskManagerId)
      try {
        if (taskManager) {
          await taskManager.sendOperatorEvents({ jobId: jobGraph.jobId, attemptId, operatorId, events })
          return
        }
      } catch (error) {
        logger.debug('events not delivered yet', { attemptId, operatorId, error })
      }
      await sleep(clock, RETRY_MS, signal)
    }
  }
}
