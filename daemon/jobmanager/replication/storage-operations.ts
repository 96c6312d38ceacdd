/**
 * What an operator asks of the disks: is all there that the facts name, whole, on every disk of the in-sync set, and what is there that
 * nothing names? While it looks the cluster goes on: so a blob counts as named when it was before and after, as an orphan when neither.
 */
import { FlottError } from '#core/errors.js'
import type { InspectedBlob, ReplicaGateway } from '#protocol/gateways/replication-gateway.js'
import { collectedPrefix } from '#protocol/ha/blobs.js'
import type { FactStore, Replica } from '#protocol/ha/facts.js'
import type { BlobProblem, DiskCheck, FsckResponse, GarbageBlob, GcResponse } from '#protocol/rest/storage-check.js'
import { isMember } from './in-sync-set.js'
import { type NamingBlobs, namingFacts } from './live-blobs.js'
import type { ReplicatingBlobStore } from './replicating-blob-store.js'

const PAGE = 500

export interface StorageOperations {
  /** Reads every byte on every disk of the set. With `repair` what is missing or damaged comes from another disk. */
  check(request: { readonly repair: boolean }): Promise<FsckResponse>
  /** Removes what nothing has named for the grace; with `dryRun` only tells. */
  collect(request: { readonly dryRun: boolean }): Promise<GcResponse>
}

export interface StorageOperationsOptions {
  readonly self: Replica
  readonly facts: FactStore
  readonly store: ReplicatingBlobStore
  readonly decode: NamingBlobs
  /** A disk's inspector; also of our own. */
  on(replica: Replica): Pick<ReplicaGateway, 'inspectBlobs'>
  readonly graceMs: number
}

interface Named {
  readonly names: ReadonlySet<string>
  readonly unreadable: readonly { readonly job: string; readonly message: string }[]
}
interface Inspected {
  readonly replica: Replica
  readonly blobs: ReadonlyMap<string, InspectedBlob>
  readonly error?: string
}

