import type { JobGraph } from '#protocol/graph/job-graph.js'
import { consumersOf, isAllToAll, vertexOf } from '#protocol/graph/wiring.js'

export interface SubtaskRef {
  readonly vertexId: string
  readonly subtaskIndex: number
}
export function subtaskKey(vertexId: string, subtaskIndex: number): string {
  return `${vertexId}_${subtaskIndex}`
}

/**
 * What must restart together: subtasks linked by pipelined channels, in either direction (every channel is pipelined here). Regions are
 * in the order of their first subtask; subtasks within one in topological order.
 */
export function failoverRegions(graph: JobGraph): readonly (readonly SubtaskRef[])[] {
  const parent = new Map<string, string>()
  const find = (key: string): string => {
    let root = key
    for (let up = parent.get(root)!; up !== root; up = parent.get(root)!) root = up
    parent.set(key, root)
    return root
  }
  const subtasks = graph.vertices.flatMap((v) => Array.from({ length: v.parallelism }, (_, i) => ({ vertexId: v.id, subtaskIndex: i })))
  for (const { vertexId, subtaskIndex } of subtasks) parent.set(subtaskKey(vertexId, subtaskIndex), subtaskKey(vertexId, subtaskIndex))
  for (const edge of graph.edges) {
    const producers = vertexOf(graph, edge.source).parallelism
    const consumers = vertexOf(graph, edge.target).parallelism
    const link = (p: number, c: number) => parent.set(find(subtaskKey(edge.source, p)), find(subtaskKey(edge.target, c)))
    if (isAllToAll(edge, producers, consumers)) {
      for (let p = 0; p < producers; p++) link(p, 0)
      for (let c = 1; c < consumers; c++) link(0, c)
    } else for (let p = 0; p < producers; p++) for (const c of consumersOf(edge, producers, consumers, p)) link(p, c)
  }
  const regions = new Map<string, SubtaskRef[]>()
  for (const subtask of subtasks) {
    const root = find(subtaskKey(subtask.vertexId, subtask.subtaskIndex))
    const region = regions.get(root)
    if (region) region.push(subtask)
    else regions.set(root, [subtask])
  }
  return [...regions.values()]
}
