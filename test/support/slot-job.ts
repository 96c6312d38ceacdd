import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { EdgeDefinition, OperatorDefinition } from '#core/functions/operator-definition.js'
import { attemptIdOf, stableId } from '#core/ids.js'
import { seededRandom } from '#core/random.js'
import type { TaskRestore } from '#protocol/graph/deployment.js'
import type { JobEdge, JobGraph, JobVertex, OperatorSpec, Partitioner } from '#protocol/graph/job-graph.js'
import { consumersOf, inputsOf, outputsOf, producersOf, vertexOf } from '#protocol/graph/wiring.js'
import { Doorbell } from '#taskmanager/exchange/doorbell.js'
import type { ChannelDescriptor } from '#taskmanager/exchange/exchange.js'
import { SlotExchangeFactory } from '#taskmanager/exchange/exchange-factory.js'
import { createWindowOperator } from '#taskmanager/operators/window.js'
import type { FromSlotWorker, ToSlotWorker, WorkerTask } from '#taskmanager/slotworker/protocol.js'
import { SlotWorker } from '#taskmanager/slotworker/slot-worker.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { FakeClock } from './fake-clock.js'

export interface VertexSketch {
  readonly name: string
  readonly parallelism?: number
  readonly operators: readonly (OperatorDefinition & { readonly uid: string; readonly input?: number; readonly inputTag?: string })[]
}
export interface EdgeSketch {
  readonly from: string
  readonly to: string
  readonly partitioner?: Partitioner
  readonly sideOutput?: string
  readonly functions?: EdgeDefinition
}

/** A job graph and its functions from a short description; edges leave from and come to operators by uid. */
export function sketchJob(
  vertices: readonly VertexSketch[],
  edges: readonly EdgeSketch[],
  settings: Readonly<Record<string, string>> = {},
): { jobGraph: JobGraph; program: BuiltProgram } {
  const operators = new Map<string, OperatorDefinition>()
  const owner = new Map<string, string>()
  const jobVertices = vertices.map((vertex): JobVertex => {
    const id = stableId(vertex.name)
    const specs = vertex.operators.map((definition, index): OperatorSpec => {
      operators.set(definition.uid, definition)
      owner.set(definition.uid, id)
      return {
        uid: definition.uid,
        id: stableId(definition.uid),
        name: definition.uid,
        kind: definition.kind,
        declaredAt: `job.ts:${index + 1}:1`,
        ...(index === 0 ? {} : { input: definition.input ?? index - 1 }),
        ...(definition.inputTag === undefined ? {} : { inputTag: definition.inputTag }),
      }
    })
    return {
      id,
      name: vertex.name,
      parallelism: vertex.parallelism ?? 1,
      maxParallelism: 128,
      slotSharingGroup: 'default',
      operators: specs,
    }
  })
  const edgeFunctions = new Map<string, EdgeDefinition>()
  const jobEdges = edges.map((edge, n): JobEdge => {
    const id = `${edge.from}->${edge.to}#${n}`
    edgeFunctions.set(id, edge.functions ?? {})
    return {
      id,
      source: owner.get(edge.from)!,
      sourceOperator: edge.from,
      target: owner.get(edge.to)!,
      targetOperator: edge.to,
      partitioner: edge.partitioner ?? 'forward',
      targetInput: 0,
      ...(edge.sideOutput === undefined ? {} : { sideOutput: edge.sideOutput }),
    }
  })
  const program = { args: [], env: {}, clockMs: 0, randomSeed: 1, once: {}, executeIndex: 0, earlierResults: [] }
  const jobGraph: JobGraph = {
    jobId: stableId('job'),
    jobName: 'sketch',
    program,
    fingerprint: '',
    settings,
    vertices: jobVertices,
    edges: jobEdges,
  }
  return { jobGraph, program: { jobName: 'sketch', fingerprint: '', fingerprintParts: [], operators, edges: edgeFunctions } }
}

type Said<K extends FromSlotWorker['kind']> = Extract<FromSlotWorker, { kind: K }>

/** All subtasks of a job in one slot worker, in this thread, under a fake clock; chunks are kept in memory. */
export class SlotJob {
  readonly clock = new FakeClock()
  readonly said: FromSlotWorker[] = []
  readonly chunks: Map<string, Uint8Array>
  readonly attempts: readonly string[]
  readonly #worker: SlotWorker
  #checkpoints = 0

