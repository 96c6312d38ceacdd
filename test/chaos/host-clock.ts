/**
 * Preloaded into a daemon and its threads (node --import): the wall clock of its host, which is as far off as the file
 * $CHAOS_HOST_CLOCK says, in milliseconds. Programs see it jump, as after a correction by hand or by NTP; monotonic time goes on, as it
 * does then. Native code (the ZooKeeper client, LevelDB) keeps the real time.
 */
import { readFileSync } from 'node:fs'

const file = process.env['CHAOS_HOST_CLOCK']
const READ_EVERY_MS = 20

if (file !== undefined) {
  const RealDate = Date
  const realNow = Date.now
  let offset = 0
  let readAt = Number.NEGATIVE_INFINITY
  const now = () => {
    if (performance.now() - readAt > READ_EVERY_MS) {
      readAt = performance.now()
      try {
        offset = Number(readFileSync(file, 'utf8'))
      } catch {
        offset = 0 // Nobody has moved it.
      }
    }
    return realNow() + offset
  }
  RealDate.now = now
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as object,
    apply: () => new RealDate(now()).toString(),
  })
}
