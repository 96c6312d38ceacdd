/** The operator's override when all disks of the in-sync set are lost: says what is lost, and does it when told so. */

import { systemClock } from '#core/clock.js'
import type { Config } from '#core/config/options.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import type { InSyncReset } from '#ha/zookeeper/reset-in-sync.js'
import type { DiskResponse } from '#protocol/rest/storage-check.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { EXIT } from './exit-codes.js'
import type { Terminal } from './terminal.js'

export async function resetInSyncSet(
  client: RestClusterClient,
  config: Config,
  { loseData, json }: { readonly loseData: boolean; readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  if (config['high-availability.type'] !== 'zookeeper')
    throw new FlottError('INVALID_ARGUMENT', 'there is an in-sync set with high-availability.type zookeeper only')
  const disk = await client.disk()
  if (disk['cluster-uuid'] === null) throw new FlottError('NOT_IN_SYNC', 'the JobManager has not looked at its cluster yet: try again')
  // Loaded only here: it is native, and most commands do without.
  const [{ zookeeperOf }, { resetInSync }] = await Promise.all([
    import('#ha/zookeeper/from-config.js'),
    import('#ha/zookeeper/reset-in-sync.js'),
  ])
  const deps = { clock: systemClock, random: systemRandom, logger: silentLogger }
  let reset: InSyncReset | undefined
  const done = await resetInSync({
    ...zookeeperOf(config, deps),
    random: systemRandom,
    disk: { jobManagerId: disk['jobmanager-id'], diskId: disk['disk-id'], address: disk.address },
    clusterUuid: disk['cluster-uuid'],
    async decide(found) {
      reset = found
      if (!json) for (const line of lossLines(disk, found)) terminal.out(line)
      return loseData
    },
  })
  if (json) terminal.out(JSON.stringify({ done, incarnation: reset?.incarnation, 'disk-id': disk['disk-id'], jobs: disk.jobs }))
  else if (done) terminal.out(`Done: ${disk['jobmanager-id']} may lead now.`)
  else terminal.out('Nothing was changed. With --yes-lose-data it is done, and can not be undone.')
  return done ? EXIT.OK : EXIT.FAILURE
}

function lossLines(disk: DiskResponse, { before, incarnation }: InSyncReset): string[] {
  const lost = disk.jobs.filter(({ missing }) => missing.length > 0)
  const set = before.map(({ jobManagerId, diskId }) => `${jobManagerId} (disk ${diskId})`).join(', ')
  return [
    `The in-sync set is ${set === '' ? 'empty' : set}; none of these JobManagers is there.`,
    `It is to become ${disk['jobmanager-id']} (disk ${disk['disk-id']}) alone, with ${disk.blobs} blobs, ${disk.bytes} bytes; incarnation ${incarnation}.`,
    lost.length === 0
      ? `This disk has all that ${disk.jobs.length} jobs name: nothing is lost.`
      : `Of ${disk.jobs.length} jobs ${lost.length} lose what they name, and those that have not ended will fail:`,
    ...lost.map(
      ({ id, name, ended, missing }) => `  ${id} ${name}${ended ? ' (ended)' : ''}: ${missing.length} blobs, such as ${missing[0]}`,
    ),
  ]
}
