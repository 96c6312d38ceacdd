/** Which checkpoint a job is restored from: its newest one, or, before it has any, the one of another job that it was started from. */
import { checkpointPath } from '#protocol/checkpoint/checkpoint-path.js'
import type { JobFact } from '#protocol/ha/facts.js'
import type { CompletedCheckpoint, JobMasterContext } from '../job-master-context.js'
import { loadManifest } from './checkpoint-store.js'
import { fitManifest } from './fit-manifest.js'

export interface RestorePoint extends CompletedCheckpoint {
  /** For people. */
  readonly path: string
  /** Of another job: its manifest is as if it were of this graph, and its chunks are none of this job's. */
  readonly isForeign: boolean
}

/** CHECKPOINT_NOT_RESTORABLE. */
export async function restorePointOf({
  blobs,
  fact,
  jobGraph,
}: Pick<JobMasterContext, 'blobs' | 'fact' | 'jobGraph'>): Promise<RestorePoint | undefined> {
  const newest = fact.checkpoints.at(-1)
  const from = newest ? { ...newest, jobId: jobGraph.jobId } : fact.startsFrom
  if (!from) return undefined
  const { id, jobId, manifest: blob } = from
  const manifest = await loadManifest(blobs, jobId, id, blob)
  const allowNonRestoredState = fact.startsFrom?.allowNonRestoredState ?? false
  return {
    id,
    blob,
    manifest: newest ? manifest : fitManifest(manifest, jobGraph, { allowNonRestoredState }),
    path: checkpointPath(jobId, id),
    isForeign: !newest,
  }
}

/** The fact with one more completed checkpoint. With the first one nothing of another job is needed any more. */
export function withCheckpoint({ startsFrom: _, ...fact }: JobFact, id: number, manifest: string, maxRetained: number): JobFact {
  return { ...fact, checkpoints: [...fact.checkpoints, { id, manifest }].slice(-maxRetained) }
}
