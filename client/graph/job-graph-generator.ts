/**
 * Turns the job as written into the job as submitted: numbers are decided, and steps that can run in one task are chained, by Flink's
 * rules (StreamingJobGraphGenerator.isChainable).
 */
import { FlottError } from '#core/errors.js'
import { stableId } from '#core/ids.js'
import type { JobEdge, JobGraph, JobVertex, OperatorSpec, Partitioner } from '#protocol/graph/job-graph.js'
import type { StreamEdge, StreamGraph, StreamNode } from './stream-graph-generator.js'
import { aboveMax } from './transformation-registry.js'

export interface GraphDefaults {
  readonly parallelism: number
  readonly maxParallelism?: number
  /** pipeline.operator-chaining.enabled. */
  readonly chaining: boolean
}
export type GraphOfVertices = Pick<JobGraph, 'vertices' | 'edges'>

/** A step with its numbers decided. */
interface Placed {
  readonly node: StreamNode
  readonly parallelism: number
  readonly maxParallelism: number | undefined
  readonly slotSharingGroup: string
}
interface Chain {
  readonly members: StreamNode[]
  readonly head: Placed
}

/** PARALLELISM_ABOVE_MAX, INVALID_ARGUMENT (forward between different parallelisms). */
export function generateJobGraph(graph: StreamGraph, defaults: GraphDefaults): GraphOfVertices {
  const placed = place(graph, defaults)
  const chains = new Map<StreamNode, Chain>()
  for (const node of graph.nodes) {
    const edge = chainableInput(node, placed, defaults)
    const chain = edge ? chains.get(edge.source)! : { members: [], head: placed.get(node)! }
    chain.members.push(node)
    chains.set(node, chain)
  }
  const heads = graph.nodes.filter((node) => chains.get(node)!.members[0] === node)
  // In topological order already: what feeds a head is older than it, and so is the head of that chain.
  return { vertices: heads.map((head) => vertexOf(chains.get(head)!, placed, defaults)), edges: edgesOf(graph, chains, placed) }
}

function place(graph: StreamGraph, defaults: GraphDefaults): ReadonlyMap<StreamNode, Placed> {
  const placed = new Map<StreamNode, Placed>()
  for (const node of graph.nodes) {
    const { step } = node
    const groups = new Set(node.inputs.map((edge) => placed.get(edge.source)!.slotSharingGroup))
    const inherited = groups.size === 1 ? [...groups][0]! : 'default'
    placed.set(node, {
      node,
      parallelism: step.parallelism ?? defaults.parallelism,
      maxParallelism: step.maxParallelism,
      slotSharingGroup: step.slotSharingGroup ?? inherited,
    })
  }
  return placed
}

/** The one input edge over which the step joins the chain of its producer; undefined where it begins one. */
function chainableInput(node: StreamNode, placed: ReadonlyMap<StreamNode, Placed>, defaults: GraphDefaults): StreamEdge | undefined {
  const [edge] = node.inputs
  if (!edge || node.inputs.length !== 1 || !defaults.chaining) return undefined
  const [up, down] = [placed.get(edge.source)!, placed.get(node)!]
  const chainable =
    node.step.chaining === undefined &&
    edge.source.step.chaining !== 'never' &&
    partitionerOf(edge, up, down) === 'forward' &&
    up.parallelism === down.parallelism &&
    up.slotSharingGroup === down.slotSharingGroup &&
    (up.maxParallelism === undefined || down.maxParallelism === undefined || up.maxParallelism === down.maxParallelism)
  return chainable ? edge : undefined
}

function partitionerOf(edge: StreamEdge, up: Placed, down: Placed): Partitioner {
  const kind = edge.partitioning?.kind
  if (kind === 'forward' && up.parallelism !== down.parallelism) {
    const [from, to] = [`'${up.node.step.name}' (${up.parallelism})`, `'${down.node.step.name}' (${down.parallelism})`]
    throw new FlottError('INVALID_ARGUMENT', `forward from ${from} to ${to}: the parallelisms differ`, { operator: down.node.step.name })
  }
  return kind ?? (up.parallelism === down.parallelism ? 'forward' : 'rebalance')
}

function vertexOf({ members, head }: Chain, placed: ReadonlyMap<StreamNode, Placed>, defaults: GraphDefaults): JobVertex {
  const explicit = members.map((node) => placed.get(node)!.maxParallelism).find((max) => max !== undefined)
  const maxParallelism = explicit ?? defaults.maxParallelism ?? defaultMaxParallelism(head.parallelism)
  if (head.parallelism > maxParallelism) throw aboveMax(head.node.step.name, head.parallelism, maxParallelism)
  return {
    id: stableId(head.node.uid),
    name: chainName(head.node, members),
    parallelism: head.parallelism,
    maxParallelism,
    slotSharingGroup: head.slotSharingGroup,
    operators: members.map((node, index) => operatorSpec(node, index === 0 ? undefined : members)),
  }
}

/** Half as much again as the parallelism, as a power of two, from 128 to 32768 (Flink: KeyGroupRangeAssignment). */
export function defaultMaxParallelism(parallelism: number): number {
  return Math.min(32_768, Math.max(128, 2 ** Math.ceil(Math.log2(parallelism + Math.floor(parallelism / 2)))))
}

function operatorSpec({ uid, step, inputs }: StreamNode, members: readonly StreamNode[] | undefined): OperatorSpec {
  const edge = members && inputs[0]
  return {
    uid,
    id: stableId(uid),
    name: step.name,
    kind: step.definition.kind,
    ...(edge ? { input: members.indexOf(edge.source) } : {}),
    ...(edge?.tag === undefined ? {} : { inputTag: edge.tag }),
    ...(step.declaredAt === undefined ? {} : { declaredAt: step.declaredAt }),
    ...(step.definition.kind === 'source' ? { boundedness: step.definition.source.boundedness } : {}),
  }
}

/** 'a -> b', and 'a -> (b -> c, d)' where a chain branches. */
function chainName(node: StreamNode, members: readonly StreamNode[]): string {
  const next = members.filter((member) => member !== members[0] && member.inputs[0]!.source === node)
  const names = next.map((member) => chainName(member, members))
  if (names.length === 0) return node.step.name
  return `${node.step.name} -> ${names.length === 1 ? names[0] : `(${names.join(', ')})`}`
}

function edgesOf(graph: StreamGraph, chains: ReadonlyMap<StreamNode, Chain>, placed: ReadonlyMap<StreamNode, Placed>): readonly JobEdge[] {
  return graph.nodes
    .filter((node) => chains.get(node)!.members[0] === node)
    .flatMap((node) =>
      node.inputs.map((edge) => ({
        id: edge.id,
        source: stableId(chains.get(edge.source)!.head.node.uid),
        sourceOperator: edge.source.uid,
        target: stableId(node.uid),
        targetOperator: node.uid,
        ...(edge.tag === undefined ? {} : { sideOutput: edge.tag }),
        partitioner: partitionerOf(edge, placed.get(edge.source)!, placed.get(node)!),
        targetInput: 0,
      })),
    )
}
