/** What a submitted graph must hold, whoever built it: the engine relies on all of it. */

import { OPTIONS } from '#core/config/options.js'
import { isOptionKey } from '#core/config/resolve-config.js'
import { FlottError } from '#core/errors.js'
import { isId } from '#core/ids.js'
import type { JobEdge, JobGraph, JobVertex, Partitioner } from '#protocol/graph/job-graph.js'
import { wrongFieldOf } from './graph-shape.js'

export const PARALLELISM_MAX = 32_768
const VERTICES_MAX = 1_000
const SUBTASKS_MAX = 20_000
const PARTITIONERS: Readonly<Record<Partitioner, true>> = {
  forward: true,
  hash: true,
  rebalance: true,
  rescale: true,
  broadcast: true,
  global: true,
  shuffle: true,
  custom: true,
}

/** JOB_SUBMISSION_FAILED or PARALLELISM_ABOVE_MAX, saying what is wrong and where. */
export function validateJobGraph(graph: JobGraph): void {
  const wrong = wrongFieldOf(graph)
  if (wrong !== undefined) refuse(wrong)
  if (!isId(graph.jobId)) refuse(`the jobId '${graph.jobId}' is not 32 lower-case hex digits`)
  for (const key of Object.keys(graph.settings))
    if (isOptionKey(key) && OPTIONS[key].scope !== 'job')
      throw new FlottError('INVALID_CONFIG', `${key} is no setting of a job, but of the ${OPTIONS[key].scope}`)
  if (graph.vertices.length === 0) refuse('the graph has no vertices')
  if (graph.vertices.length > VERTICES_MAX) refuse(`the graph has ${graph.vertices.length} vertices, at most ${VERTICES_MAX} are possible`)
  const vertices = new Map<string, JobVertex>()
  const operators = new Map<string, string>()
  for (const vertex of graph.vertices) {
    validateVertex(vertex)
    if (vertices.has(vertex.id)) refuse(`two vertices have the id ${vertex.id}`)
    vertices.set(vertex.id, vertex)
    for (const { uid, id } of vertex.operators) {
      if (operators.has(uid)) throw new FlottError('DUPLICATE_UID', `two operators have the uid '${uid}'`)
      if (!isId(id)) refuse(`operator '${uid}' has the id '${id}', which is not 32 lower-case hex digits`)
      operators.set(uid, vertex.id)
    }
  }
  const subtasks = graph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0)
  if (subtasks > SUBTASKS_MAX) refuse(`the job has ${subtasks} subtasks, at most ${SUBTASKS_MAX} are possible`)
  const edgeIds = new Set<string>()
  for (const edge of graph.edges) {
    if (edgeIds.has(edge.id)) refuse(`two edges have the id '${edge.id}'`)
    edgeIds.add(edge.id)
    validateEdge(edge, vertices, operators)
  }
  refuseCycles(graph)
}

function validateVertex(vertex: JobVertex): void {
  const { id, name, parallelism, maxParallelism, operators } = vertex
  if (!isId(id)) refuse(`vertex '${name}' has the id '${id}', which is not 32 lower-case hex digits`)
  if (!isCount(parallelism)) refuse(`'${name}' has the parallelism ${parallelism}; it must be a whole number from 1`)
  if (!isCount(maxParallelism)) refuse(`'${name}' has the max parallelism ${maxParallelism}; it must be a whole number from 1`)
  if (maxParallelism > PARALLELISM_MAX) refuse(`'${name}' has the max parallelism ${maxParallelism}; the highest is ${PARALLELISM_MAX}`)
  if (parallelism > maxParallelism)
    throw new FlottError(
      'PARALLELISM_ABOVE_MAX',
      `'${name}' has the parallelism ${parallelism}, above its max parallelism ${maxParallelism}`,
    )
  if (vertex.slotSharingGroup === '') refuse(`'${name}' has no slot sharing group`)
  if (operators.length === 0) refuse(`'${name}' has no operators`)
  operators.forEach((operator, i) => {
    const { input } = operator
    if (operator.uid === '') refuse(`an operator of '${name}' has no uid`)
    if (i === 0 ? input !== undefined : input === undefined || !Number.isInteger(input) || input < 0 || input >= i)
      refuse(`operator '${operator.uid}' of '${name}' is not chained to one before it`)
  })
}

function validateEdge(edge: JobEdge, vertices: ReadonlyMap<string, JobVertex>, operators: ReadonlyMap<string, string>): void {
  const source = vertices.get(edge.source)
  const target = vertices.get(edge.target)
  if (!source) refuse(`edge '${edge.id}' begins at the unknown vertex ${edge.source}`)
  if (!target) refuse(`edge '${edge.id}' ends at the unknown vertex ${edge.target}`)
  if (operators.get(edge.sourceOperator) !== edge.source) refuse(`edge '${edge.id}': '${edge.sourceOperator}' is no operator of its source`)
  if (operators.get(edge.targetOperator) !== edge.target) refuse(`edge '${edge.id}': '${edge.targetOperator}' is no operator of its target`)
  if (!Object.hasOwn(PARTITIONERS, edge.partitioner)) refuse(`edge '${edge.id}' has the unknown partitioner '${edge.partitioner}'`)
  if (edge.targetInput !== 0 && edge.targetInput !== 1) refuse(`edge '${edge.id}' leads to input ${edge.targetInput}; there are 0 and 1`)
}

function refuseCycles(graph: JobGraph): void {
  const waiting = new Map(graph.vertices.map((vertex) => [vertex.id, graph.edges.filter((edge) => edge.target === vertex.id).length]))
  const ready = graph.vertices.filter((vertex) => waiting.get(vertex.id) === 0).map((vertex) => vertex.id)
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    waiting.delete(id)
    for (const { source, target } of graph.edges) {
      if (source !== id || !waiting.has(target)) continue
      const left = waiting.get(target)! - 1
      waiting.set(target, left)
      if (left === 0) ready.push(target)
    }
  }
  if (waiting.size === 0) return
  const names = graph.vertices.filter((vertex) => waiting.has(vertex.id)).map((vertex) => `'${vertex.name}'`)
  refuse(`the graph has a cycle through ${names.join(', ')}`)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1
}
function refuse(why: string): never {
  throw new FlottError('JOB_SUBMISSION_FAILED', why)
}
