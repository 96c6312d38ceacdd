import { FlottError } from '#core/errors.js'
import { type KeyGroupRange, keyGroupRangeOf } from '#core/serialization/key-hash.js'
import type { CheckpointManifest, SubtaskState, VertexManifest } from '#protocol/checkpoint/manifest.js'
import type { TaskRestore } from '#protocol/graph/deployment.js'

/**
 * What a subtask has to restore, operator by operator. At the parallelism of the checkpoint it is its own state (and, of union
 * lists, that of all). At another one each
 * operator gets the keyed chunks that may hold its key groups, and the operator state of all earlier subtasks: how that is redistributed
 * (split, union, by split id) only the operator knows.
 */
export function restoreOf(
  manifest: CheckpointManifest,
  vertexId: string,
  subtaskIndex: number,
  parallelism: number,
): TaskRestore | undefined {
  const vertex = manifest.vertices.find((v) => v.vertexId === vertexId)
  if (!vertex) return undefined
  const operators: Record<string, readonly SubtaskState[]> = {}
  for (const operatorId of vertex.operatorIds) {
    const states = vertex.subtasks.flatMap((subtask) => subtask.operators[operatorId] ?? [])
    const was = vertex.operatorParallelism?.[operatorId] ?? vertex.parallelism
    const needed = parallelism === was ? own(states) : redistribute(states)
    if (needed.length > 0) operators[operatorId] = needed
  }
  const finished = parallelism === vertex.parallelism && vertex.subtasks.find((subtask) => subtask.subtaskIndex === subtaskIndex)?.finished
  if (Object.keys(operators).length === 0 && !finished) return undefined
  const { operatorParallelism } = vertex
  const restore = {
    checkpointId: manifest.checkpointId,
    operators,
    parallelism: vertex.parallelism,
    ...(operatorParallelism ? { operatorParallelism } : {}),
  }
  if (!finished) return restore
  const received = Object.entries(manifest.coordinators).flatMap(([id, { assigned }]): [string, number][] =>
    vertex.operatorIds.includes(id) ? [[id, assigned[subtaskIndex] ?? 0]] : [],
  )
  return { ...restore, finished: { received: Object.fromEntries(received) } }

  function own(states: readonly SubtaskState[]): readonly SubtaskState[] {
    return states.flatMap((s) => (s.subtaskIndex === subtaskIndex ? [s] : s.union ? [{ ...s, keyed: [] }] : []))
  }
  function redistribute(states: readonly SubtaskState[]): readonly SubtaskState[] {
    const { start: first, end: last } = keyGroups(vertex!, subtaskIndex, parallelism)
    return states.flatMap((state) => {
      const keyed = state.keyed.some(({ keyGroups: [from, to] = [0, Number.POSITIVE_INFINITY] }) => from <= last && first < to)
      if (!keyed && state.inline === undefined && state.operatorChunk === undefined) return []
      return [keyed ? state : { ...state, keyed: [] }] // All of a chain or nothing: deltas mean nothing without their base.
    })
  }
}

function keyGroups(vertex: VertexManifest, subtaskIndex: number, parallelism: number): KeyGroupRange {
  if (parallelism > vertex.maxParallelism)
    throw new FlottError(
      'PARALLELISM_ABOVE_MAX',
      `vertex ${vertex.vertexId} was checkpointed with max parallelism ${vertex.maxParallelism}, below ${parallelism}`,
    )
  return keyGroupRangeOf(subtaskIndex, vertex.maxParallelism, parallelism)
}
