import type { JobEdge, JobGraph, JobVertex } from './job-graph.js'

/**
 * Which subtask of an edge's producer is linked with which of its consumer. Both ends compute it, so that no deployment has to
 * list channels. A consumer's channels are numbered edge by edge (in the graph's order), producer by producer.
 */
export function consumersOf(edge: JobEdge, producers: number, consumers: number, producer: number): readonly number[] {
  switch (edge.partitioner) {
    case 'forward':
      return producers === consumers ? [producer] : range(consumers)
    case 'rescale':
      return rescaled(producers, consumers, producer)
    default: // Also global: the consumers that get no record are told of watermarks, barriers and the end all the same.
      return range(consumers)
  }
}

export function producersOf(edge: JobEdge, producers: number, consumers: number, consumer: number): readonly number[] {
  switch (edge.partitioner) {
    case 'forward':
      return producers === consumers ? [consumer] : range(producers)
    case 'rescale':
      return rescaled(consumers, producers, consumer)
    default:
      return range(producers)
  }
}

/** Whether each producer is linked with each consumer. */
export function isAllToAll({ partitioner }: JobEdge, producers: number, consumers: number): boolean {
  return partitioner !== 'rescale' && (partitioner !== 'forward' || producers !== consumers)
}

/** Of the side with more subtasks, each has one peer, and neighbours have the same. */
function rescaled(own: number, peers: number, index: number): readonly number[] {
  if (own > peers) return [Math.floor((index * peers) / own)]
  const first = Math.ceil((index * peers) / own)
  const next = Math.ceil(((index + 1) * peers) / own)
  return range(next - first).map((i) => first + i)
}

export function vertexOf(graph: JobGraph, id: string): JobVertex {
  const vertex = graph.vertices.find((v) => v.id === id)
  if (!vertex) throw new Error(`job ${graph.jobId} has no vertex ${id}`)
  return vertex
}

export function inputsOf(graph: JobGraph, vertexId: string): readonly JobEdge[] {
  return graph.edges.filter((edge) => edge.target === vertexId)
}

export function outputsOf(graph: JobGraph, vertexId: string): readonly JobEdge[] {
  return graph.edges.filter((edge) => edge.source === vertexId)
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
