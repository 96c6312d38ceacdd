/** A file system of a few megabytes that a test fills and empties; undefined where mounting is not permitted. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs'
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
      for (;;) {
        const { bavail, bsize } = statfsSync(path)
        const bytes = bavail * bsize - freeBytes
        if (bytes <= 0) return
        try {
          execFileSync('fallocate', ['--offset', String(sizeOf(ballast)), '--length', String(bytes), ballast], { stdio: 'ignore' })
        } catch {
          // Somebody else wrote meanwhile: what is free now.
        }
      }
    },
    free: () => rmSync(ballast, { force: true }),
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
