import { crc32 } from 'node:zlib'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { OperatorSnapshotResult } from '../operators/operator.js'
import type { ChunkStore } from '../state/keyed-state-backend.js'

/** Operator state up to this many bytes is part of the acknowledgement. */
const INLINE_BYTES_MAX = 16 * 1024

export interface UploadTarget {
  readonly jobId: string
  readonly attemptId: string
  readonly subtaskIndex: number
  readonly chunks: ChunkStore
}

/** What one operator's snapshot becomes in the manifest; large operator state goes to a chunk of its own. */
export async function uploadSnapshot(
  target: UploadTarget,
  checkpointId: number,
  operatorId: string,
  result: OperatorSnapshotResult,
): Promise<SubtaskState> {
  const union = result.union ? { union: true as const } : {}
  const state: SubtaskState = { subtaskIndex: target.subtaskIndex, keyed: result.keyed ?? [], ...union }
  const { operator } = result
  if (operator === undefined) return state
  if (operator.length <= INLINE_BYTES_MAX) return { ...state, inline: operator }
  const chunk = {
    blob: `chunk/${target.jobId}/${checkpointId}/${target.attemptId}/${operatorId}-operator`,
    bytes: operator.length,
    crc32: crc32(operator),
  }
  await target.chunks.put(chunk.blob, operator)
  return { ...state, operatorChunk: chunk }
}
