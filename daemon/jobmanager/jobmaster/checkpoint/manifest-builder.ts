import type { CheckpointManifest, ChunkRef, SubtaskSnapshot, SubtaskState, VertexManifest } from '#protocol/checkpoint/manifest.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { PendingCheckpoint } from './checkpoint-steps.js'
import { checkpointOfChunk } from './chunk-references.js'

/** The manifest of a checkpoint that every subtask has acknowledged. */
export function buildManifest(graph: JobGraph, pending: PendingCheckpoint, completedTimestamp: number): CheckpointManifest {
  const vertices = graph.vertices.map((vertex): VertexManifest => {
    const subtasks = pending.tasks.filter((task) => task.vertexId === vertex.id).map((task) => snapshotOf(pending, task.attemptId))
    return {
      vertexId: vertex.id,
      parallelism: vertex.parallelism,
      maxParallelism: vertex.maxParallelism,
      operatorIds: vertex.operators.map((operator) => operator.id),
      subtasks: subtasks.sort((a, b) => a.subtaskIndex - b.subtaskIndex),
    }
  })
  const states = vertices.flatMap((vertex) => vertex.subtasks.flatMap((subtask) => Object.values(subtask.operators)))
  const chunks = new Map(states.flatMap(chunksOf).map((chunk) => [chunk.blob, chunk]))
  const inline = states.reduce((sum, state) => sum + (state.inline?.length ?? 0), 0)
  const coordinators = Object.values(pending.coordinators).reduce((sum, { bytes }) => sum + bytes.length, 0)
  const written = [...chunks.values()].filter((chunk) => checkpointOfChunk(chunk.blob) === pending.id)
  return {
    version: 1,
    jobId: graph.jobId,
    checkpointId: pending.id,
    triggerTimestamp: pending.timestamp,
    completedTimestamp,
    kind: 'checkpoint',
    vertices,
    coordinators: pending.coordinators,
    checkpointedSize: inline + coordinators + bytesOf(written),
    stateSize: inline + coordinators + bytesOf([...chunks.values()]),
  }
}

function snapshotOf(pending: PendingCheckpoint, attemptId: string): SubtaskSnapshot {
  const subtask = pending.acknowledged.get(attemptId)
  if (!subtask) throw new Error(`checkpoint ${pending.id} was not acknowledged by ${attemptId}`)
  return subtask.snapshot
}

export function chunksOf(state: SubtaskState): readonly ChunkRef[] {
  return state.operatorChunk ? [...state.keyed, state.operatorChunk] : state.keyed
}

/** Names of all chunks that a manifest refers to. */
export function chunksOfManifest(manifest: CheckpointManifest): ReadonlySet<string> {
  const names = new Set<string>()
  for (const vertex of manifest.vertices)
    for (const subtask of vertex.subtasks)
      for (const state of Object.values(subtask.operators)) for (const chunk of chunksOf(state)) names.add(chunk.blob)
  return names
}

const bytesOf = (chunks: readonly ChunkRef[]): number => chunks.reduce((sum, chunk) => sum + chunk.bytes, 0)
