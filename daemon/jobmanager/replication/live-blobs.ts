import { isFlottError } from '#core/errors.js'
import type { CheckpointManifest, SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { FactStore, JobFact, RetainedFact } from '#protocol/ha/facts.js'

/** How the blobs are encoded that name other blobs. */
export interface NamingBlobs {
  manifest(bytes: Uint8Array): Pick<CheckpointManifest, 'vertices'>
  deployment(bytes: Uint8Array): Pick<DeploymentRecord, 'restoredCheckpoint'>
}

type Readable = Pick<BlobStore, 'get'>

/** A fact that names blobs: of a job, or what is retained of one. */
export interface NamingFact {
  readonly kind: 'job' | 'retained'
  readonly jobId: string
  readonly jobName: string
  readonly ended: boolean
  /**
   * All names that it reaches: what may not be deleted. BLOB_NOT_FOUND or BLOB_CORRUPT when a manifest or deployment can not be read:
   * better no answer than a short one.
   */
  blobs(blobs: Readable, decode: NamingBlobs): Promise<Set<string>>
}

export type NamingFacts = Pick<FactStore, 'listJobs' | 'readJob' | 'listRetained' | 'readRetained'>

/** Jobs first: what is retained of one is in a node of its own before the job's goes, so that it is seen in one of both. */
export async function* namingFacts(facts: NamingFacts): AsyncIterable<NamingFact> {
  for (const jobId of await facts.listJobs()) {
    const job = (await facts.readJob(jobId))?.value
    if (!job) continue
    const { jobName, terminal } = job
    yield { kind: 'job', jobId, jobName, ended: terminal !== undefined, blobs: (blobs, decode) => blobsOf(job, blobs, decode) }
  }
  for (const jobId of await facts.listRetained()) {
    const retained = await facts.readRetained(jobId)
    if (!retained) continue
    const { jobName } = retained
    yield { kind: 'retained', jobId, jobName, ended: true, blobs: (blobs, decode) => blobsOfRetained(retained, blobs, decode) }
  }
}

export async function blobsOf(job: JobFact, blobs: Readable, decode: NamingBlobs): Promise<Set<string>> {
  const live = new Set<string>([job.jobGraph])
  for (const name of [job.artifact, job.deployment, job.result, job.history]) if (name !== undefined) live.add(name)
  const manifests = new Set(job.checkpoints.map((c) => c.manifest))
  if (job.startsFrom) manifests.add(job.startsFrom.manifest)
  if (job.deployment !== undefined) {
    const pinned = decode.deployment(await blobs.get(job.deployment)).restoredCheckpoint
    // What its attempts restore from, until they run: a later checkpoint is complete only when all of them do, and may have taken its place.
    if (pinned && pinned.id >= (job.checkpoints.at(-1)?.id ?? 0)) manifests.add(pinned.manifest)
  }
  for (const name of await reachedFrom(manifests, blobs, decode.manifest)) live.add(name)
  return live
}

export async function blobsOfRetained(fact: RetainedFact, blobs: Readable, decode: Pick<NamingBlobs, 'manifest'>): Promise<Set<string>> {
  const manifests = fact.checkpoints.map(({ manifest }) => manifest)
  return (await reachedFrom(manifests, blobs, decode.manifest)).add(fact.jobGraph)
}

/** The manifests, and all that they name. */
export async function reachedFrom(manifests: Iterable<string>, blobs: Readable, decode: NamingBlobs['manifest']): Promise<Set<string>> {
  const reached = new Set<string>()
  for (const name of manifests) {
    reached.add(name)
    for (const chunk of chunksOf(decode(await blobs.get(name)))) reached.add(chunk)
  }
  return reached
}

export function chunksOf(manifest: Pick<CheckpointManifest, 'vertices'>): string[] {
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
