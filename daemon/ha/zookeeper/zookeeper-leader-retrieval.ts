import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { Outage } from '#core/outage.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { LeaderListeners } from '../leader-listeners.js'
import type { ClusterPaths, ZooKeeper, ZooKeeperSession } from './zookeeper.js'

/**
 * Follows the `leader` node over a session of its own. While the connection is lost the last known leader stays current: it may well
 * live. When the node is gone there is none.
 */
export class ZooKeeperLeaderRetrieval implements LeaderRetrieval {
  readonly #listeners = new LeaderListeners()
  readonly #stopping = new AbortController()
  #session: ZooKeeperSession | undefined
  #running: Promise<void> | undefined
  readonly #outage: Outage

  constructor(
    private readonly options: {
      readonly zookeeper: ZooKeeper
      readonly paths: ClusterPaths
      readonly clock: Clock
      readonly logger: Logger
      readonly retryWaitMs: number
    },
  ) {
    this.#outage = new Outage(options.logger)
  }

  get current(): LeaderInfo | undefined {
    return this.#listeners.current
  }
  get connected(): boolean {
    return this.#session?.state === 'CONNECTED'
  }
  watch(onChange: (leader: LeaderInfo | undefined) => void): () => void {
    return this.#listeners.add(onChange)
  }

  async start(): Promise<void> {
    this.#running ??= this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#session?.close()
    await this.#running
  }

  async #follow(): Promise<void> {
    const { clock, retryWaitMs, zookeeper } = this.options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        this.#session = await zookeeper.open()
        this.#outage.over('ZooKeeper answers: the leader can be looked up')
        if (signal.aborted) await this.#session.close()
        else await this.#followOver(this.#session)
      } catch (error) {
        if (!isFlottError(error)) throw error
        if (signal.aborted) return
        this.#outage.failed('the leader can not be looked up in ZooKeeper', error)
        await sleep(clock, retryWaitMs, signal).catch(() => {})
      }
    }
  }

  /** Who else writes into the tree may write anything. */
  #leaderIn(data: Uint8Array): LeaderInfo | undefined {
    try {
      return JSON.parse(Buffer.from(data).toString()) as LeaderInfo
    } catch (error) {
      this.options.logger.error('the leader node in ZooKeeper is not what a leader writes', { path: this.options.paths.leader, error })
      return undefined
    }
  }

  /** Ends with the session. */
  async #followOver(session: ZooKeeperSession): Promise<void> {
    for (;;) {
      let changed = () => {}
      const change = new Promise<void>((resolve) => {
        changed = resolve
      })
      const off = session.onState((state) => {
        if (state !== 'SUSPENDED') changed() // Connected again: what we know may be old.
      })
      try {
        const node = await session.get(this.options.paths.leader, changed)
        this.#listeners.set(node && this.#leaderIn(node.data))
        await change
      } catch (error) {
        if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
        await session.whenConnected()
      } finally {
        off()
      }
    }
  }
}
