import type { JobGraph } from '#protocol/graph/job-graph.js'
import { inputsOf, producersOf, vertexOf } from '#protocol/graph/wiring.js'
import type { ExecutionView } from '../job-master-context.js'

/** The running attempts that get no barrier from a producer: the sources, and those all of whose producers have FINISHED. */
export function triggerTargets(graph: JobGraph, executions: readonly ExecutionView[]): readonly string[] {
  const done = new Map<string, Set<number>>()
  for (const { vertexId, subtaskIndex, state } of executions) {
    if (state !== 'FINISHED') continue
    const subtasks = done.get(vertexId) ?? new Set()
    done.set(vertexId, subtasks.add(subtaskIndex))
  }
  return executions.filter((task) => task.state !== 'FINISHED' && !hasRunningProducer(graph, task, done)).map((task) => task.attemptId)
}

function hasRunningProducer(graph: JobGraph, task: ExecutionView, done: ReadonlyMap<string, ReadonlySet<number>>): boolean {
  return inputsOf(graph, task.vertexId).some((edge) => {
    const finished = done.get(edge.source)
    if (!finished) return true
    const producers = vertexOf(graph, edge.source).parallelism
    if (finished.size === producers) return false
    const consumers = vertexOf(graph, task.vertexId).parallelism
    return producersOf(edge, producers, consumers, task.subtaskIndex).some((producer) => !finished.has(producer))
  })
}
