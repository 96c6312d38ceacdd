/**
 * A job's program on this machine's disk: `artifact.mjs` (the bundle that the client made, its source map inline) and beside it
 * `node_modules/flott`, a link to this installation, so that program and engine share one copy of the API.
 */
import { createWriteStream } from 'node:fs'
import { access, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FlottError, isFlottError } from '#core/errors.js'
import { ARTIFACT_FILE } from '#core/functions/artifact-directory.js'

export { ARTIFACT_FILE }

export interface UnpackArtifactOptions {
  /** Where the artifact shall be; made when absent. Name it by the artifact's hash: what is there already is taken for the same. */
  readonly directory: string
  /** The bytes of the artifact blob. Not read when the directory exists. */
  readonly read: AsyncIterable<Uint8Array>
  /** Root of the installed package `flott` (the folder with its package.json). */
  readonly installation: string
}

/** Returns the directory. Appears whole or not at all, so that two that unpack at once, or a crash, leave no half of it. USER_CODE_LOAD_FAILED. */
export async function unpackArtifact(options: UnpackArtifactOptions): Promise<string> {
  const directory = resolve(options.directory)
  if (await exists(join(directory, ARTIFACT_FILE))) return directory
  try {
    await mkdir(dirname(directory), { recursive: true })
    const unpacking = await mkdtemp(`${directory}.unpacking-`)
    try {
      await pipeline(Readable.from(options.read), createWriteStream(join(unpacking, ARTIFACT_FILE)))
      await mkdir(join(unpacking, 'node_modules'))
      await symlink(resolve(options.installation), join(unpacking, 'node_modules', 'flott'), 'dir')
      await rename(unpacking, directory)
    } catch (error) {
      await rm(unpacking, { recursive: true, force: true })
      if (!(await exists(join(directory, ARTIFACT_FILE)))) throw error // Otherwise another was faster.
    }
  } catch (cause) {
    if (isFlottError(cause)) throw cause
    throw new FlottError('USER_CODE_LOAD_FAILED', `the artifact could not be unpacked into ${directory}`, { cause })
  }
  return directory
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
