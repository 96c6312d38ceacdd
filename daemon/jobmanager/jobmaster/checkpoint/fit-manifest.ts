/**
 * A checkpoint of another program, or of another version of this one, as a checkpoint of this graph. State belongs to operators, found by
 * their ids, which are made of their uids; how they were chained, and at which parallelism, may differ.
 */
import { FlottError } from '#core/errors.js'
import type { CheckpointManifest, SubtaskSnapshot, SubtaskState, VertexManifest } from '#protocol/checkpoint/manifest.js'
import type { JobGraph, JobVertex, OperatorSpec } from '#protocol/graph/job-graph.js'

export interface FitOptions {
  /** State that no operator of the graph takes is left behind. */
  readonly allowNonRestoredState: boolean
  /** The graph that took the checkpoint, which itself knows ids only: for names, and for what operators were. */
  readonly before?: JobGraph
}
/** Operators of these kinds read each other's state; all others that of their own kind only. */
const KEYED = ['keyedProcess', 'reduce', 'rollingAggregate']

type OperatorsById = ReadonlyMap<string, OperatorSpec>

/**
 * The vertices of the graph with the state of their operators. A subtask has FINISHED where all that it is made of had, at the same
 * parallelism. STATE_NOT_RESTORED names the operators that are missing; STATE_INCOMPATIBLE, MAX_PARALLELISM_CHANGED.
 */
export function fitManifest(manifest: CheckpointManifest, graph: JobGraph, options: FitOptions): CheckpointManifest {
  const present = new Set(graph.vertices.flatMap((vertex) => vertex.operators.map(({ id }) => id)))
  const before = new Map(options.before?.vertices.flatMap(({ operators }) => operators.map((operator) => [operator.id, operator])))
  if (!options.allowNonRestoredState) refuseLeftBehind(manifest, present, before)
  const sources = new Map(manifest.vertices.flatMap((vertex) => vertex.operatorIds.map((id) => [id, vertex] as const)))
  return {
    ...manifest,
    vertices: graph.vertices.flatMap((vertex) => fitVertex(vertex, sources, before) ?? []),
    coordinators: Object.fromEntries(Object.entries(manifest.coordinators).filter(([id]) => present.has(id))),
  }
}

function refuseLeftBehind(manifest: CheckpointManifest, present: ReadonlySet<string>, before: OperatorsById): void {
  const ids = manifest.vertices.flatMap((vertex) => vertex.operatorIds.filter((id) => holdsState(vertex, id)))
  const left = new Set([...ids, ...Object.keys(manifest.coordinators)].filter((id) => !present.has(id)))
  if (left.size === 0) return
  const names = [...left].map((id) => `'${before.get(id)?.uid ?? id}'`).join(', ')
  throw new FlottError(
    'STATE_NOT_RESTORED',
    `checkpoint ${manifest.checkpointId} of job ${manifest.jobId} has state of ${names}, which the job does not have; --allowNonRestoredState (-n) leaves it behind`,
  )
}

function fitVertex(vertex: JobVertex, sources: ReadonlyMap<string, VertexManifest>, before: OperatorsById): VertexManifest | undefined {
  const found = vertex.operators.flatMap(({ id }) => {
    const source = sources.get(id)
    return source ? [{ id, source }] : []
  })
  const [first] = found
  if (!first) return undefined
  for (const { id, source } of found) if (holdsState(source, id)) refuseOther(vertex, id, source, before.get(id))
  const parents = [...new Set(found.map(({ source }) => source))]
  const same = parents.every(({ parallelism }) => parallelism === vertex.parallelism)
  const count = Math.max(...parents.map(({ subtasks }) => subtasks.length))
  return {
    vertexId: vertex.id,
    parallelism: first.source.parallelism,
    ...(parents.some(({ parallelism }) => parallelism !== first.source.parallelism)
      ? { operatorParallelism: Object.fromEntries(found.map(({ id, source }) => [id, source.parallelism])) }
      : {}),
    maxParallelism: vertex.maxParallelism,
    operatorIds: found.map(({ id }) => id),
    subtasks: Array.from({ length: count }, (_, subtaskIndex): SubtaskSnapshot => {
      const was = (source: VertexManifest) => source.subtasks.find((subtask) => subtask.subtaskIndex === subtaskIndex)
      const operators = found.flatMap(({ id, source }): [string, SubtaskState][] => {
        const state = was(source)?.operators[id]
        return state ? [[id, state]] : []
      })
      return {
        subtaskIndex,
        finished: same && parents.every((source) => was(source)?.finished === true),
        operators: Object.fromEntries(operators),
      }
    }),
  }
}

function refuseOther(vertex: JobVertex, id: string, source: VertexManifest, was: OperatorSpec | undefined): void {
  const { uid, kind } = vertex.operators.find((operator) => operator.id === id)!
  if (source.maxParallelism !== vertex.maxParallelism)
    throw new FlottError(
      'MAX_PARALLELISM_CHANGED',
      `operator '${uid}' has max parallelism ${vertex.maxParallelism}, and ${source.maxParallelism} in the checkpoint; pipeline.max-parallelism sets it`,
      { operator: uid },
    )
  if (was && formatOf(was.kind) !== formatOf(kind))
    throw new FlottError('STATE_INCOMPATIBLE', `operator '${uid}' is a ${kind}, and the checkpoint has the state of a ${was.kind}`, {
      operator: uid,
    })
}

function formatOf(kind: string): string {
  return KEYED.includes(kind) ? 'keyed' : kind
}

function holdsState({ subtasks }: VertexManifest, operatorId: string): boolean {
  return subtasks.some(({ operators }) => {
    const state = operators[operatorId]
    return state !== undefined && (state.keyed.length > 0 || state.inline !== undefined || state.operatorChunk !== undefined)
  })
}
