/** A JobGraph unrolled by parallelism: job vertices, their subtasks, and the current attempt of each. */
import { attemptIdOf } from '#core/ids.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { AccumulatorSnapshot, TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { JobGraph, JobVertex } from '#protocol/graph/job-graph.js'
import type { ExecutionView } from '../job-master-context.js'
import { failoverRegions, subtaskKey } from '../scheduler/failover-regions.js'
import { type SharedSlot, sharedSlotKey } from '../slotpool/slot-sharing.js'
import { type Execution, type ExecutionEffect, type ExecutionEvent, isTerminal, step } from './execution.js'

/** What a graph knows of all its subtasks, kept up to date by them: questions of every report must not look at each. */
class Tally {
  readonly states = new Map<ExecutionState, number>()
  /** By the id of the current attempt. */
  readonly attempts = new Map<string, ExecutionVertex>()
  /** By TaskManager; undefined after one was deployed or reset, until somebody asks. */
  placed: Map<string, ExecutionVertex[]> | undefined

  count(state: ExecutionState, change: 1 | -1): void {
    this.states.set(state, (this.states.get(state) ?? 0) + change)
  }
}

export class ExecutionVertex {
  #execution: Execution
  readonly sharedSlot: SharedSlot
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
    private readonly tally: Tally,
  ) {
    const { slotSharingGroup: group } = jobVertex
    this.sharedSlot = { key: sharedSlotKey(group, subtaskIndex), group, index: subtaskIndex }
    this.#execution = this.#created(firstAttemptNumber)
    tally.attempts.set(this.#execution.attempt, this)
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
  get view(): ExecutionView {
    const { attempt, attemptNumber, state, slot } = this.#execution
    const { vertexId, subtaskIndex } = this
    return { vertexId, subtaskIndex, attemptNumber, attemptId: attempt, state, taskManagerId: slot?.taskManagerId }
  }

  apply(event: ExecutionEvent): readonly ExecutionEffect[] {
    const { state: before, slot, attempt } = this.#execution
    const { execution, effects } = step(this.#execution, event)
    this.#execution = execution
    if (execution.slot !== slot) this.tally.placed = undefined
    if (execution.attempt !== attempt) this.#renamed(attempt)
    if (execution.state === before) return effects
    this.tally.count(before, -1)
    this.tally.count(execution.state, 1)
    this.timestamps[execution.state] = this.now()
    return effects
  }
  /** A new try, numbered above all that were deployed. */
  reset(attemptNumber: number): void {
    this.timestamps = {}
    this.metrics = undefined
    this.accumulators = {}
    this.submittedMs = undefined
    this.tally.count(this.state, -1)
    this.tally.placed = undefined
    const { attempt } = this.#execution
    this.#execution = this.#created(attemptNumber)
    this.#renamed(attempt)
  }
  #renamed(before: string): void {
    this.tally.attempts.delete(before)
    this.tally.attempts.set(this.#execution.attempt, this)
  }
  #created(attemptNumber: number): Execution {
    this.timestamps = { CREATED: this.now() }
    this.tally.count('CREATED', 1)
    return { attempt: attemptIdOf(this.jobId, this.jobVertex.id, this.subtaskIndex, attemptNumber), attemptNumber, state: 'CREATED' }
  }
}

export class ExecutionGraph {
  /** In topological order. */
  readonly vertices: readonly ExecutionVertex[]
  /** By failover region. */
  readonly regions: readonly (readonly ExecutionVertex[])[]
  readonly #tally = new Tally()
  readonly #byVertex = new Map<string, ExecutionVertex[]>()
  readonly #slots: readonly (readonly SharedSlot[])[]

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
        return new ExecutionVertex(jobGraph.jobId, jobVertex, subtaskIndex, region, firstAttemptNumber, now, this.#tally)
      }),
    )
    for (const { id } of jobGraph.vertices) this.#byVertex.set(id, [])
    const members = regions.map((): ExecutionVertex[] => [])
    for (const vertex of this.vertices) {
      this.#byVertex.get(vertex.vertexId)!.push(vertex)
      members[vertex.region]!.push(vertex)
    }
    this.regions = members
    this.#slots = members.map((vertices) => [...new Map(vertices.map(({ sharedSlot }) => [sharedSlot.key, sharedSlot])).values()])
  }

  /** The subtask whose current attempt that is; undefined for older ones. */
  byAttempt(attemptId: string): ExecutionVertex | undefined {
    return this.#tally.attempts.get(attemptId)
  }
  /** Whether it is the newest attempt of a subtask and has not ended. */
  isCurrent(attemptId: string): boolean {
    return this.byAttempt(attemptId)?.ended === false
  }
  subtasksOf(vertexId: string): readonly ExecutionVertex[] {
    return this.#byVertex.get(vertexId) ?? []
  }
  /** Whose current attempt runs there, or ran. */
  placedOn(taskManagerId: string): readonly ExecutionVertex[] {
    this.#tally.placed ??= placedByTaskManager(this.vertices)
    return this.#tally.placed.get(taskManagerId) ?? []
  }
  /** Slots that the subtasks of a region share, each once. */
  slotsOf(region: number): readonly SharedSlot[] {
    return this.#slots[region]!
  }
  countOf(state: ExecutionState): number {
    return this.#tally.states.get(state) ?? 0
  }
  countByState(): Readonly<Record<ExecutionState, number>> {
    return {
      CREATED: this.countOf('CREATED'),
      SCHEDULED: this.countOf('SCHEDULED'),
      DEPLOYING: this.countOf('DEPLOYING'),
      INITIALIZING: this.countOf('INITIALIZING'),
      RUNNING: this.countOf('RUNNING'),
      FINISHED: this.countOf('FINISHED'),
      CANCELING: this.countOf('CANCELING'),
      CANCELED: this.countOf('CANCELED'),
      FAILED: this.countOf('FAILED'),
    }
  }
}

function placedByTaskManager(vertices: readonly ExecutionVertex[]): Map<string, ExecutionVertex[]> {
  const placed = new Map<string, ExecutionVertex[]>()
  for (const vertex of vertices) {
    const id = vertex.execution.slot?.taskManagerId
    if (id === undefined) continue
    const there = placed.get(id)
    if (there) there.push(vertex)
    else placed.set(id, [vertex])
  }
  return placed
}
