import { readFile, rename, rm, writeFile } from 'node:fs/promises'

/** What another process needs to end a session, and nothing else: it does so in a hurry. Secret, so the file is 0600 in the daemon's runtime directory. */
export interface SessionCredentials {
  readonly id: string
  readonly password: string
  /** 'host:port,host:port' */
  readonly quorum: string
  /** After that long it has ended by itself. */
  readonly timeoutMs: number
}

/** Beside the lock of the daemon (core/lock-file.ts). */
export function sessionFileOf(lockFile: string): string {
  return `${lockFile.replace(/\.lock$/, '')}.session`
}

/** Whole or not at all. */
export async function writeCredentials(file: string, { id, password, quorum, timeoutMs }: SessionCredentials): Promise<void> {
  const temporary = `${file}.tmp`
  await rm(temporary, { force: true }) // An old one might have another mode.
  await writeFile(temporary, JSON.stringify({ id, password, quorum, timeoutMs }), { mode: 0o600 })
  await rename(temporary, file)
}

export async function readCredentials(file: string): Promise<SessionCredentials | undefined> {
  try {
    const { id, password, quorum, timeoutMs } = JSON.parse(await readFile(file, 'utf8')) as Partial<SessionCredentials>
    if (id === undefined || password === undefined || quorum === undefined || timeoutMs === undefined) return undefined
    return { id, password, quorum, timeoutMs }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function removeCredentials(file: string): Promise<void> {
  await rm(file, { force: true })
}
