import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ARTIFACT_FILE = 'artifact.mjs'

/** Where this installation of flott lies: dist/daemon/core/functions/artifact-directory.js is in it. */
const PACKAGE_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../../..')

/** Puts an artifact where it can be imported: beside a link to this flott, so that there is one copy of it in the process. Repeating it does no harm. */
export async function placeArtifact(directory: string, artifact: Uint8Array): Promise<void> {
  await mkdir(join(directory, 'node_modules'), { recursive: true })
  await symlink(PACKAGE_ROOT, join(directory, 'node_modules', 'flott'), 'dir').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await writeFile(join(directory, ARTIFACT_FILE), artifact)
}
