import { isFlottError } from '#core/errors.js'
import type { InspectedBlob, InspectRequest } from '#protocol/gateways/replication-gateway.js'
import type { BlobInfo, BlobStore } from '#protocol/ha/blobs.js'

/** What a page reads at most, so that its answer comes in time. */
const READ_BYTES_MAX = 64 * 1024 * 1024
const LIMIT_MAX = 1_000

/** One page of what is on a disk. */
export async function inspectBlobs(
  store: Pick<BlobStore, 'list' | 'read'>,
  { after, limit, read }: InspectRequest,
): Promise<{ blobs: readonly InspectedBlob[]; ended: boolean }> {
  const blobs: InspectedBlob[] = []
  let bytes = 0
  for await (const info of store.list('', after)) {
    const inspected = read ? await inspect(store, info) : info
    if (inspected) blobs.push(inspected)
    if (read) bytes += info.bytes
    if (blobs.length >= Math.max(1, Math.min(limit, LIMIT_MAX)) || (bytes >= READ_BYTES_MAX && blobs.length > 0))
      return { blobs, ended: false }
  }
  return { blobs, ended: true }
}

/** Undefined when it was deleted meanwhile. */
async function inspect(store: Pick<BlobStore, 'read'>, info: BlobInfo): Promise<InspectedBlob | undefined> {
  try {
    for await (const _ of store.read(info.name));
    return info
  } catch (error) {
    if (isFlottError(error, 'BLOB_NOT_FOUND')) return undefined
    if (isFlottError(error, 'BLOB_CORRUPT')) return { ...info, problem: error.message }
    throw error
  }
}
