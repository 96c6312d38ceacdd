import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { Outage } from '#core/outage.js'
import type { GivenUpMark, LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { LeaderListeners } from '../leader-listeners.js'
import type { ClusterPaths, ZooKeeper, ZooKeeperNode, ZooKeeperSession } from './zookeeper.js'

/**
 * Follows the `leader` node, and the mark of a TaskManager where one is to be told, over a session of its own. While the connection is
 * lost the last known leader stays current: it may well live. When the node is gone there is none.
 */
export class ZooKeeperLeaderRetrieval implements LeaderRetrieval {
  readonly #listeners = new LeaderListeners()
  readonly #stopping = new AbortController()
  #session: ZooKeeperSession | undefined
  #running: Promise<void> | undefined
  #marked: { readonly path: string; readonly onMark: (mark: GivenUpMark) => void } | undefined
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
  watchGivenUp(taskManagerId: string, onMark: (mark: GivenUpMark) => void): void {
    this.#marked = { path: this.options.paths.mark(taskManagerId), onMark }
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
  #read<T>(path: string, node: ZooKeeperNode | undefined): T | undefined {
    try {
      return node && (JSON.parse(node.data.toString()) as T)
    } catch (error) {
      this.options.logger.error('a node in ZooKeeper is not what a leader writes', { path, error })
      return undefined
    }
  }

  /** Ends with the session. */
  async #followOver(session: ZooKeeperSession): Promise<void> {
    const marked = this.#marked
    const { leader } = this.options.paths
    const markIs = (node: ZooKeeperNode | undefined) => {
      const mark = marked && this.#read<GivenUpMark>(marked.path, node)
      if (mark) marked.onMark(mark)
    }
    await Promise.all([
      followNode(session, leader, (node) => this.#listeners.set(this.#read<LeaderInfo>(leader, node))),
      marked && followNode(session, marked.path, markIs),
    ])
  }
}

/** Until the session's end, which it throws. */
async function followNode(session: ZooKeeperSession, path: string, onNode: (node: ZooKeeperNode | undefined) => void): Promise<void> {
  for (;;) {
    let changed = () => {}
    const change = new Promise<void>((resolve) => {
      changed = resolve
    })
    const off = session.onState((state) => {
      if (state !== 'SUSPENDED') changed() // Connected again: what we know may be old.
    })
    try {
      onNode(await session.get(path, changed))
      await change
    } catch (error) {
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      await session.whenConnected()
    } finally {
      off()
    }
  }
}
