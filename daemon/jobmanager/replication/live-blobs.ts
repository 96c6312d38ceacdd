import { isFlottError } from '#core/errors.js'
import type { CheckpointManifest, SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { JobFact } from '#protocol/ha/facts.js'

/** How the blobs are encoded that name other blobs. */
export interface NamingBlobs {
  manifest(bytes: Uint8Array): CheckpointManifest
  deployment(bytes: Uint8Array): DeploymentRecord
}

/** All names that a job's fact reaches: what may not be deleted. BLOB_NOT_FOUND or BLOB_CORRUPT when a manifest or deployment can not be read: better no answer than a short one. */
export async function blobsOf(job: JobFact, blobs: Pick<BlobStore, 'get'>, decode: NamingBlobs): Promise<Set<string>> {
  const live = new Set<string>([job.jobGraph])
  for (const name of [job.artifact, job.deployment, job.result, job.history]) if (name !== undefined) live.add(name)
  const manifests = new Set(job.checkpoints.map((c) => c.manifest))
  if (job.deployment !== undefined) {
    const pinned = decode.deployment(await blobs.get(job.deployment)).restoredCheckpoint
    // What its attempts restore from, until they run: a later checkpoint is complete only when all of them do, and may have taken its place.
    if (pinned && pinned.id >= (job.checkpoints.at(-1)?.id ?? 0)) manifests.add(pinned.manifest)
  }
  for (const name of manifests) {
    live.add(name)
    for (const chunk of chunksOf(decode.manifest(await blobs.get(name)))) live.add(chunk)
  }
  return live
}

export function chunksOf(manifest: CheckpointManifest): string[] {
  const states: SubtaskState[] = manifest.vertices.flatMap((vertex) =>
    vertex.subtasks.flatMap((subtask) => Object.values(subtask.operators)),
  )
  return states.flatMap((state) => [...state.keyed.map((chunk) => chunk.blob), ...(state.operatorChunk ? [state.operatorChunk.blob] : [])])
}

/** Of these names, those that are not on this disk. */
export async function missingBlobs(names: Iterable<string>, blobs: Pick<BlobStore, 'info'>): Promise<string[]> {
  const missing: string[] = []
  for (const name of names) if (!(await blobs.info(name))) missing.push(name)
  return missing
}

/** True for the errors that mean: this blob must come from elsewhere. */
export function isBadBlob(error: unknown): boolean {
  return isFlottError(error, 'BLOB_NOT_FOUND', 'BLOB_CORRUPT')
}
