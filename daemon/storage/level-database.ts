import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { type ErrorCode, FlottError, isFlottError } from '#core/errors.js'
import { ReopeningLevel } from './reopening-level.js'

/**
 * The one Level of a process, with binary keys and values. Which one is behind it is decided where it is opened: LevelDB on disk, or
 * memory-level in tests and in the simulation.
 */
export type LevelDatabase = {
  readonly status: string
  open(): Promise<void>
  close(): Promise<void>
  get(key: Buffer): Promise<Buffer | undefined>
  put(key: Buffer, value: Buffer, options?: object): Promise<void>
  batch(operations: LevelOperation[], options?: object): Promise<void>
  clear(range: object): Promise<void>
  iterator(range: object): AsyncIterable<[Buffer, Buffer]>
  keys(range: object): AsyncIterable<Buffer>
}
export type LevelOperation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer }

/** On disk means synced by the write itself: LevelDB does not sync a log that it has rotated away. */
export const SYNC = { sync: true } as const

export const BINARY = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/** Directories that are open in this process. */
const open = new Set<string>()

/**
 * One opener a directory. A second try in this process must not reach LevelDB: it opens the lock file, sees that it is ours and closes
 * it, and by that closing the system releases our lock, so that another process could open the directory beside us.
 */
export function claimDirectory(directory: string): { release(): void } {
  if (open.has(directory)) throw new FlottError('DATA_DIRECTORY_LOCKED', `${directory} is open in this process`)
  open.add(directory)
  return { release: () => void open.delete(directory) }
}

/** LevelDB in `directory`. Compression costs more than it saves on state, and small write buffers halve the throughput (260 against 135 MB/s). */
export function levelOnDisk(directory: string): LevelDatabase {
  const options = { ...BINARY, compression: false, writeBufferSize: 64 * 1024 * 1024 }
  const db = new Level<Buffer, Buffer>(directory, options) as unknown as LevelDatabase
  return new ReopeningLevel(db, () => hasRoomToOpen(directory))
}

const ROOM_BYTES = 1024 * 1024

/** At an open LevelDB writes what its log holds into a table, and a new manifest. */
async function hasRoomToOpen(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory)
  const logs = (await readdir(directory)).filter((name) => name.endsWith('.log'))
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(directory, name))).size))
  return bavail * bsize >= ROOM_BYTES + sizes.reduce((sum, size) => sum + size, 0)
}

interface LevelError {
  readonly code?: unknown
  readonly message?: unknown
  readonly cause?: unknown
}

/** What a failure of Level means to us; `fallback` where it says nothing more. */
export function storageError(error: unknown, doing: string, fallback: ErrorCode = 'STORAGE_FAILED'): FlottError {
  if (isFlottError(error)) return error
  const chain: LevelError[] = []
  for (
    let at = error as LevelError | undefined;
    at !== undefined && at !== null && chain.length < 4;
    at = at.cause as LevelError | undefined
  )
    chain.push(at)
  const code = codeOf(chain) ?? fallback
  return new FlottError(code, `${doing}: ${chain.map((e) => String(e.message ?? e)).join(': ')}`, { cause: error })
}

/** True where LevelDB says that its files are damaged. */
export function isCorruption(error: unknown): boolean {
  for (let at = error as LevelError | undefined, depth = 0; at && depth < 4; at = at.cause as LevelError | undefined, depth++)
    if (at.code === 'LEVEL_CORRUPTION' || /^Corruption:/.test(String(at.message))) return true
  return false
}

function codeOf(chain: readonly LevelError[]): ErrorCode | undefined {
  for (const { code, message } of chain) {
    const text = String(message)
    if (code === 'LEVEL_LOCKED') return 'DATA_DIRECTORY_LOCKED'
    if (code === 'ENOSPC' || code === 'EDQUOT' || /no space left|quota exceeded/i.test(text)) return 'STORAGE_FULL'
    if (
      code === 'EACCES' ||
      code === 'EPERM' ||
      code === 'EROFS' ||
      code === 'ENOTDIR' ||
      /permission denied|read-only file system/i.test(text)
    )
      return 'DATA_DIRECTORY_UNUSABLE'
  }
  return undefined
}
