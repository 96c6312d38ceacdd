import type { Epoch } from '#core/epoch.js'

/**
 * Bytes: immutable blobs in the Level of every JobManager (DESIGN section 4). A name says the kind and is made of content or of
 * attempt and checkpoint:
 *   artifact/<sha256>   graph/<sha256>   deployment/<job>/<n>-<sha256>   manifest/<job>/<checkpoint>-<sha256>
 *   chunk/<job>/<checkpoint>/<attempt>/<operator id>-<part>   result/<job>/<sha256>   history/<job>/<sha256>
 *   collected/<job>/<operator id>/<first running number>-<epoch>-<serial>   (named by no fact; all of a job's are live)
 */
export interface BlobInfo extends BlobContent {
  readonly name: string
}
export interface BlobContent {
  readonly bytes: number
  readonly crc32: number
}

/** Of what collect sinks have sent. */
export function collectedPrefix(jobId: string): string {
  return `collected/${jobId}/`
}

export interface BlobStore {
  /**
   * Durable on this disk when it resolves. Writing a name again with the same content is a no-op. STORAGE_FULL, STORAGE_FAILED.
   * When the source fails half-way nothing of the blob remains visible.
   */
  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo>
  /** BLOB_NOT_FOUND; BLOB_CORRUPT where the checksum does not match. */
  get(name: string): Promise<Uint8Array>
  /** In blocks of at most 64 KiB; checks as it goes, so a corrupt blob fails in the middle of the stream. */
  read(name: string): AsyncIterable<Uint8Array>
  info(name: string): Promise<BlobInfo | undefined>
  delete(names: readonly string[]): Promise<void>
  /** Names with this prefix, in order; only those above `after` where it is given. */
  list(prefix: string, after?: string): AsyncIterable<BlobInfo>
}

/** What the leader's components use: `put` returns when every member of the in-sync set has the blob on disk. REPLICATION_FAILED. */
export interface ReplicatedBlobStore extends BlobStore {}

/** Moves blobs to and from another process (its internal endpoint), as streams with back pressure. Fails with NOT_LEADER, CONNECTION_LOST, BLOB_NOT_FOUND … */
export interface BlobTransfer {
  put(address: string, name: string, content: Uint8Array | AsyncIterable<Uint8Array>, epoch: Epoch): Promise<BlobInfo>
  /** The bytes are the caller's. BLOB_CORRUPT where they are not what is expected. */
  get(address: string, name: string, expected?: BlobContent): Promise<Uint8Array>
  read(address: string, name: string): AsyncIterable<Uint8Array>
}
