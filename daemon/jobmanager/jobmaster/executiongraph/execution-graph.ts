/** A JobGraph unrolled by parallelism: job vertices, their subtasks, and the current attempt of each. */
import { attemptIdOf } from '#core/ids.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { AccumulatorSnapshot, TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { JobGraph, JobVertex } from '#protocol/graph/job-graph.js'
import type { ExecutionView } from '../job-master-context.js'
import { failoverRegions, subtaskKey } from '../scheduler/failover-regions.js'
import { type SharedSlot, sharedSlotKey } from '../slotpool/slot-sharing.js'
import { type Execution, type ExecutionEffect, type ExecutionEvent, isTerminal, step } from './execution.js'

export class ExecutionVertex {
  #execution: Execution
  timestamps: Partial<Record<ExecutionState, number>> = {}
  metrics: TaskMetrics | undefined
  accumulators: Readonly<Record<string, AccumulatorSnapshot>> = {}
  /** When the TaskManager said that it has the task (Clock.monotonicMs). */
  submittedMs: number | undefined

  constructor(
    private readonly jobId: string,
    readonly jobVertex: JobVertex,
    readonly subtaskIndex: number,
    readonly region: number,
    firstAttemptNumber: number,
    private readonly now: () => number,
  ) {
    this.#execution = this.#created(firstAttemptNumber)
  }
  get execution(): Execution {
    return this.#execution
  }
  get vertexId(): string {
    return this.jobVertex.id
  }
  get state(): ExecutionState {
    return this.#execution.state
  }
  get ended(): boolean {
    return isTerminal(this.#execution.state)
  }
  /** 'Source: lines -> words (2/4) - execution #0', as Flink names a task. */
  get taskName(): string {
    return `${this.jobVertex.name} (${this.subtaskIndex + 1}/${this.jobVertex.parallelism}) - execution #${this.#execution.attemptNumber}`
  }
  get sharedSlot(): SharedSlot {
    const { slotSharingGroup: group } = this.jobVertex
    return { key: sharedSlotKey(group, this.subtaskIndex), group, index: this.subtaskIndex }
  }
  get view(): ExecutionView {
    const { attempt, attemptNumber, state, slot } = this.#execution
    const { vertexId, subtaskIndex } = this
    return { vertexId, subtaskIndex, attemptNumber, attemptId: attempt, state, taskManagerId: slot?.taskManagerId }
  }

  apply(event: ExecutionEvent): readonly ExecutionEffect[] {
    const before = this.#execution.state
    const { execution, effects } = step(this.#execution, event)
    this.#execution = execution
    if (execution.state !== before) this.timestamps = { ...this.timestamps, [execution.state]: this.now() }
    return effects
  }
  /** A new try, numbered above all that were deployed. */
  reset(attemptNumber: number): void {
    this.timestamps = {}
    this.metrics = undefined
    this.accumulators = {}
    this.submittedMs = undefined
    this.#execution = this.#created(attemptNumber)
  }
  #created(attemptNumber: number): Execution {
    this.timestamps = { CREATED: this.now() }
    return { attempt: attemptIdOf(this.jobId, this.jobVertex.id, this.subtaskIndex, attemptNumber), attemptNumber, state: 'CREATED' }
  }
}

export class ExecutionGraph {
  /** In topological order. */
  readonly vertices: readonly ExecutionVertex[]
  /** By failover region. */
  readonly regions: readonly (readonly ExecutionVertex[])[]
  readonly #bySubtask: ReadonlyMap<string, ExecutionVertex>

  constructor(
    readonly jobGraph: JobGraph,
    firstAttemptNumber: number,
    now: () => number,
  ) {
    const regions = failoverRegions(jobGraph)
    const regionOf = new Map(regions.flatMap((region, i) => region.map((s) => [subtaskKey(s.vertexId, s.subtaskIndex), i] as const)))
    this.vertices = jobGraph.vertices.flatMap((jobVertex) =>
      Array.from({ length: jobVertex.parallelism }, (_, subtaskIndex) => {
        const region = regionOf.get(subtaskKey(jobVertex.id, subtaskIndex))!
        return new ExecutionVertex(jobGraph.jobId, jobVertex, subtaskIndex, region, firstAttemptNumber, now)
      }),
    )
    this.#bySubtask = new Map(this.vertices.map((vertex) => [subtaskKey(vertex.vertexId, vertex.subtaskIndex), vertex]))
    this.regions = regions.map((_, i) => this.vertices.filter((vertex) => vertex.region === i))
  }

  /** The subtask whose current attempt that is; undefined for older ones. */
  byAttempt(attemptId: string): ExecutionVertex | undefined {
    const vertex = this.#bySubtask.get(attemptId.slice(this.jobGraph.jobId.length + 1, attemptId.lastIndexOf('_')))
    return vertex?.execution.attempt === attemptId ? vertex : undefined
  }
  /** The subtask that runs an operator's instance. */
  byOperator(operatorId: string, subtaskIndex: number): ExecutionVertex | undefined {
    return this.vertices.find(
      (v) => v.subtaskIndex === subtaskIndex && v.jobVertex.operators.some((operator) => operator.id === operatorId),
    )
  }
  subtasksOf(vertexId: string): readonly ExecutionVertex[] {
    return this.vertices.filter((vertex) => vertex.vertexId === vertexId)
  }
  /** Slots that the subtasks of a region share, each once. */
  slotsOf(region: number): readonly SharedSlot[] {
    return [...new Map(this.regions[region]!.map(({ sharedSlot }) => [sharedSlot.key, sharedSlot])).values()]
  }
  countByState(): Readonly<Record<ExecutionState, number>> {
    const counts: Record<ExecutionState, number> = {
      CREATED: 0,
      SCHEDULED: 0,
      DEPLOYING: 0,
      INITIALIZING: 0,
      RUNNING: 0,
      FINISHED: 0,
      CANCELING: 0,
      CANCELED: 0,
      FAILED: 0,
    }
    for (const vertex of this.vertices) counts[vertex.state]++
    return counts
  }
}
