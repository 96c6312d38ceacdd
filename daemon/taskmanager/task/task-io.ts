/** A task's ends of the exchange, and its chain between them. */
import type { Clock } from '#core/clock.js'
import { keyGroupRangeOf } from '#core/serialization/key-hash.js'
import { inputsOf, outputsOf, vertexOf } from '#protocol/graph/wiring.js'
import type { InputGate } from '../exchange/exchange.js'
import type { TaskServices } from '../operators/operator.js'
import type { Site } from './chain-generator.js'
import { ChainLayout, type ChainNode, type ChainPartition, operatorOf } from './chain-layout.js'
import { OperatorChain } from './operator-chain.js'
import type { TaskEnvironment, TaskSpec } from './task-environment.js'
import { parseGlobalParameters, TaskRuntimeContext } from './task-runtime-context.js'

export interface TaskIo {
  readonly layout: ChainLayout
  readonly chain: OperatorChain
  /** Undefined for sources. */
  readonly gate: InputGate | undefined
  readonly runtime: TaskRuntimeContext
}

export function nodesOf({ job, program, task }: TaskSpec): readonly ChainNode[] {
  return vertexOf(job.jobGraph, task.descriptor.vertexId).operators.map((spec) => {
    const definition = program.operators.get(spec.uid)
    if (!definition) throw new Error(`the program has no operator '${spec.uid}'`)
    return { spec, definition }
  })
}

function openPartitions(env: TaskEnvironment, { job, program, task }: TaskSpec, nodes: readonly ChainNode[]): ChainPartition[] {
  const { vertexId, attemptId, subtaskIndex } = task.descriptor
  return outputsOf(job.jobGraph, vertexId).map((edge) => {
    const consumer = vertexOf(job.jobGraph, edge.target)
    const operator = operatorOf(nodes, edge)
    const type = edge.sideOutput === undefined ? nodes[operator]!.definition.type : undefined
    const channels = task.outputs.filter((c) => c.edgeId === edge.id).sort((a, b) => a.consumerSubtask - b.consumerSubtask)
    const partition = env.exchange.resultPartition({
      edge,
      channels,
      consumers: consumer.parallelism,
      maxParallelism: consumer.maxParallelism,
      functions: program.edges.get(edge.id) ?? {},
      ...(type === undefined ? {} : { type }),
      attemptId,
      subtaskIndex,
    })
    return { operator, tag: edge.sideOutput, partition }
  })
}

function openGate(env: TaskEnvironment, { job, task }: TaskSpec): InputGate | undefined {
  const inputs = inputsOf(job.jobGraph, task.descriptor.vertexId)
  if (inputs.length === 0) return undefined
  const edges = inputs.map((edge) => ({
    edge,
    channels: task.inputs.filter((c) => c.edgeId === edge.id).sort((a, b) => a.producerSubtask - b.producerSubtask),
  }))
  return env.exchange.inputGate({ edges, attemptId: task.descriptor.attemptId })
}

/** Makes all ends at once, so that a task that fails to open still has what must be closed. */
export function openTaskIo(
  env: TaskEnvironment,
  spec: TaskSpec,
  site: Site,
  services: Omit<TaskServices, 'emitWatermark' | 'emitIdle'>,
): TaskIo {
  const { jobGraph } = spec.job
  const { descriptor } = spec.task
  const vertex = vertexOf(jobGraph, descriptor.vertexId)
  const nodes = nodesOf(spec)
  const layout = new ChainLayout(nodes, openPartitions(env, spec, nodes))
  const runtime = runtimeContext(env, spec)
  const range = keyGroupRangeOf(descriptor.subtaskIndex, vertex.maxParallelism, vertex.parallelism)
  const keyGroups: readonly [number, number] = [range.start, range.end + 1]
  const chain = new OperatorChain({
    layout,
    site,
    runtime,
    clock: env.clock,
    chunks: env.chunks,
    memory: env.memory,
    keyGroups,
    maxParallelism: vertex.maxParallelism,
    ...(descriptor.restore ? { restored: descriptor.restore } : {}),
    createKeyedState: (own) =>
      env.createKeyedState({
        ...own,
        jobId: jobGraph.jobId,
        attemptId: descriptor.attemptId,
        subtaskIndex: descriptor.subtaskIndex,
        keyGroups,
        maxParallelism: vertex.maxParallelism,
        clock: env.clock as Clock,
        chunks: env.chunks,
        memory: env.memory,
        allowNonRestoredState: descriptor.restore?.allowNonRestoredState ?? false,
      }),
    createWindowOperator: env.createWindowOperator,
    services,
    freezeRecords: spec.config['pipeline.freeze-records'],
    link: 'generated',
  })
  return { layout, chain, gate: openGate(env, spec), runtime }
}

function runtimeContext(env: TaskEnvironment, { job, config, task }: TaskSpec): TaskRuntimeContext {
  const { descriptor } = task
  const vertex = vertexOf(job.jobGraph, descriptor.vertexId)
  return new TaskRuntimeContext(
    {
      jobId: job.jobGraph.jobId,
      jobName: job.jobGraph.jobName,
      globalParameters: parseGlobalParameters(config['pipeline.global-job-parameters']),
    },
    {
      taskName: vertex.name,
      indexOfThisSubtask: descriptor.subtaskIndex,
      numberOfParallelSubtasks: vertex.parallelism,
      maxNumberOfParallelSubtasks: vertex.maxParallelism,
      attemptNumber: descriptor.attemptNumber,
      attemptId: `${job.jobGraph.jobId}_${descriptor.attemptId}`,
    },
    env.logger.child({ job: job.jobGraph.jobId, attempt: descriptor.attemptId }),
    (line) => env.post({ kind: 'print', line }),
  )
}
