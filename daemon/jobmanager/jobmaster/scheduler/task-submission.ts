/** Brings tasks to their TaskManagers, and cancels them there: one message to each, repeated while its answer may still come. */
import { isCallTrouble } from '#core/errors.js'
import type { TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import { encodeJobGraph } from '#protocol/graph/job-graph-format.js'
import type { ExecutionVertex } from '../executiongraph/execution-graph.js'
import type { CheckpointCoordinatorApi, CompletedCheckpoint, JobMasterContext } from '../job-master-context.js'
import type { Scheduler } from './scheduler.js'

const RETRY_MS = 500

/** A durable record as TaskManagers receive it, and what its tasks are restored from. */
export interface SentDeployment {
  readonly deployment: Uint8Array
  readonly restored: CompletedCheckpoint | undefined
}

export interface TaskSubmissionOptions {
  readonly context: JobMasterContext
  readonly scheduler: Scheduler
  readonly checkpoints: CheckpointCoordinatorApi
}

export class TaskSubmission {
  readonly #jobGraph: Uint8Array

  constructor(private readonly options: TaskSubmissionOptions) {
    this.#jobGraph = encodeJobGraph(options.context.jobGraph)
  }

  submit(vertices: readonly ExecutionVertex[], sent: SentDeployment): void {
    for (const [taskManagerId, tasks] of byTaskManager(vertices)) this.#submit(taskManagerId, tasks, sent)
  }

  #submit(taskManagerId: string, vertices: readonly ExecutionVertex[], sent: SentDeployment): void {
    const { context, scheduler } = this.options
    const { jobId } = context.jobGraph
    const attempts = vertices.map((vertex) => vertex.execution.attempt)
    const current = () => vertices.filter((vertex, i) => vertex.execution.attempt === attempts[i] && !vertex.ended)
    const taskManager = context.taskManager(taskManagerId)
    if (!taskManager) return // Its loss is told to the scheduler by itself.
    const tasks = vertices.map((vertex) => this.#descriptor(vertex, sent.restored))
    taskManager.submitTasks({ jobId, jobGraph: this.#jobGraph, deployment: sent.deployment, tasks }).then(
      () =>
        context.run(() => {
          for (const vertex of current()) vertex.submittedMs = context.clock.monotonicMs()
        }),
      (error: unknown) =>
        context.run(() => {
          if (current().length === 0) return
          context.logger.warn('tasks not submitted', { taskManagerId, error })
          if (isCallTrouble(error)) return this.#later(() => this.#submit(taskManagerId, current(), sent))
          scheduler.tasksLost(
            current().map((vertex) => vertex.execution.attempt),
            error as Error,
          )
        }),
    )
  }

  #descriptor(vertex: ExecutionVertex, restored: CompletedCheckpoint | undefined): TaskDeploymentDescriptor {
    const { vertexId, subtaskIndex, jobVertex, execution } = vertex
    const { attempt: attemptId, attemptNumber } = execution
    const { allocationId, slotIndex } = execution.slot!
    const restore = restored && this.options.checkpoints.restoreOf(restored.manifest, vertexId, subtaskIndex, jobVertex.parallelism)
    return { attemptId, vertexId, subtaskIndex, attemptNumber, allocationId, slotIndex, ...(restore ? { restore } : {}) }
  }

  /** Until the TaskManager has taken it; the end of the tasks is reported, or the TaskManager is lost. */
  cancel(vertices: readonly ExecutionVertex[]): void {
    const { context } = this.options
    for (const [taskManagerId, tasks] of byTaskManager(vertices)) {
      const attemptIds = tasks.map((vertex) => vertex.execution.attempt)
      const taskManager = context.taskManager(taskManagerId)
      if (!taskManager) continue
      const waiting = () => tasks.filter((vertex, i) => vertex.execution.attempt === attemptIds[i] && !vertex.ended)
      taskManager.cancelTasks({ jobId: context.jobGraph.jobId, attemptIds }).then(
        () =>
          context.run(() => {
            // A task that it never had is not reported: the next heartbeat tells.
            for (const vertex of waiting()) vertex.submittedMs ??= context.clock.monotonicMs()
          }),
        (error: unknown) =>
          context.run(() => {
            context.logger.warn('tasks not cancelled yet', { taskManagerId, error })
            if (waiting().length > 0) this.#later(() => this.cancel(waiting()))
          }),
      )
    }
  }

  #later(turn: () => void): void {
    const { context } = this.options
    context.clock.setTimer(RETRY_MS, () => context.run(turn), { unref: true })
  }
}

function byTaskManager(vertices: readonly ExecutionVertex[]): ReadonlyMap<string, readonly ExecutionVertex[]> {
  const groups = new Map<string, ExecutionVertex[]>()
  for (const vertex of vertices) {
    const id = vertex.execution.slot?.taskManagerId
    if (id === undefined) continue
    const group = groups.get(id)
    if (group) group.push(vertex)
    else groups.set(id, [vertex])
  }
  return groups
}
