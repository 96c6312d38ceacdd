import { isFlottError } from '#core/errors.js'
import type { NativeZooKeeper } from './native-zookeeper.js'
import { readCredentials, removeCredentials } from './session-credentials.js'

/**
 * Ends the session of a dead daemon, so that the next leader need not wait for its time-out. The caller holds the lock that the
 * daemon inherited, hence knows that it is dead: a living one would lose its leadership. Attaching waits for the connection first,
 * since a handle closed before that leaves the session behind.
 */
export async function releaseSession(file: string, zookeeper: NativeZooKeeper): Promise<'released' | 'expired' | 'nothing'> {
  const credentials = await readCredentials(file)
  if (!credentials) return 'nothing'
  try {
    const session = await zookeeper.attach(credentials)
    await session.close()
  } catch (error) {
    if (!isFlottError(error, 'ZOOKEEPER_SESSION_EXPIRED')) throw error
    await removeCredentials(file)
    return 'expired'
  }
  await removeCredentials(file)
  return 'released'
}
