import { serializeError } from '#core/errors.js'
import type { JobDetails, JobOverview, SubtaskDetails, VertexDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { JobFact, JobStatus } from '#protocol/ha/facts.js'
import { mergeAccumulators } from './accumulators.js'
import type { ExecutionGraph, ExecutionVertex } from './executiongraph/execution-graph.js'
import type { CheckpointCoordinatorApi } from './job-master-context.js'
import { isGloballyTerminal } from './scheduler/job-status.js'
import type { Scheduler } from './scheduler/scheduler.js'

export interface DescribedJob {
  readonly fact: JobFact
  readonly graph: ExecutionGraph
  readonly scheduler: Scheduler
  readonly checkpoints: CheckpointCoordinatorApi
  /** The status to show: a terminal one only once it is durable. */
  readonly status: JobStatus
  readonly waitingFor: string | undefined
}

export function overviewOf({ fact, graph, scheduler, status, waitingFor }: DescribedJob): JobOverview {
  const endTime = isGloballyTerminal(status) ? (scheduler.timestamps[status] ?? -1) : -1
  return {
    jobId: fact.jobId,
    jobName: fact.jobName,
    status,
    startTime: fact.submittedTime,
    endTime,
    lastModification: Math.max(...Object.values(scheduler.timestamps)),
    tasks: graph.countByState(),
    ...(waitingFor === undefined ? {} : { waitingFor }),
  }
}

export function detailsOf(job: DescribedJob): JobDetails {
  const { fact, graph, scheduler, checkpoints } = job
  return {
    ...overviewOf(job),
    jobGraph: graph.jobGraph,
    fact,
    timestamps: { ...scheduler.timestamps },
    vertices: graph.jobGraph.vertices.map(
      ({ id }): VertexDetails => ({ vertexId: id, subtasks: graph.subtasksOf(id).map(subtaskDetails) }),
    ),
    restarts: scheduler.restartCount,
    exceptions: scheduler.exceptions.entries,
    exceptionsTruncated: scheduler.exceptions.truncated,
    accumulators: mergeAccumulators(graph.vertices.map((vertex) => vertex.accumulators)),
    checkpoints: checkpoints.statistics(),
    ...(scheduler.failure ? { failure: serializeError(scheduler.failure) } : {}),
  }
}

function subtaskDetails({ subtaskIndex, execution, timestamps, metrics }: ExecutionVertex): SubtaskDetails {
  const { attempt: attemptId, attemptNumber, state, slot } = execution
  return {
    subtaskIndex,
    attemptNumber,
    attemptId,
    state,
    timestamps: { ...timestamps },
    ...(slot ? { endpoint: `${slot.host}:${slot.dataPort}`, taskManagerId: slot.taskManagerId } : {}),
    ...(metrics ? { metrics } : {}),
  }
}
