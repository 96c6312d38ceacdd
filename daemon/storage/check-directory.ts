/**
 * A look at the data directory of a JobManager that does not run: every byte of every blob against its checksums. It changes no blob;
 * LevelDB itself, at its opening, writes what its log holds into a table.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FlottError, isFlottError } from '#core/errors.js'
import { encodeMetaKey } from './keys.js'
import { LevelBlobStore } from './level-blob-store.js'
import { isCorruption, levelOnDisk, storageError } from './level-database.js'

export interface DirectoryCheck {
  readonly diskId: string | undefined
  readonly clusterUuid: string | undefined
  readonly blobs: number
  readonly bytes: number
  readonly problems: readonly { readonly blob: string; readonly message: string }[]
}

/** NOT_FOUND where there is none, DATA_DIRECTORY_LOCKED while a JobManager has it open, BLOB_CORRUPT where LevelDB can not open it. */
export async function checkDirectory(directory: string): Promise<DirectoryCheck> {
  const level = join(directory, 'level')
  const exists = await stat(join(level, 'CURRENT')).catch(() => undefined)
  if (!exists) throw new FlottError('NOT_FOUND', `${directory} is no data directory of a JobManager: it has no level/CURRENT`)
  const db = levelOnDisk(level)
  try {
    await db.open()
  } catch (error) {
    if (!isCorruption(error)) throw storageError(error, `open of ${level}`)
    throw new FlottError('BLOB_CORRUPT', `${level} is damaged as a whole; a JobManager that starts on it keeps it aside`, { cause: error })
  }
  try {
    const store = new LevelBlobStore(db) // Not opened: that would remove what a crash has left.
    const problems: { blob: string; message: string }[] = []
    let [blobs, bytes] = [0, 0]
    for await (const info of store.list('')) {
      blobs++
      bytes += info.bytes
      try {
        for await (const _ of store.read(info.name));
      } catch (error) {
        if (!isFlottError(error, 'BLOB_CORRUPT')) throw error
        problems.push({ blob: info.name, message: error.message })
      }
    }
    const text = async (name: string) => (await db.get(encodeMetaKey(name)))?.toString()
    return { diskId: await text('disk-id'), clusterUuid: await text('cluster-uuid'), blobs, bytes, problems }
  } finally {
    await db.close()
  }
}
