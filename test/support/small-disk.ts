/** A file system of a few megabytes that a test fills and empties; undefined where mounting is not permitted. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** Leaves so many bytes free. */
  fill(freeBytes?: number): void
  free(): void
}

export function smallDisk(t: { teardown(undo: () => void): void }, megabytes: number): SmallDisk | undefined {
  const path = mkdtempSync(join(tmpdir(), 'flott-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    rmSync(path, { recursive: true })
    return undefined
  }
  t.teardown(() => {
    execFileSync('umount', ['-l', path])
    rmSync(path, { recursive: true, force: true })
  })
  const ballast = join(path, 'ballast')
  return {
    path,
    fill(freeBytes = 0) {
      const { bavail, bsize } = statfsSync(path)
      writeFileSync(ballast, Buffer.alloc(Math.max(bavail * bsize - freeBytes, 0)))
    },
    free: () => rmSync(ballast, { force: true }),
  }
}
