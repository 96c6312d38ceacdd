/**
 * Ends the ZooKeeper session of a daemon that died without doing so itself; run by bin/flott-release.sh under the daemon's lock. The
 * new leader waits for it, so it loads little: no configuration, no logger.
 * usage: node release-main.js LOCK_FILE
 */
import { systemClock } from '#core/clock.js'
import { holdsLock } from '#core/lock-file.js'
import type { Logger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { releaseSession } from './release-session.js'
import { sessionFileOf } from './session-credentials.js'

const [lockFile = ''] = process.argv.slice(2)
const say = (text: string) => process.stderr.write(`ZooKeeper session of a dead daemon (${lockFile}): ${text}\n`)
const logger: Logger = { debug() {}, info() {}, warn: say, error: say, child: () => logger }

async function release(): Promise<string> {
  if (!holdsLock(lockFile)) throw new Error('its lock is not held here: the daemon may live')
  return releaseSession(sessionFileOf(lockFile), { clock: systemClock, random: systemRandom, logger })
}

release().then(
  (outcome) => {
    say(outcome)
    process.exit(0)
  },
  (error: unknown) => {
    say(`not released: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  },
)
