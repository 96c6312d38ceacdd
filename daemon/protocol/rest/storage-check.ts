/** `/flott/fsck`, `/flott/gc` and `/flott/disk`: what is on the disks of the JobManagers. */

export interface BlobProblem {
  readonly blob: string
  readonly kind: 'MISSING' | 'CORRUPT'
  readonly message: string
  readonly repaired: boolean
}
export interface OrphanBlob {
  readonly blob: string
  readonly bytes: number
}

export interface DiskCheck {
  readonly 'jobmanager-id': string
  readonly 'disk-id': string
  readonly address: string
  readonly leading: boolean
  readonly blobs: number
  readonly bytes: number
  readonly problems: readonly BlobProblem[]
  /** On it, and nothing names them: yet, or any more. */
  readonly orphans: readonly OrphanBlob[]
  /** Why it could not be checked. */
  readonly error?: string
}
export interface FsckResponse {
  /** Whether nothing is wrong, or nothing is wrong any more. */
  readonly healthy: boolean
  readonly disks: readonly DiskCheck[]
  /** Jobs whose blobs can not be told, since what names them can not be read on any disk. Then no orphans are listed. */
  readonly unreadable: readonly { readonly job: string; readonly message: string }[]
}

export interface GarbageBlob extends OrphanBlob {
  /** Only on these disks; on all of them where absent. */
  readonly disks?: readonly string[]
}
export interface GcResponse {
  readonly 'dry-run': boolean
  readonly removed: readonly GarbageBlob[]
  readonly 'removed-bytes': number
  /** Unnamed, too, and not for long enough: they may be about to be named. */
  readonly waiting: readonly (OrphanBlob & { readonly 'removable-in-ms': number })[]
}

export interface ReplicaItem {
  readonly 'jobmanager-id': string
  readonly 'disk-id': string
  readonly address: string
}
export interface JobOnDisk {
  readonly id: string
  readonly name: string
  readonly ended: boolean
  /** Blobs that the job names and this disk lacks, or why that can not be told. */
  readonly missing: readonly string[]
}
/** A JobManager's own disk. */
export interface DiskResponse extends ReplicaItem {
  readonly 'cluster-uuid': string | null
  readonly 'in-sync': boolean
  readonly 'in-sync-set': readonly ReplicaItem[]
  readonly blobs: number
  readonly bytes: number
  readonly jobs: readonly JobOnDisk[]
}
