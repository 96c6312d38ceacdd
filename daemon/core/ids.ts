import { createHash } from 'node:crypto'
import type { Random } from './random.js'

/** 32 hex digits, as Flink's JobID, JobVertexID and AllocationID. Not secret. */
export function randomId(random: Random): string {
  let id = ''
  for (let i = 0; i < 4; i++)
    id += Math.floor(random.next() * 4294967296)
      .toString(16)
      .padStart(8, '0')
  return id
}

/** The same id for the same text, for vertices and operators that must keep theirs from one submission to the next. */
export function stableId(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

export function isId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

/**
 * An attempt: one try at a subtask. It fences late messages of earlier tries. The job is part of it, since two jobs made of one program
 * have the same vertices, and may share a TaskManager.
 */
export function attemptIdOf(jobId: string, vertexId: string, subtaskIndex: number, attemptNumber: number): string {
  return `${jobId}_${vertexId}_${subtaskIndex}_${attemptNumber}`
}
