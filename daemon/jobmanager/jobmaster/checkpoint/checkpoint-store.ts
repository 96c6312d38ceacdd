import { createHash } from 'node:crypto'
import { FlottError, isFlottError, isTransient } from '#core/errors.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import { decodeManifest, encodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { ChunkReferences } from './chunk-references.js'
import { checkpointOfChunk } from './chunk-references.js'
import { chunksOfManifest } from './manifest-builder.js'

/** Durable on the in-sync set when it resolves. Fails with CHECKPOINT_FAILED where a chunk that it refers to is gone. */
export async function storeManifest(blobs: BlobStore, manifest: CheckpointManifest, known: ChunkReferences): Promise<string> {
  const earlier = [...chunksOfManifest(manifest)].filter((name) => checkpointOfChunk(name) < manifest.checkpointId && !known.holds(name))
  const missing = await firstMissing(blobs, earlier)
  if (missing !== undefined)
    throw new FlottError('CHECKPOINT_FAILED', `checkpoint ${manifest.checkpointId} refers to ${missing}, which is gone`)
  const bytes = encodeManifest(manifest)
  const name = `manifest/${manifest.jobId}/${manifest.checkpointId}-${createHash('sha256').update(bytes).digest('hex')}`
  await blobs.put(name, bytes)
  return name
}

/** CHECKPOINT_NOT_RESTORABLE, naming the blob that is missing, damaged or no manifest of this job; what may pass is thrown as it is. */
export async function loadManifest(blobs: BlobStore, jobId: string, id: number, name: string): Promise<CheckpointManifest> {
  let manifest: CheckpointManifest
  try {
    manifest = decodeManifest(await blobs.get(name))
  } catch (cause) {
    if (isTransient(cause)) throw cause
    throw new FlottError('CHECKPOINT_NOT_RESTORABLE', `checkpoint ${id} of job ${jobId}: blob ${name} can not be read`, { cause })
  }
  if (manifest.jobId !== jobId || manifest.checkpointId !== id)
    throw new FlottError('CHECKPOINT_NOT_RESTORABLE', `blob ${name} is checkpoint ${manifest.checkpointId} of job ${manifest.jobId}`)
  return manifest
}

/** CHECKPOINT_NOT_RESTORABLE where one is missing. Their content is checked by whoever reads it. */
export async function checkChunks(blobs: BlobStore, manifest: CheckpointManifest): Promise<void> {
  const missing = await firstMissing(blobs, [...chunksOfManifest(manifest)])
  if (missing !== undefined)
    throw new FlottError('CHECKPOINT_NOT_RESTORABLE', `checkpoint ${manifest.checkpointId} of job ${manifest.jobId}: no blob ${missing}`)
}

/** One that is missing here is fetched from another disk. */
async function firstMissing(blobs: BlobStore, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    if (await blobs.info(name)) continue
    try {
      await blobs.get(name)
    } catch (error) {
      if (!isFlottError(error, 'BLOB_NOT_FOUND', 'BLOB_CORRUPT')) throw error
      return name
    }
  }
  return undefined
}
