import { readFile, rename, rm, writeFile } from 'node:fs/promises'

/** What another process needs to end a session: secret, so the file is 0600 in the daemon's runtime directory. */
export interface SessionCredentials {
  readonly id: string
  readonly password: string
}

/** Whole or not at all. */
export async function writeCredentials(file: string, { id, password }: SessionCredentials): Promise<void> {
  const temporary = `${file}.tmp`
  await rm(temporary, { force: true }) // An old one might have another mode.
  await writeFile(temporary, JSON.stringify({ id, password }), { mode: 0o600 })
  await rename(temporary, file)
}

export async function readCredentials(file: string): Promise<SessionCredentials | undefined> {
  try {
    const { id, password } = JSON.parse(await readFile(file, 'utf8')) as Partial<SessionCredentials>
    return typeof id === 'string' && typeof password === 'string' ? { id, password } : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function removeCredentials(file: string): Promise<void> {
  await rm(file, { force: true })
}
