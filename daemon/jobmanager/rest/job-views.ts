/** What the dispatcher knows of a job, in the REST API's words. Pure. */
import type { SerializedError } from '#core/errors.js'
import type { JobDetails, JobOverview, SubtaskDetails, VertexDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { JobGraph, JobVertex } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type {
  AccumulatorsResponse,
  Aggregate,
  AggregatedTaskDetails,
  ExceptionsResponse,
  ExecutionResultResponse,
  IoMetrics,
  JobConfigResponse,
  JobDetailsResponse,
  JobOverviewItem,
  JobVertexItem,
  Plan,
  SubtaskItem,
  VertexDetailsResponse,
} from '#protocol/rest/responses.js'
import { toTaggedJson } from '#protocol/rest/tagged-json.js'
import { distribution } from './statistics.js'

const EXECUTION_STATES: readonly ExecutionState[] = [
  'CREATED',
  'SCHEDULED',
  'DEPLOYING',
  'INITIALIZING',
  'RUNNING',
  'FINISHED',
  'CANCELING',
  'CANCELED',
  'FAILED',
]
const JOB_STATUSES: readonly JobStatus[] = [
  'INITIALIZING',
  'CREATED',
  'RUNNING',
  'FAILING',
  'FAILED',
  'CANCELLING',
  'CANCELED',
  'FINISHED',
  'RESTARTING',
  'SUSPENDED',
  'RECONCILING',
]
const TERMINAL: readonly ExecutionState[] = ['FINISHED', 'CANCELED', 'FAILED']

export function jobOverviewItem(job: JobOverview, now: number): JobOverviewItem {
  return {
    jid: job.jobId,
    name: job.jobName,
    state: job.status,
    jobType: 'STREAMING',
    schedulerType: 'Default',
    'start-time': job.startTime,
    'end-time': job.endTime,
    duration: (job.endTime < 0 ? now : job.endTime) - job.startTime,
    'last-modification': job.lastModification,
    tasks: {
      total: EXECUTION_STATES.reduce((sum, state) => sum + (job.tasks[state] ?? 0), 0),
      ...Object.fromEntries(EXECUTION_STATES.map((state) => [state.toLowerCase(), job.tasks[state] ?? 0])),
    },
    'pending-operators': 0,
    ...(job.waitingFor === undefined ? {} : { 'waiting-for': job.waitingFor }),
  }
}

export function jobDetailsView(job: JobDetails, now: number): JobDetailsResponse {
  const { jobType, tasks: _tasks, ...overview } = jobOverviewItem(job, now)
  return {
    ...overview,
    'job-type': jobType,
    isStoppable: false,
    now,
    maxParallelism: Math.max(1, ...job.jobGraph.vertices.map((vertex) => vertex.maxParallelism)),
    timestamps: Object.fromEntries(JOB_STATUSES.map((status) => [status, job.timestamps[status] ?? 0])) as Record<JobStatus, number>,
    vertices: job.jobGraph.vertices.map((vertex) => vertexItem(vertex, subtasksOf(job, vertex.id), now)),
    'status-counts': Object.fromEntries(EXECUTION_STATES.map((state) => [state, job.tasks[state] ?? 0])) as Record<ExecutionState, number>,
    plan: planView(job.jobGraph),
    restarts: job.restarts,
  }
}

function subtasksOf(job: JobDetails, vertexId: string): readonly SubtaskDetails[] {
  return job.vertices.find((vertex: VertexDetails) => vertex.vertexId === vertexId)?.subtasks ?? []
}

function vertexItem(vertex: JobVertex, subtasks: readonly SubtaskDetails[], now: number): JobVertexItem {
  const count = (state: ExecutionState) => subtasks.filter((subtask) => subtask.state === state).length
  const start = earliest(subtasks.map(startOf))
  const ended = subtasks.length > 0 && subtasks.every((subtask) => TERMINAL.includes(subtask.state))
  const end = ended ? Math.max(...subtasks.map((subtask) => subtask.timestamps[subtask.state] ?? 0)) : -1
  return {
    id: vertex.id,
    name: vertex.name,
    slotSharingGroupId: vertex.slotSharingGroup,
    parallelism: vertex.parallelism,
    maxParallelism: vertex.maxParallelism,
    status: aggregateState(subtasks.map((subtask) => subtask.state)),
    'start-time': start,
    'end-time': end,
    duration: start < 0 ? -1 : (ended ? end : now) - start,
    tasks: Object.fromEntries(EXECUTION_STATES.map((state) => [state, count(state)])) as Record<ExecutionState, number>,
    metrics: ioMetrics(subtasks.map((subtask) => subtask.metrics)),
  }
}

/** Flink's rule: failed and ending states show first, then the least advanced one. */
export function aggregateState(states: readonly ExecutionState[]): ExecutionState {
  for (const state of ['FAILED', 'CANCELING', 'CANCELED'] as const) if (states.includes(state)) return state
  for (const state of ['CREATED', 'SCHEDULED', 'DEPLOYING', 'INITIALIZING', 'RUNNING'] as const) if (states.includes(state)) return state
  return states.length === 0 ? 'CREATED' : 'FINISHED'
}

function startOf(subtask: SubtaskDetails): number {
  return subtask.timestamps.DEPLOYING ?? -1
}
function earliest(times: readonly number[]): number {
  const known = times.filter((time) => time >= 0)
  return known.length === 0 ? -1 : Math.min(...known)
}

function ioMetrics(all: readonly (TaskMetrics | undefined)[]): IoMetrics {
  const complete = all.every((metrics) => metrics !== undefined)
  const sum = (pick: (metrics: TaskMetrics) => number) =>
    all.reduce((total, metrics) => total + (metrics === undefined ? 0 : pick(metrics)), 0)
  return {
    'read-bytes': sum((m) => m.numBytesIn),
    'read-records': sum((m) => m.numRecordsIn),
    'write-bytes': sum((m) => m.numBytesOut),
    'write-records': sum((m) => m.numRecordsOut),
    'read-bytes-complete': complete,
    'read-records-complete': complete,
    'write-bytes-complete': complete,
    'write-records-complete': complete,
    'accumulated-backpressured-time': Math.round(sum((m) => m.backPressuredTimeMs)),
    'accumulated-busy-time': Math.round(sum((m) => m.busyTimeMs)),
    'accumulated-idle-time': Math.round(sum((m) => m.idleTimeMs)),
  }
}

export function vertexDetailsView(job: JobDetails, vertex: JobVertex, now: number): VertexDetailsResponse {
  const subtasks = subtasksOf(job, vertex.id).map((subtask) => subtaskItem(subtask, now))
  return {
    id: vertex.id,
    name: vertex.name,
    parallelism: vertex.parallelism,
    maxParallelism: vertex.maxParallelism,
    now,
    subtasks,
    aggregated: aggregated(subtasks),
  }
}

const AGGREGATED_METRICS = [
  'read-bytes',
  'write-bytes',
  'read-records',
  'write-records',
  'accumulated-backpressured-time',
  'accumulated-busy-time',
  'accumulated-idle-time',
] as const
const AGGREGATED_STATES = ['CREATED', 'SCHEDULED', 'INITIALIZING', 'DEPLOYING', 'RUNNING'] as const

function aggregated(subtasks: readonly SubtaskItem[]): AggregatedTaskDetails {
  const each = (names: readonly string[], value: (subtask: SubtaskItem, name: string) => number) =>
    Object.fromEntries(names.map((name) => [name, aggregate(subtasks.map((subtask) => value(subtask, name)))]))
  return {
    metrics: each(AGGREGATED_METRICS, ({ metrics }, name) => metrics[name as (typeof AGGREGATED_METRICS)[number]]),
    'status-duration': each(AGGREGATED_STATES, (subtask, state) => subtask['status-duration'][state as ExecutionState] ?? -1),
  }
}

/** Whole numbers. */
function aggregate(values: readonly number[]): Aggregate {
  const { min, max, avg, sum, quantile } = distribution(values)
  const at = (fraction: number) => Math.trunc(quantile(fraction))
  return { min, max, avg: Math.trunc(avg), sum, median: at(0.5), p25: at(0.25), p75: at(0.75), p95: at(0.95) }
}

function subtaskItem(subtask: SubtaskDetails, now: number): SubtaskItem {
  const start = startOf(subtask)
  const end = TERMINAL.includes(subtask.state) ? (subtask.timestamps[subtask.state] ?? -1) : -1
  const watermark = subtask.metrics?.currentInputWatermark
  return {
    subtask: subtask.subtaskIndex,
    status: subtask.state,
    attempt: subtask.attemptNumber,
    endpoint: subtask.endpoint ?? '(unassigned)',
    'taskmanager-id': subtask.taskManagerId ?? '(unassigned)',
    'start-time': start,
    'end-time': end,
    duration: start < 0 ? -1 : (end < 0 ? now : end) - start,
    'status-duration': statusDuration(subtask, now),
    metrics: ioMetrics([subtask.metrics]),
    'current-input-watermark': watermark !== undefined && Number.isFinite(watermark) ? watermark : null,
    user: subtask.metrics?.user ?? {},
    'other-concurrent-attempts': [],
  }
}

/** How long it was, or has been, in each state that it entered and can leave; -1: not in it. */
function statusDuration({ timestamps }: SubtaskDetails, now: number): Record<string, number> {
  const entered = EXECUTION_STATES.flatMap((state) => (timestamps[state] === undefined ? [] : [{ state, at: timestamps[state] }]))
  const inOrder = entered.toSorted((a, b) => a.at - b.at)
  const left = (state: ExecutionState) => inOrder[inOrder.findIndex((entry) => entry.state === state) + 1]?.at ?? now
  return Object.fromEntries(
    EXECUTION_STATES.filter((state) => !TERMINAL.includes(state)).map((state) => [
      state,
      timestamps[state] === undefined ? -1 : left(state) - timestamps[state],
    ]),
  )
}

const STRATEGY: Readonly<Record<string, string>> = {
  forward: 'FORWARD',
  hash: 'HASH',
  rebalance: 'REBALANCE',
  rescale: 'RESCALE',
  broadcast: 'BROADCAST',
  global: 'GLOBAL',
  shuffle: 'SHUFFLE',
  custom: 'CUSTOM',
}

export function planView(graph: JobGraph): Plan {
  return {
    jid: graph.jobId,
    name: graph.jobName,
    type: 'STREAMING',
    nodes: graph.vertices.map((vertex) => {
      const inputs = graph.edges.filter((edge) => edge.target === vertex.id)
      return {
        id: vertex.id,
        parallelism: vertex.parallelism,
        operator: '',
        operator_strategy: '',
        description: vertex.name,
        optimizer_properties: {},
        ...(inputs.length === 0
          ? {}
          : {
              inputs: inputs.map((edge, num) => ({
                num,
                id: edge.source,
                ship_strategy: STRATEGY[edge.partitioner] ?? edge.partitioner,
                exchange: 'pipelined_bounded' as const,
              })),
            }),
      }
    }),
  }
}

export function jobConfigView(job: JobDetails): JobConfigResponse {
  const { settings } = job.jobGraph
  return {
    jid: job.jobId,
    name: job.jobName,
    'execution-config': {
      'restart-strategy': settings['restart-strategy.type'] ?? 'Cluster level default restart strategy',
      'job-parallelism': Number(settings['parallelism.default'] ?? 1),
      'object-reuse-mode': true,
      'user-config': settings,
    },
  }
}

export function exceptionsView(job: JobDetails, most: number): ExceptionsResponse {
  const entries = job.exceptions.slice(0, most).map((entry) => ({
    exceptionName: entry.error.code ?? entry.error.name,
    stacktrace: stackOf(entry.error),
    timestamp: entry.timestamp,
    ...(entry.taskName === undefined ? {} : { taskName: entry.taskName }),
    ...(entry.endpoint === undefined ? {} : { endpoint: entry.endpoint }),
    ...(entry.taskManagerId === undefined ? {} : { taskManagerId: entry.taskManagerId }),
    failureLabels: {},
    concurrentExceptions: [],
  }))
  return { exceptionHistory: { entries, truncated: job.exceptionsTruncated || entries.length < job.exceptions.length } }
}

/** What failed, as Flink's API names it, and whole for whoever reads ours. */
export function failureCause(error: SerializedError): {
  readonly class: string
  readonly 'stack-trace': string
  readonly error: SerializedError
} {
  return { class: error.code ?? error.name, 'stack-trace': stackOf(error), error }
}

function stackOf(error: NonNullable<JobDetails['failure']>): string {
  const own = error.stack ?? `${error.name}: ${error.message}`
  return error.cause === undefined ? own : `${own}\nCaused by: ${stackOf(error.cause)}`
}

export function accumulatorsView(job: JobDetails): AccumulatorsResponse {
  return {
    'job-accumulators': [],
    'user-task-accumulators': Object.entries(job.accumulators).map(([name, { type, value }]) => ({
      name,
      type,
      value: JSON.stringify(toTaggedJson(value)),
    })),
    'serialized-user-task-accumulators': {},
  }
}

const APPLICATION_STATUS = { FINISHED: 'SUCCEEDED', FAILED: 'FAILED', CANCELED: 'CANCELED' } as const

export function executionResultView(job: JobDetails): ExecutionResultResponse {
  const status = job.status
  if (status !== 'FINISHED' && status !== 'FAILED' && status !== 'CANCELED') return { status: { id: 'IN_PROGRESS' } }
  return {
    status: { id: 'COMPLETED' },
    'job-execution-result': {
      id: job.jobId,
      name: job.jobName,
      'application-status': APPLICATION_STATUS[status],
      'start-time': job.startTime,
      'end-time': job.endTime,
      'net-runtime': job.endTime - job.startTime,
      'accumulator-results': toTaggedJson(Object.fromEntries(Object.entries(job.accumulators).map(([name, { value }]) => [name, value]))),
      ...(job.failure === undefined ? {} : { 'failure-cause': failureCause(job.failure) }),
    },
  }
}
