import { readdirSync, readFileSync, statSync } from 'node:fs'

/**
 * Whether this process holds the `flock` on the file: one that a launcher took and that came with an inherited descriptor. Linux says
 * of each descriptor what locks hang on it, so a lock that somebody else holds is not taken for ours. False where that can not be told.
 */
export function holdsLock(file: string): boolean {
  try {
    const { dev, ino } = statSync(file)
    return readdirSync('/proc/self/fd').some((fd) => isFile(fd, dev, ino) && hasExclusiveLock(fd))
  } catch {
    return false
  }
}

function isFile(fd: string, dev: number, ino: number): boolean {
  try {
    const found = statSync(`/proc/self/fd/${fd}`)
    return found.dev === dev && found.ino === ino
  } catch {
    return false // Closed since it was listed.
  }
}

function hasExclusiveLock(fd: string): boolean {
  return /^lock:.*\bFLOCK\b.*\bWRITE\b/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))
}
