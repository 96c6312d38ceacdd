import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '#core/logger.js'

/**
 * Where this process unpacks programs. What an earlier process of the same disk left there when it was killed is removed: the disk is
 * locked by its process, so that whoever has opened it knows that the earlier ones are gone. Directories of other disks stay.
 */
export async function programDirectory(parent: string, diskId: string, processId: number, logger: Logger): Promise<string> {
  const own = `flott-jobmanager-${processId}-${diskId}`
  for (const name of await readdir(parent).catch(() => [])) {
    const isOfThisDisk = name.endsWith(`-${diskId}`) && /^flott-jobmanager-\d+$/.test(name.slice(0, -diskId.length - 1))
    if (!isOfThisDisk) continue
    const directory = join(parent, name)
    await rm(directory, { recursive: true, force: true }).catch((error: unknown) =>
      logger.warn('programs of an earlier process are left', { directory, error }),
    )
  }
  return join(parent, own)
}
