import { decodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { FactStore, Replica } from '#protocol/ha/facts.js'
import type { DiskResponse, JobOnDisk } from '#protocol/rest/storage-check.js'
import { missingBlobs, namingFacts } from './live-blobs.js'

/** What of each job is on this disk, whether it is in the in-sync set or not: what would be left if it had to lead. */
export async function reportDisk(options: {
  readonly self: Replica
  readonly clusterUuid: string | undefined
  readonly blobs: BlobStore
  readonly facts: FactStore
}): Promise<DiskResponse> {
  const { self, clusterUuid, blobs, facts } = options
  await facts.sync()
  const members = (await facts.readIsr())?.value ?? []
  const jobs: JobOnDisk[] = []
  for await (const { jobId: id, jobName: name, ended, blobs: blobsOfFact } of namingFacts(facts)) {
    const about = { id, name, ended }
    try {
      jobs.push({ ...about, missing: await missingBlobs(await blobsOfFact(blobs, DECODE), blobs) })
    } catch (error) {
      jobs.push({ ...about, missing: [(error as Error).message] })
    }
  }
  let [count, bytes] = [0, 0]
  for await (const info of blobs.list('')) {
    count++
    bytes += info.bytes
  }
  return {
    ...replicaView(self),
    'cluster-uuid': clusterUuid ?? null,
    'in-sync': members.some(({ diskId }) => diskId === self.diskId),
    'in-sync-set': members.map(replicaView),
    blobs: count,
    bytes,
    jobs,
  }
}

const DECODE = {
  manifest: decodeManifest,
  deployment: decodeDeployment,
}

function replicaView({ jobManagerId, diskId, address }: Replica) {
  return { 'jobmanager-id': jobManagerId, 'disk-id': diskId, address }
}
