import { FlottError, isFlottError } from '#core/errors.js'
import type { FactStore } from '#protocol/ha/facts.js'
import { type FactFolder, type FactName, type FactNodes, NodeFactStore } from '../node-fact-store.js'
import type { ClusterPaths, ZooKeeperSession } from './zookeeper.js'

/**
 * Facts over one session: that of a reign (all its writes), or one of a standby that only reads. When the connection is lost in the
 * middle of a write, nobody else may decide on that node until it is known what became of it: wait for the connection, sync, read,
 * compare. The session's end ends the waiting: ZOOKEEPER_SESSION_EXPIRED.
 */
export function zooKeeperFactStore(session: ZooKeeperSession, paths: ClusterPaths): FactStore {
  return new NodeFactStore(new ZooKeeperFactNodes(session, paths))
}

class ZooKeeperFactNodes implements FactNodes {
  constructor(
    private readonly session: ZooKeeperSession,
    private readonly paths: ClusterPaths,
  ) {}

  sync(): Promise<void> {
    return this.#again(() => this.session.sync(this.paths.root))
  }

  list(folder: FactFolder): Promise<readonly string[]> {
    return this.#again(() => this.session.children(`${this.paths.root}/${folder}`))
  }

  read(node: FactName): Promise<{ bytes: Buffer; version: number } | undefined> {
    return this.#again(async () => {
      const found = await this.session.get(this.#path(node))
      return found && { bytes: found.data, version: found.version }
    })
  }

  /** An unknown outcome needs no settling here: the second attempt finds the node, and the caller compares it. */
  async create(node: FactName, bytes: Uint8Array): Promise<void> {
    await this.#again(() => this.session.create(this.#path(node), bytes, 'persistent'))
  }

  async set(node: FactName, bytes: Uint8Array, version: number): Promise<number> {
    for (;;) {
      try {
        return await this.session.set(this.#path(node), bytes, version)
      } catch (error) {
        if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
        const applied = await this.#settle(node, bytes, version)
        if (applied) return version + 1
      }
    }
  }

  /** What became of a set without an answer. Only this session writes here, so the version and the content tell. */
  async #settle(node: FactName, bytes: Uint8Array, version: number): Promise<boolean> {
    await this.sync()
    const found = await this.read(node)
    if (!found) throw new FlottError('FACT_NOT_FOUND', node)
    if (found.version === version) return false
    if (found.version === version + 1 && Buffer.compare(found.bytes, bytes) === 0) return true
    throw new FlottError('FACT_CONFLICT', `${node} has version ${found.version}, not ${version}`)
  }

  async remove(node: FactName, version: number): Promise<void> {
    try {
      await this.#again(() => this.session.remove(this.#path(node), version))
    } catch (error) {
      if (!isFlottError(error, 'FACT_NOT_FOUND')) throw error
    }
  }

  /** Repeats what may be repeated, each time the connection is back. */
  async #again<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
        await this.session.whenConnected()
      }
    }
  }

  #path(node: FactName): string {
    return `${this.paths.root}/${node}`
  }
}

/** Creates the folders of the cluster where they are missing. */
export async function ensureTree(session: ZooKeeperSession, paths: ClusterPaths): Promise<void> {
  for (const folder of paths.folders) {
    try {
      await session.create(folder, Buffer.alloc(0), 'persistent')
    } catch (error) {
      if (!isFlottError(error, 'FACT_EXISTS')) throw error
    }
  }
}
