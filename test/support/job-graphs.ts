import { stableId } from '#core/ids.js'
import type { JobEdge, JobGraph, JobVertex, Partitioner } from '#protocol/graph/job-graph.js'

/** One operator a vertex. */
export function vertex(name: string, parallelism: number, options: { kind?: string; group?: string } = {}): JobVertex {
  const { kind = 'map', group = 'default' } = options
  return {
    id: stableId(`vertex ${name}`),
    name,
    parallelism,
    maxParallelism: 128,
    slotSharingGroup: group,
    operators: [{ uid: name, id: stableId(name), name, kind }],
  }
}
export function edge(source: string, target: string, partitioner: Partitioner = 'hash'): JobEdge {
  return {
    id: `${source}->${target}#0`,
    source: stableId(`vertex ${source}`),
    sourceOperator: source,
    target: stableId(`vertex ${target}`),
    targetOperator: target,
    partitioner,
    targetInput: 0,
  }
}
export function graph(
  vertices: readonly JobVertex[],
  edges: readonly JobEdge[],
  settings: Readonly<Record<string, string>> = {},
): JobGraph {
  return {
    jobId: stableId('job'),
    jobName: 'job',
    program: { args: [], env: {}, clockMs: 0, randomSeed: 1, once: {}, executeIndex: 0, earlierResults: [] },
    fingerprint: 'f',
    settings,
    vertices,
    edges,
  }
}