export function storageOperations(options: StorageOperationsOptions): StorageOperations {
  const { self, store, graceMs } = options

  async function check({ repair }: { repair: boolean }): Promise<FsckResponse> {
    const before = await named(options)
    const others = store.set.members.filter(({ diskId }) => diskId !== self.diskId)
    const inspected: Inspected[] = []
    for (const replica of [...others, self]) inspected.push(await inspect(options, replica, true))
    const after = await named(options)
    const unnamed = after.unreadable.length > 0 ? new Set<string>() : new Set((await store.unnamed(after.names)).map(({ name }) => name))
    const own = inspected.at(-1)!
    const disks: DiskCheck[] = []
    for (const disk of [own, ...inspected.slice(0, -1)]) {
      const left = disk.error === undefined && !isMember(store.set, disk.replica.diskId)
      const found = disk.error !== undefined || left ? [] : problemsOf(disk, own, before.names, after.names)
      const problems: BlobProblem[] = []
      for (const problem of found) problems.push(repair ? await repaired(disk.replica, problem) : problem)
      const stray = ({ name }: InspectedBlob) =>
        after.unreadable.length === 0 &&
        !before.names.has(name) &&
        !after.names.has(name) &&
        (unnamed.has(name) || !own.blobs.has(name)) &&
        !store.isPutting(name)
      const blobs = [...disk.blobs.values()]
      disks.push({
        'jobmanager-id': disk.replica.jobManagerId,
        'disk-id': disk.replica.diskId,
        address: disk.replica.address,
        leading: disk === own,
        blobs: blobs.length,
        bytes: blobs.reduce((sum, { bytes }) => sum + bytes, 0),
        problems,
        orphans: blobs.filter(stray).map(({ name, bytes }) => ({ blob: name, bytes })),
        ...(left ? { error: 'it left the in-sync set meanwhile' } : disk.error === undefined ? {} : { error: disk.error }),
      })
    }
    const unreadable = repair && after.unreadable.length > 0 ? (await named(options)).unreadable : after.unreadable
    const whole = disks.every(({ problems, error }) => error === undefined && problems.every((problem) => problem.repaired))
    return { healthy: whole && unreadable.length === 0, disks, unreadable }
  }

  /** With the reason, where it can not be repaired. */
  async function repaired({ diskId, ...replica }: Replica, problem: BlobProblem): Promise<BlobProblem> {
    const { blob, kind, message } = problem
    try {
      if (diskId === self.diskId) await store.repair(blob, new FlottError(kind === 'MISSING' ? 'BLOB_NOT_FOUND' : 'BLOB_CORRUPT', message))
      else if (!(await store.resend(blob, { diskId, ...replica }, kind === 'CORRUPT')))
        throw new FlottError('REPLICATION_FAILED', 'the disk did not take it')
      return { ...problem, repaired: true }
    } catch (error) {
      return { ...problem, message: `${message}; not repaired: ${(error as Error).message}` }
    }
  }

  async function collect({ dryRun }: { dryRun: boolean }): Promise<GcResponse> {
    const others = store.set.members.filter(({ diskId }) => diskId !== self.diskId)
    const inspected: Inspected[] = []
    for (const replica of others) inspected.push(await inspect(options, replica, false))
    const live = await named(options)
    const [unreadable] = live.unreadable
    if (unreadable) throw new FlottError('BLOB_NOT_FOUND', `job ${unreadable.job}: ${unreadable.message}; flott fsck says more`)
    const unnamed = await store.unnamed(live.names)
    const old = unnamed.filter(({ unnamedMs }) => unnamedMs >= graceMs)
    const garbage = [...old.map(({ name, bytes }) => ({ blob: name, bytes })), ...(await strays(inspected, live.names))]
    const gone = new Set(dryRun ? garbage.map(({ blob }) => blob) : await store.deleteUnnamed(garbage.map(({ blob }) => blob)))
    const removed = garbage.filter(({ blob }) => gone.has(blob))
    return {
      'dry-run': dryRun,
      removed,
      'removed-bytes': removed.reduce((sum, { bytes }) => sum + bytes, 0),
      waiting: unnamed
        .filter((blob) => !old.includes(blob))
        .map(({ name, bytes, unnamedMs }) => ({ blob: name, bytes, 'removable-in-ms': graceMs - unnamedMs })),
    }
  }

  /** On other disks only: deleted here while they were away. */
  async function strays(inspected: readonly Inspected[], live: ReadonlySet<string>): Promise<GarbageBlob[]> {
    const found = new Map<string, { bytes: number; disks: string[] }>()
    for (const { replica, blobs } of inspected)
      for (const { name, bytes } of blobs.values()) {
        if (live.has(name) || !(await store.isStray(name))) continue
        const stray = found.get(name) ?? { bytes, disks: [] }
        stray.disks.push(replica.diskId)
        found.set(name, stray)
      }
    return [...found].map(([blob, stray]) => ({ blob, ...stray }))
  }

  return { check, collect }
}

async function named({ facts, store, decode }: StorageOperationsOptions): Promise<Named> {
  const names = new Set<string>()
  const unreadable: { job: string; message: string }[] = []
  for await (const { kind, jobId, blobs } of namingFacts(facts)) {
    try {
      for (const name of await blobs(store, decode)) names.add(name)
      if (kind === 'retained') continue
      for await (const { name } of store.list(collectedPrefix(jobId))) names.add(name)
    } catch (error) {
      unreadable.push({ job: jobId, message: (error as Error).message })
    }
  }
  return { names, unreadable }
}

async function inspect({ on }: StorageOperationsOptions, replica: Replica, read: boolean): Promise<Inspected> {
  const blobs = new Map<string, InspectedBlob>()
  try {
    for (let after = ''; ; ) {
      const page = await on(replica).inspectBlobs({ after, limit: PAGE, read })
      for (const blob of page.blobs) blobs.set(blob.name, blob)
      if (page.ended) return { replica, blobs }
      after = page.blobs.at(-1)!.name
    }
  } catch (error) {
    return { replica, blobs, error: (error as Error).message }
  }
}

function problemsOf(disk: Inspected, own: Inspected, before: ReadonlySet<string>, after: ReadonlySet<string>): BlobProblem[] {
  const problems: BlobProblem[] = []
  for (const blob of [...before].sort()) {
    if (!after.has(blob)) continue
    const found = disk.blobs.get(blob)
    const ours = own.blobs.get(blob)
    if (!found) problems.push({ blob, kind: 'MISSING', message: 'it is not there', repaired: false })
    else if (found.problem !== undefined) problems.push({ blob, kind: 'CORRUPT', message: found.problem, repaired: false })
    else if (ours && ours.problem === undefined && (ours.bytes !== found.bytes || ours.crc32 !== found.crc32))
      problems.push({ blob, kind: 'CORRUPT', message: "it differs from the leader's", repaired: false })
  }
  return problems
}
