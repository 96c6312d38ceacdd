import { readdirSync, rmSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChunkFiles } from './local-backup.js'

const PREFIX = 'flott-localState-'

/** Copies of chunks as files of one directory, which is this process's own and goes with it. */
export class ChunkDirectory implements ChunkFiles {
  readonly #directory: string
  #made: Promise<unknown> | undefined

  /** `parent`: of the directories of all TaskManagers of this machine. */
  constructor(parent: string, { pid, taskManagerId }: { pid: number; taskManagerId: string }) {
    removeOfTheDead(parent)
    this.#directory = join(parent, `${PREFIX}${pid}-${encodeURIComponent(taskManagerId)}`)
  }
  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.#made ??= mkdir(this.#directory, { recursive: true, mode: 0o700 })
    await this.#made
    await writeFile(join(this.#directory, name), bytes)
  }
  read(name: string): Promise<Uint8Array> {
    return readFile(join(this.#directory, name))
  }
  async remove(name: string): Promise<void> {
    await rm(join(this.#directory, name), { force: true })
  }
  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** What was killed could not clean up. One that lives in another pid namespace loses its copies by this, and fetches instead. */
function removeOfTheDead(parent: string): void {
  for (const name of list(parent)) {
    if (!name.startsWith(PREFIX) || isAlive(Number.parseInt(name.slice(PREFIX.length), 10))) continue
    try {
      rmSync(join(parent, name), { recursive: true, force: true })
    } catch {
      // Another user's.
    }
  }
}
function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
function isAlive(pid: number): boolean {
  if (!(pid > 0)) return true
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
