/** The job as written: all steps since the last execute and whatever feeds them, each with its uid, in topological order. */

import { FlottError } from '#core/errors.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { EdgeDefinition } from '#core/functions/operator-definition.js'
import { fingerprintOf, fingerprintParts } from '#protocol/graph/fingerprint.js'
import type { Partitioner } from '#protocol/graph/job-graph.js'
import type { Partitioning, Transformation, Upstream } from './transformation.js'
import { duplicateUid } from './transformation-registry.js'

export interface StreamNode {
  readonly step: Transformation
  readonly uid: string
  readonly inputs: readonly StreamEdge[]
}
export interface StreamEdge {
  /** '<source uid>-><target uid>#<n>'. */
  readonly id: string
  readonly source: StreamNode
  readonly tag?: string
  readonly partitioning?: Partitioning
}
export interface StreamGraph {
  readonly jobName: string
  readonly nodes: readonly StreamNode[]
}

/** EMPTY_GRAPH where nothing is emitted anywhere; DUPLICATE_UID where a step of an earlier job has the uid of a new one. */
export function generateStreamGraph(jobName: string, steps: readonly Transformation[]): StreamGraph {
  if (!steps.some(({ definition: { kind } }) => kind === 'sink' || kind === 'collect'))
    throw new FlottError('EMPTY_GRAPH', `job '${jobName}' has no sink: end a stream with sinkTo, print or executeAndCollect`)
  const ordered = [...closure(steps)].sort((a, b) => a.index - b.index) // A step is made after those that feed it.
  const nodes = new Map<Transformation, StreamNode>()
  const uids = new Map<string, Transformation>()
  for (const step of ordered) {
    const uid = step.uid ?? automaticUid(step)
    const other = uids.get(uid)
    if (other) throw duplicateUid(other, { ...step, uid })
    uids.set(uid, step)
    nodes.set(step, { step, uid, inputs: inputsOf(step, uid, nodes) })
  }
  return { jobName, nodes: [...nodes.values()] }
}

function closure(steps: readonly Transformation[]): ReadonlySet<Transformation> {
  const found = new Set<Transformation>(steps)
  for (const step of found) for (const { from } of step.upstreams) found.add(from) // A Set hands out what is added while it is walked.
  return found
}

/** Stable by position: the same program builds the same uids, also after a change behind the step. */
export function automaticUid(step: Transformation): string {
  return `${step.definition.kind}-${step.index}`
}

function inputsOf(step: Transformation, uid: string, nodes: ReadonlyMap<Transformation, StreamNode>): readonly StreamEdge[] {
  const counts = new Map<string, number>()
  return step.upstreams.map(({ from, tag, partitioning }: Upstream) => {
    const source = nodes.get(from)!
    const n = counts.get(source.uid) ?? 0
    counts.set(source.uid, n + 1)
    return {
      id: `${source.uid}->${uid}#${n}`,
      source,
      ...(tag === undefined ? {} : { tag }),
      ...(partitioning === undefined ? {} : { partitioning }),
    }
  })
}

/** What a slot worker needs of the program: the functions. */
export function builtProgramOf({ jobName, nodes }: StreamGraph): BuiltProgram {
  const edges = nodes.flatMap((node) => node.inputs.map((edge) => ({ edge, node })))
  const parts = fingerprintParts({
    operators: nodes.map(({ uid, step }) => ({ uid, kind: step.definition.kind })),
    edges: edges.map(({ edge, node }) => ({
      source: edge.source.uid,
      target: node.uid,
      tag: edge.tag,
      partitioner: declaredPartitioner(edge),
    })),
  })
  return {
    jobName,
    fingerprint: fingerprintOf(parts),
    fingerprintParts: parts,
    operators: new Map(nodes.map(({ uid, step }) => [uid, step.definition])),
    edges: new Map(edges.map(({ edge }) => [edge.id, edgeDefinition(edge)])),
  }
}

/** Forward stands for "forward or rebalance": which of the two depends on numbers that the fingerprint leaves out. */
function declaredPartitioner(edge: StreamEdge): Partitioner {
  return edge.partitioning?.kind ?? 'forward'
}

function edgeDefinition({ partitioning }: StreamEdge): EdgeDefinition {
  if (partitioning?.kind === 'hash') return { key: partitioning.key }
  if (partitioning?.kind === 'custom') return { key: partitioning.key, partition: partitioning.partition }
  return {}
}