  constructor(
    private readonly job: { jobGraph: JobGraph; program: BuiltProgram },
    options: {
      restore?: Readonly<Record<string, TaskRestore>>
      chunks?: Map<string, Uint8Array>
      memory?: () => number
      attempt?: number
    } = {},
  ) {
    this.chunks = options.chunks ?? new Map()
    const doorbell = new Doorbell(undefined, { oneThread: true })
    this.#worker = new SlotWorker({
      data: { slotIndex: 0, taskManagerId: 'tm', memoryBytes: 2 ** 30, doorbell: doorbell.shared, logLevel: 'info' },
      clock: this.clock,
      doorbell,
      exchange: new SlotExchangeFactory({ random: seededRandom(1) }),
      loader: { load: async () => this.job.program },
      memory: { usedBytes: options.memory ?? (() => 0) },
      createKeyedState: createKeyedStateBackend,
      createWindowOperator,
      post: (message) => this.#heard(message),
    })
    const attempt = options.attempt ?? 0
    const { jobGraph } = job
    const subtasks = jobGraph.vertices.flatMap((v) => Array.from({ length: v.parallelism }, (_, index) => ({ vertexId: v.id, index })))
    const attemptOf = (vertexId: string, index: number) => attemptIdOf(jobGraph.jobId, vertexId, index, attempt)
    this.attempts = subtasks.map(({ vertexId, index }) => attemptOf(vertexId, index))
    const tasks = subtasks.map(({ vertexId, index }): WorkerTask => {
      const restore = options.restore?.[`${vertexId}_${index}`]
      const channel = (edge: JobEdge, producer: number, consumer: number): ChannelDescriptor => ({
        edgeId: edge.id,
        producerAttempt: attemptOf(edge.source, producer),
        producerSubtask: producer,
        consumerAttempt: attemptOf(edge.target, consumer),
        consumerSubtask: consumer,
      })
      const p = (id: string) => vertexOf(jobGraph, id).parallelism
      return {
        descriptor: {
          attemptId: attemptOf(vertexId, index),
          vertexId,
          subtaskIndex: index,
          attemptNumber: attempt,
          allocationId: 'allocation',
          slotIndex: 0,
          ...(restore ? { restore } : {}),
        },
        inputs: inputsOf(jobGraph, vertexId).flatMap((e) =>
          producersOf(e, p(e.source), p(e.target), index).map((from) => channel(e, from, index)),
        ),
        outputs: outputsOf(jobGraph, vertexId).flatMap((e) =>
          consumersOf(e, p(e.source), p(e.target), index).map((to) => channel(e, index, to)),
        ),
      }
    })
    this.#worker.start()
    this.send({
      kind: 'deploy',
      job: { jobGraph },
      tasks,
    })
  }
  #heard(message: FromSlotWorker): void {
    this.said.push(message)
    if (message.kind === 'put-chunk') {
      this.chunks.set(message.blob, message.bytes)
      queueMicrotask(() => this.send({ kind: 'chunk-stored', request: message.request }))
    } else if (message.kind === 'get-chunk') {
      const bytes = this.chunks.get(message.ref.blob)
      queueMicrotask(() => this.send({ kind: 'chunk', request: message.request, ...(bytes ? { bytes } : {}) }))
    }
  }
  send(message: ToSlotWorker): void {
    this.#worker.handle(message)
  }
  heard<K extends FromSlotWorker['kind']>(kind: K): Said<K>[] {
    return this.said.filter((m): m is Said<K> => m.kind === kind)
  }
  states(): Readonly<Record<string, readonly string[]>> {
    const states: Record<string, string[]> = {}
    for (const { attemptId, state } of this.heard('task-state')) states[attemptId] = [...(states[attemptId] ?? []), state]
    return states
  }
  stateOf(attemptId: string): string | undefined {
    return this.states()[attemptId]?.at(-1)
  }
  failure(): Said<'task-state'> | undefined {
    return this.heard('task-state').find((m) => m.state === 'FAILED')
  }
  async until(condition: () => boolean, withinMs = 60_000): Promise<void> {
    await this.clock.runUntil(condition, { withinMs })
  }
  untilFinished(): Promise<void> {
    return this.until(() => this.attempts.every((id) => this.stateOf(id) === 'FINISHED'))
  }
  untilRunning(): Promise<void> {
    return this.until(() => this.attempts.every((id) => this.states()[id]?.includes('RUNNING') ?? false))
  }
  /** To the sources, as the coordinator would. `assigned` as in the message; none: nothing to be covered. */
  trigger(
    assigned: Readonly<Record<string, Readonly<Record<number, number>>>> = {},
    savepoint?: { readonly terminate: boolean; readonly drain: boolean },
  ): number {
    const checkpointId = ++this.#checkpoints
    const sources = this.attempts.filter((id) => inputsOf(this.job.jobGraph, id.slice(0, 32)).length === 0)
    this.send({
      kind: 'trigger-checkpoint',
      attemptIds: sources,
      checkpointId,
      epoch: '1:0000000000000001',
      timestamp: this.clock.now(),
      assigned,
      ...(savepoint ? { savepoint } : {}),
    })
    return checkpointId
  }
  acknowledged(checkpointId: number): readonly Said<'checkpoint-acknowledged'>[] {
    return this.heard('checkpoint-acknowledged').filter((m) => m.checkpointId === checkpointId)
  }
  async checkpoint(): Promise<number> {
    const id = this.trigger()
    await this.until(() => this.acknowledged(id).length === this.attempts.length)
    return id
  }
  complete(checkpointId: number): void {
    this.send({ kind: 'checkpoint-complete', attemptIds: this.attempts, checkpointId })
  }
  /** What each subtask must be given to start from this checkpoint, at the same parallelism. */
  restoreOf(checkpointId: number): Readonly<Record<string, TaskRestore>> {
    return Object.fromEntries(
      this.acknowledged(checkpointId).map(({ attemptId, snapshot }) => {
        const [, vertexId, index] = attemptId.split('_')
        const operators = Object.fromEntries(Object.entries(snapshot.operators).map(([id, state]) => [id, [state]]))
        return [`${vertexId}_${index}`, { checkpointId, operators, parallelism: vertexOf(this.job.jobGraph, vertexId!).parallelism }]
      }),
    )
  }
}
