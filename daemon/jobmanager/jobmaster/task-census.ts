/** Compares what TaskManagers say that they run with what the job has there: what is missing is lost, what is too much is cancelled. */
import { FlottError } from '#core/errors.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { JobHeartbeat } from '../resourcemanager/slot-provider.js'
import type { ExecutionGraph } from './executiongraph/execution-graph.js'
import type { JobMasterContext } from './job-master-context.js'
import type { Scheduler } from './scheduler/scheduler.js'

export interface TaskCensusOptions {
  readonly context: JobMasterContext
  readonly graph: ExecutionGraph
  readonly scheduler: Scheduler
}

export class TaskCensus {
  constructor(private readonly options: TaskCensusOptions) {}

  heartbeatReceived({ taskManagerId, sentMs, attempts, metrics: metricsOf }: JobHeartbeat): void {
    const { graph, scheduler } = this.options
    const reported = new Set(attempts.map((attempt) => attempt.attemptId))
    for (const vertex of graph.placedOn(taskManagerId)) {
      const { attempt } = vertex.execution
      const metrics = metricsOf[attempt]
      if (metrics) {
        vertex.metrics = metrics
        vertex.accumulators = metrics.accumulators
      }
      // It took the task before it was asked, and does not know it any more.
      if (!reported.has(attempt) && vertex.submittedMs !== undefined && vertex.submittedMs < sentMs)
        scheduler.tasksLost([attempt], new FlottError('TASK_LOST', `TaskManager ${taskManagerId} does not know ${vertex.taskName}`))
    }
    this.cancelUnrecorded(taskManagerId, attempts)
  }

  /**
   * Attempts that no deployment names any more, or that count as lost: nobody waits for what they do. One that has FINISHED has said so
   * itself: a heartbeat that knows it as running was overtaken by that.
   */
  cancelUnrecorded(taskManagerId: string, attempts: readonly AttemptReport[]): void {
    const { context, graph } = this.options
    const runs = ({ state }: AttemptReport) => state === 'DEPLOYING' || state === 'INITIALIZING' || state === 'RUNNING'
    const isWanted = (attemptId: string) => graph.isCurrent(attemptId) || graph.byAttempt(attemptId)?.state === 'FINISHED'
    const attemptIds = attempts.filter((attempt) => runs(attempt) && !isWanted(attempt.attemptId)).map(({ attemptId }) => attemptId)
    if (attemptIds.length === 0) return
    context.logger.warn('tasks that are not ours any more are cancelled', { taskManagerId, attemptIds })
    context
      .taskManager(taskManagerId)
      ?.cancelTasks({ jobId: context.jobGraph.jobId, attemptIds })
      .catch((error: unknown) => context.logger.debug('not cancelled; the next heartbeat tells', { taskManagerId, error }))
  }
}
