/** What is on the disks of the JobManagers: `flott fsck`, `flott gc`. */
import { fileURLToPath } from 'node:url'
import type { FsckResponse, GcResponse } from '#protocol/rest/storage-check.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { EXIT } from './exit-codes.js'
import type { Terminal } from './terminal.js'

export async function fsck(
  client: RestClusterClient,
  { repair, json }: { readonly repair: boolean; readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  const found = await client.fsck(repair)
  if (json) terminal.out(JSON.stringify(found))
  else for (const line of fsckLines(found, repair)) terminal.out(line)
  return found.healthy ? EXIT.OK : EXIT.FAILURE
}

export function fsckLines({ healthy, disks, unreadable }: FsckResponse, repair: boolean): string[] {
  const lines: string[] = []
  for (const disk of disks) {
    const orphans = disk.orphans.reduce((sum, { bytes }) => sum + bytes, 0)
    const role = disk.leading ? 'leads' : 'in sync'
    lines.push(`${disk['jobmanager-id']} (${role}, disk ${disk['disk-id']}): ${disk.blobs} blobs, ${disk.bytes} bytes`)
    if (disk.error !== undefined) lines.push(`  not checked: ${disk.error}`)
    for (const { blob, kind, message, repaired } of disk.problems)
      lines.push(`  ${kind} ${blob}: ${repaired ? 'repaired' : repair ? `NOT repaired (${message})` : message}`)
    if (disk.orphans.length > 0) lines.push(`  ${disk.orphans.length} blobs, ${orphans} bytes, that nothing names yet or any more`)
  }
  for (const { job, message } of unreadable) lines.push(`job ${job}: its blobs can not be told: ${message}`)
  lines.push(
    healthy ? 'All that is named is there.' : repair ? 'Not all could be repaired.' : 'Something is wrong; flott fsck --repair repairs.',
  )
  return lines
}

export async function gc(
  client: RestClusterClient,
  { dryRun, json }: { readonly dryRun: boolean; readonly json: boolean },
  terminal: Terminal,
): Promise<void> {
  const found = await client.gc(dryRun)
  if (json) terminal.out(JSON.stringify(found))
  else for (const line of gcLines(found)) terminal.out(line)
}

function gcLines(found: GcResponse): string[] {
  const lines = found.removed.map(({ blob, bytes, disks }) => `${blob}  ${bytes} bytes${disks ? `, only on ${disks.join(', ')}` : ''}`)
  const waiting = found.waiting.reduce((sum, { bytes }) => sum + bytes, 0)
  lines.push(`${found['dry-run'] ? 'Would remove' : 'Removed'} ${found.removed.length} blobs, ${found['removed-bytes']} bytes.`)
  if (found.waiting.length > 0)
    lines.push(`${found.waiting.length} more, ${waiting} bytes, are unnamed for less than an hour: they may be about to be named.`)
  return lines
}

interface DirectoryCheck {
  readonly diskId: string | undefined
  readonly clusterUuid: string | undefined
  readonly blobs: number
  readonly bytes: number
  readonly problems: readonly { readonly blob: string; readonly message: string }[]
}
const CHECK_DIRECTORY = new URL('../../daemon/storage/check-directory.js', import.meta.url)

/** Of a JobManager that is stopped. */
export async function fsckDirectory(directory: string, json: boolean, terminal: Terminal): Promise<number> {
  const { checkDirectory } = (await import(fileURLToPath(CHECK_DIRECTORY))) as {
    checkDirectory(directory: string): Promise<DirectoryCheck>
  }
  const found = await checkDirectory(directory)
  if (json) terminal.out(JSON.stringify({ healthy: found.problems.length === 0, ...found }))
  else {
    for (const { blob, message } of found.problems) terminal.out(`CORRUPT ${blob}: ${message}`)
    terminal.out(`Disk ${found.diskId} of cluster ${found.clusterUuid ?? '(none yet)'}: ${found.blobs} blobs, ${found.bytes} bytes.`)
    terminal.out(found.problems.length === 0 ? 'Every byte matches its checksum.' : `${found.problems.length} blobs are damaged.`)
  }
  return found.problems.length === 0 ? EXIT.OK : EXIT.FAILURE
}
