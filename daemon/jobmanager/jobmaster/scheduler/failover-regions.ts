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
  const subtasks = graph.vertices.flatMap((v) => Array.from({ length: v.parallelism }, (_, i) => ({ vertexId: v.id, subtaskIndex: i })))
  const firstOf = new Map<string, number>()
  subtasks.forEach(({ vertexId, subtaskIndex }, at) => {
    if (subtaskIndex === 0) firstOf.set(vertexId, at)
  })
  const parent = subtasks.map((_, at) => at)
  const find = (at: number): number => {
    let root = at
    while (parent[root] !== root) root = parent[root]!
    parent[at] = root
    return root
  }
  for (const edge of graph.edges) {
    const producers = vertexOf(graph, edge.source).parallelism
    const consumers = vertexOf(graph, edge.target).parallelism
    const [source, target] = [firstOf.get(edge.source)!, firstOf.get(edge.target)!]
    const link = (p: number, c: number) => {
      parent[find(source + p)] = find(target + c)
    }
    if (isAllToAll(edge, producers, consumers)) {
      for (let p = 0; p < producers; p++) link(p, 0)
      for (let c = 1; c < consumers; c++) link(0, c)
    } else for (let p = 0; p < producers; p++) for (const c of consumersOf(edge, producers, consumers, p)) link(p, c)
  }
  const regions = new Map<number, SubtaskRef[]>()
  subtasks.forEach((subtask, at) => {
    const root = find(at)
    const region = regions.get(root)
    if (region) region.push(subtask)
    else regions.set(root, [subtask])
  })
  return [...regions.values()]
}
