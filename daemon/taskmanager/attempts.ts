import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import { type Attempt, type AttemptEvent, isTerminal, reportOf, stepAttempt } from './attempt.js'

/**
 * The attempts of this TaskManager. Ended ones are remembered until their slot is freed, or a newer attempt of the subtask is there:
 * a leader that was told of the end may die before it acted on it, and the next one must not start the attempt again.
 */
export class Attempts {
  readonly #attempts = new Map<string, Attempt>()
  readonly #timestamps = new Map<string, Partial<Record<ExecutionState, number>>>()

  /** `now`: the wall clock. */
  constructor(private readonly now: () => number) {}

  get(attemptId: string): Attempt | undefined {
    return this.#attempts.get(attemptId)
  }
  add(attempt: Attempt): void {
    const { vertexId, subtaskIndex, attemptNumber, attemptId } = attempt.descriptor
    for (const [id, { jobId, descriptor, state }] of this.#attempts) {
      const sameSubtask = jobId === attempt.jobId && descriptor.vertexId === vertexId && descriptor.subtaskIndex === subtaskIndex
      if (sameSubtask && descriptor.attemptNumber < attemptNumber && isTerminal(state)) this.forget(id)
    }
    this.#attempts.set(attemptId, attempt)
    this.#timestamps.set(attemptId, { [attempt.state]: this.now() })
  }
  /** The attempt after the event; undefined when it is unknown, or the event changed nothing. */
  apply(attemptId: string, event: AttemptEvent): Attempt | undefined {
    const before = this.#attempts.get(attemptId)
    if (!before) return undefined
    const after = stepAttempt(before, event)
    if (after === before) return undefined
    this.#attempts.set(attemptId, after)
    if (after.state !== before.state) this.#timestamps.set(attemptId, { ...this.#timestamps.get(attemptId), [after.state]: this.now() })
    return after
  }
  of(allocationId: string): readonly Attempt[] {
    return [...this.#attempts.values()].filter(({ descriptor }) => descriptor.allocationId === allocationId)
  }
  running(): readonly Attempt[] {
    return [...this.#attempts.values()].filter(({ state }) => !isTerminal(state))
  }
  /** How many have not ended, where there are any. */
  runningByAllocation(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { descriptor, state } of this.#attempts.values())
      if (!isTerminal(state)) counts.set(descriptor.allocationId, (counts.get(descriptor.allocationId) ?? 0) + 1)
    return counts
  }
  forget(attemptId: string): void {
    this.#attempts.delete(attemptId)
    this.#timestamps.delete(attemptId)
  }
  reports(): readonly AttemptReport[] {
    return [...this.#attempts.values()].map(reportOf)
  }
  /** With all that a new leader wants to know: how attempts have ended, since when they are what they are, their newest metrics. */
  fullReports(metrics: ReadonlyMap<string, TaskMetrics>): readonly AttemptReport[] {
    return [...this.#attempts].map(([attemptId, attempt]) => {
      const newest = metrics.get(attemptId)
      const timestamps = this.#timestamps.get(attemptId) ?? {}
      return {
        ...reportOf(attempt),
        timestamps,
        ...(newest ? { metrics: newest, accumulators: newest.accumulators } : {}),
        ...attempt.outcome,
      }
    })
  }
}
