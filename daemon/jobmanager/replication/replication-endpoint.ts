import type { ReplicationGateway } from '#protocol/gateways/replication-gateway.js'
import type { BlobInfo } from '#protocol/ha/blobs.js'
import type { Replica } from '#protocol/ha/facts.js'
import type { Holes } from './holes.js'
import { isMember } from './in-sync-set.js'
import type { ReplicatingBlobStore } from './replicating-blob-store.js'

const LIST_LIMIT = 1_000
const NO_HOLES = { filled: async () => {}, memberJoins: async () => {} }

/** The leader's side of joining and leaving. */
export class ReplicationEndpoint implements ReplicationGateway {
  constructor(
    private readonly blobs: ReplicatingBlobStore,
    private readonly holes: Pick<Holes, 'filled' | 'memberJoins'> = NO_HOLES,
  ) {}

  async join({ replica }: { replica: Replica }): Promise<{ state: 'JOINING' | 'MEMBER'; deletions: number }> {
    if (!isMember(this.blobs.set, replica.diskId)) await this.holes.filled()
    this.blobs.report({ kind: 'join-requested', replica })
    return { state: isMember(this.blobs.set, replica.diskId) ? 'MEMBER' : 'JOINING', deletions: this.blobs.deletions }
  }

  async listBlobs({ after, limit }: { after: string; limit: number }): Promise<{ blobs: readonly BlobInfo[]; ended: boolean }> {
    const most = Math.max(1, Math.min(limit, LIST_LIMIT))
    const blobs: BlobInfo[] = []
    for await (const blob of this.blobs.list('', after)) {
      blobs.push(blob)
      if (blobs.length === most) return { blobs, ended: false }
    }
    return { blobs, ended: true }
  }

  async completeJoin({ diskId }: { diskId: string }): Promise<{ state: 'JOINING' | 'MEMBER' | 'UNKNOWN' }> {
    await this.holes.memberJoins()
    this.blobs.report({ kind: 'join-completed', diskId })
    return { state: await this.blobs.whenSettled(diskId) }
  }

  async leave({ diskId }: { diskId: string }): Promise<{ accepted: true }> {
    this.blobs.report({ kind: 'replica-failed', diskId })
    await this.blobs.whenSettled(diskId)
    return { accepted: true }
  }
}
