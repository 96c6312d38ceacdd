import { defineGateway } from '../gateway.js'
import type { BlobInfo } from '../ha/blobs.js'
import type { Replica } from '../ha/facts.js'

/**
 * How a standby becomes a member of the in-sync set (DESIGN section 4). Served by the leader, called by standbys; the leader calls
 * back `ReplicaGateway`. The order: join (from now on the standby receives each new blob), list and fetch all that the leader holds,
 * completeJoin until it says MEMBER.
 */
export interface ReplicationGateway {
  /** Idempotent by disk: joining again starts anew. MEMBER when the disk is in the set already. */
  join(request: { replica: Replica }): Promise<{ state: 'JOINING' | 'MEMBER'; deletions: number }>
  /** Blobs on the leader's disk with a name above `after`, in order. The standby fetches those that it lacks or holds differently. */
  listBlobs(request: { after: string; limit: number }): Promise<{ blobs: readonly BlobInfo[]; ended: boolean }>
  /** Says that all listed blobs are on disk. UNKNOWN when the leader dropped the joiner meanwhile (slow, unreachable): join again. */
  completeJoin(request: { diskId: string }): Promise<{ state: 'JOINING' | 'MEMBER' | 'UNKNOWN' }>
  /** Clean stop of a standby: it leaves the set before it closes, so that no write waits for it. */
  leave(request: { diskId: string }): Promise<{ accepted: true }>
}

export interface InspectedBlob extends BlobInfo {
  /** Why it can not be read. */
  readonly problem?: string
}
export interface InspectRequest {
  readonly after: string
  readonly limit: number
  /** Every byte, against its checksums; else names and sizes only. */
  readonly read: boolean
}

/** Served by every JobManager; called by the leader. */
export interface ReplicaGateway {
  /** Deletes blobs that nothing names. Refused (ignored) when numbered at or below the `deletions` of the latest join: it is late. */
  deleteBlobs(request: { diskId: string; number: number; names: readonly string[] }): Promise<{ accepted: boolean }>
  /** Blobs on this disk with a name above `after`, in order; a page ends early when it has read much. */
  inspectBlobs(request: InspectRequest): Promise<{ blobs: readonly InspectedBlob[]; ended: boolean }>
}

export const replicationGateway = defineGateway<ReplicationGateway>('Replication', {
  join: { timeoutMs: 10_000, idempotent: true },
  listBlobs: { timeoutMs: 10_000, idempotent: true },
  completeJoin: { timeoutMs: 10_000, idempotent: true },
  leave: { timeoutMs: 10_000, idempotent: true },
})

export const replicaGateway = defineGateway<ReplicaGateway>('Replica', {
  deleteBlobs: { timeoutMs: 10_000, idempotent: true },
  inspectBlobs: { timeoutMs: 60_000, idempotent: true },
})
