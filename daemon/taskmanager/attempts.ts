import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import { type Attempt, type AttemptEvent, isTerminal, reportOf, stepAttempt } from './attempt.js'

/**
 * The attempts of this TaskManager. Ended ones are remembered until their slot is freed, or a newer attempt of the subtask is there:
 * a leader that was told of the end may die before it acted on it, and the next one must not start the attempt again.
 */
export class Attempts {
  readonly #attempts = new Map<string, Attempt>()

  get(attemptId: string): Attempt | undefined {
    return this.#attempts.get(attemptId)
  }
  add(attempt: Attempt): void {
    const { vertexId, subtaskIndex, attemptNumber, attemptId } = attempt.descriptor
    for (const [id, { jobId, descriptor, state }] of this.#attempts) {
      const sameSubtask = jobId === attempt.jobId && descriptor.vertexId === vertexId && descriptor.subtaskIndex === subtaskIndex
      if (sameSubtask && descriptor.attemptNumber < attemptNumber && isTerminal(state)) this.#attempts.delete(id)
    }
    this.#attempts.set(attemptId, attempt)
  }
  /** The attempt after the event; undefined when it is unknown, or the event changed nothing. */
  apply(attemptId: string, event: AttemptEvent): Attempt | undefined {
    const before = this.#attempts.get(attemptId)
    if (!before) return undefined
    const after = stepAttempt(before, event)
    if (after === before) return undefined
    this.#attempts.set(attemptId, after)
    return after
  }
  of(allocationId: string): readonly Attempt[] {
    return [...this.#attempts.values()].filter(({ descriptor }) => descriptor.allocationId === allocationId)
  }
  running(): readonly Attempt[] {
    return [...this.#attempts.values()].filter(({ state }) => !isTerminal(state))
  }
  forget(attemptId: string): void {
    this.#attempts.delete(attemptId)
  }
  reports(): readonly AttemptReport[] {
    return [...this.#attempts.values()].map(reportOf)
  }
  /** With all that a new leader wants to know: how attempts have ended, and their newest metrics. */
  fullReports(metrics: ReadonlyMap<string, TaskMetrics>): readonly AttemptReport[] {
    return [...this.#attempts].map(([attemptId, attempt]) => {
      const newest = metrics.get(attemptId)
      return { ...reportOf(attempt), ...(newest ? { metrics: newest, accumulators: newest.accumulators } : {}), ...attempt.outcome }
    })
  }
}
