import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#core/clock.js'
import { compareEpochs, type Epoch, formatEpoch, NO_EPOCH, parseEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { allBlobs, encodeMetaKey } from './keys.js'
import { LevelBlobStore } from './level-blob-store.js'
import { claimDirectory, isCorruption, type LevelDatabase, levelOnDisk, SYNC, storageError } from './level-database.js'

const DISK_ID = encodeMetaKey('disk-id')
const CLUSTER_UUID = encodeMetaKey('cluster-uuid')
const EPOCH = encodeMetaKey('epoch')
const FORMAT = encodeMetaKey('format')
/** Of keys and values; raised when an older version could not read what we write. */
const FORMAT_VERSION = '1'

/**
 * A JobManager's disk: one Level, opened by one thread of one process, with a UUID of its own. The in-sync set names this UUID, not
 * the host: a disk that lost its content is another disk.
 */
export interface DataDirectory {
  readonly diskId: string
  readonly db: LevelDatabase
  readonly blobs: LevelBlobStore
  /** The cluster that it belongs to; undefined until `bindCluster`. */
  readonly clusterUuid: string | undefined
  /** Highest epoch acknowledged from this disk. */
  readonly epoch: Epoch
  /** Whether it belongs to no cluster and holds no blob: only then may its owner create a cluster. */
  isEmpty(): Promise<boolean>
  /** CLUSTER_MISMATCH when it belongs to another cluster; nothing is deleted. */
  bindCluster(uuid: string): Promise<void>
  /** Durable when it resolves; a lower epoch than the highest is NOT_LEADER. A JobManager calls it before it acknowledges anything under `epoch`. */
  persistEpoch(epoch: Epoch): Promise<void>
  close(): Promise<void>
}

export interface DataDirectoryOptions {
  readonly path: string
  readonly logger: Logger
  readonly clock: Clock
  /** LevelDB in that directory unless said otherwise. */
  readonly openLevel?: (directory: string) => LevelDatabase
}

/** Opens or creates. DATA_DIRECTORY_LOCKED, DATA_DIRECTORY_UNUSABLE, STORAGE_FULL. A damaged one is kept aside, and a new one made. */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  await assertUsable(options.path)
  const claim = claimDirectory(await realpath(options.path))
  try {
    return await openClaimed(options, claim.release)
  } catch (error) {
    claim.release()
    throw error
  }
}

async function openClaimed(options: DataDirectoryOptions, release: () => void): Promise<DataDirectory> {
  const level = join(options.path, 'level')
  const open = async () => {
    const db = (options.openLevel ?? levelOnDisk)(level)
    await db.open()
    return overLevel(db, undefined, release).catch(async (error: unknown) => {
      await db.close()
      throw error
    })
  }
  try {
    return await open()
  } catch (error) {
    if (!isCorruption(error)) throw storageError(error, `open of ${level}`)
    const aside = await keepAside(level, options.clock)
    const directory = await open().catch((again: unknown) => {
      throw storageError(again, `open of ${level}`)
    })
    options.logger.error('data directory is damaged; kept aside, starting with an empty disk of another id', {
      directory: level,
      aside,
      diskId: directory.diskId,
      error,
    })
    return directory
  }
}

/** The same over a Level that is open already: for tests and the simulation. */
export async function overLevel(db: LevelDatabase, newId: () => string = randomUUID, onClosed = () => {}): Promise<DataDirectory> {
  const blobs = new LevelBlobStore(db)
  await blobs.open()
  const text = async (key: Buffer) => (await db.get(key))?.toString()
  const format = await text(FORMAT)
  if (format !== undefined && format !== FORMAT_VERSION)
    throw new FlottError('DATA_DIRECTORY_UNUSABLE', `the data directory has format ${format}, this version reads ${FORMAT_VERSION}`)
  let diskId = await text(DISK_ID)
  if (diskId === undefined) {
    diskId = newId()
    const put = (key: Buffer, value: string) => ({ type: 'put' as const, key, value: Buffer.from(value) })
    await db.batch([put(FORMAT, FORMAT_VERSION), put(DISK_ID, diskId)], SYNC)
  }
  const epoch = await text(EPOCH)
  return new OpenDataDirectory(db, blobs, diskId, await text(CLUSTER_UUID), epoch === undefined ? NO_EPOCH : parseEpoch(epoch), onClosed)
}

class OpenDataDirectory implements DataDirectory {
  /** Epochs are persisted one after the other, so that the highest is the last. */
  #writing: Promise<void> = Promise.resolve()

  constructor(
    readonly db: LevelDatabase,
    readonly blobs: LevelBlobStore,
    readonly diskId: string,
    private uuid: string | undefined,
    private highest: Epoch,
    private readonly onClosed: () => void,
  ) {}

  get clusterUuid(): string | undefined {
    return this.uuid
  }
  get epoch(): Epoch {
    return this.highest
  }

  async isEmpty(): Promise<boolean> {
    if (this.uuid !== undefined) return false
    for await (const _ of this.db.keys({ ...allBlobs, limit: 1 })) return false
    return true
  }

  async bindCluster(uuid: string): Promise<void> {
    if (this.uuid === uuid) return
    if (this.uuid !== undefined)
      throw new FlottError('CLUSTER_MISMATCH', `the data directory belongs to cluster ${this.uuid}, ZooKeeper names ${uuid}`)
    await this.#put(CLUSTER_UUID, uuid)
    this.uuid = uuid
  }

  async persistEpoch(epoch: Epoch): Promise<void> {
    const work = this.#writing.then(async () => {
      const order = compareEpochs(epoch, this.highest)
      if (order < 0) throw new FlottError('NOT_LEADER', `epoch ${formatEpoch(epoch)} is lower than ${formatEpoch(this.highest)}`)
      if (order === 0) return
      await this.#put(EPOCH, formatEpoch(epoch))
      this.highest = epoch
    })
    this.#writing = work.catch(() => {})
    return work
  }

  async #put(key: Buffer, value: string): Promise<void> {
    try {
      await this.db.put(key, Buffer.from(value), SYNC)
    } catch (error) {
      throw storageError(error, 'write to the data directory')
    }
  }

  async close(): Promise<void> {
    await this.#writing
    await this.db.close()
    this.onClosed()
  }
}

/** Root passes every permission check, so a file is written as well. */
async function assertUsable(path: string): Promise<void> {
  const probe = join(path, `.probe-${process.pid}`)
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    await writeFile(probe, 'probe')
    await rm(probe)
  } catch (error) {
    await rm(probe, { force: true }).catch(() => {}) // A full disk leaves an empty file.
    throw storageError(error, `use of ${path}`, 'DATA_DIRECTORY_UNUSABLE')
  }
}

async function keepAside(level: string, clock: Clock): Promise<string> {
  const stamp = new Date(clock.now()).toISOString().replace(/[:.]/g, '-')
  for (let n = 0; ; n++) {
    const aside = `${level}.damaged-${stamp}${n === 0 ? '' : `-${n}`}`
    const taken = await stat(aside).then(
      () => true,
      () => false,
    )
    if (taken) continue
    await rename(level, aside)
    return aside
  }
}
