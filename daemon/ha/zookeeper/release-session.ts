import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { NativeZooKeeper } from './native-zookeeper.js'
import { readCredentials, removeCredentials } from './session-credentials.js'

const RETRY_WAIT_MS = 100

/**
 * Ends the session of a dead daemon, so that nobody need wait for its time-out. The caller holds the lock that the
 * daemon inherited, hence knows that it is dead: a living one would lose its leadership. Attaching waits for the connection first,
 * since a handle closed before that leaves the session behind. Gives up with ZOOKEEPER_UNAVAILABLE after the session's time-out;
 * with `quorum`, which is then asked instead of the one that the dead daemon knew, never: for a daemon that can do nothing without it.
 * After a boot of all hosts, the session's time begins when ZooKeeper does.
 */
export async function releaseSession(
  file: string,
  deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  options: { readonly quorum?: string } = {},
): Promise<'released' | 'expired' | 'nothing'> {
  const credentials = await readCredentials(file)
  if (!credentials) return 'nothing'
  const { timeoutMs } = credentials
  const quorum = options.quorum ?? credentials.quorum
  const zookeeper = new NativeZooKeeper({ quorum, sessionTimeoutMs: timeoutMs, connectionTimeoutMs: timeoutMs }, deps)
  const untilMs = options.quorum === undefined ? deps.clock.monotonicMs() + timeoutMs : Number.POSITIVE_INFINITY
  for (;;) {
    try {
      const session = await zookeeper.attach(credentials)
      await session.close()
      await removeCredentials(file)
      return 'released'
    } catch (error) {
      if (isFlottError(error, 'ZOOKEEPER_SESSION_EXPIRED')) {
        await removeCredentials(file)
        return 'expired'
      }
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE') || deps.clock.monotonicMs() + RETRY_WAIT_MS > untilMs) throw error
      await sleep(deps.clock, RETRY_WAIT_MS)
    }
  }
}

/** When a daemon starts: ends the session of a predecessor that died under the same lock and had nobody to do so. */
export async function releaseLeftBehind(
  file: string,
  quorum: string,
  deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): Promise<void> {
  const outcome = await releaseSession(file, deps, { quorum }).catch((error: unknown) => error)
  if (outcome !== 'nothing') deps.logger.info('the session that a dead predecessor left', { outcome })
}
