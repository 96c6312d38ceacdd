import { isFlottError } from '#core/errors.js'
import type { ZooKeeperSession } from './zookeeper.js'

/** The node is there with this content, and ends with this session, when it resolves; one of another session is replaced. ZOOKEEPER_SESSION_EXPIRED. */
export async function publishEphemeral(session: ZooKeeperSession, path: string, content: string): Promise<void> {
  const data = Buffer.from(content)
  for (;;) {
    try {
      const [, found] = await Promise.all([session.sync(path), session.get(path)])
      if (found && found.ephemeralOwner === session.id) {
        if (Buffer.compare(found.data, data) !== 0) await session.set(path, data, found.version)
        return
      }
      if (found) await session.remove(path, found.version)
      await session.create(path, data, 'ephemeral')
      return
    } catch (error) {
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      await session.whenConnected()
    }
  }
}
