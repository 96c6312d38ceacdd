import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { Outage } from '#core/outage.js'
import type { GivenUpMark, LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import type { TaskManagerProcess } from '#protocol/ha/registrations.js'
import { LeaderListeners } from '../leader-listeners.js'
import { publishEphemeral } from './ephemeral-node.js'
import { removeCredentials, writeCredentials } from './session-credentials.js'
import type { ClusterPaths, ZooKeeper, ZooKeeperNode, ZooKeeperSession } from './zookeeper.js'

/**
 * Follows the `leader` node, and the mark of a TaskManager where one is to be told, over a session of its own, which holds the
 * registration of a TaskManager, too. While the connection is lost the last known leader stays current: it may well live. When the node is
 * gone there is none.
 */
export class ZooKeeperLeaderRetrieval implements LeaderRetrieval {
  readonly #listeners = new LeaderListeners()
  readonly #stopping = new AbortController()
  #session: ZooKeeperSession | undefined
  #running: Promise<void> | undefined
  #marked: { readonly path: string; readonly onMark: (mark: GivenUpMark) => void } | undefined
  #registration: string | undefined
  readonly #outage: Outage

  constructor(
    private readonly options: {
      readonly zookeeper: ZooKeeper
      readonly paths: ClusterPaths
      readonly clock: Clock
      readonly logger: Logger
      readonly retryWaitMs: number
      /** What it takes to end our session goes there before it holds a registration; absent: not written. */
      readonly credentials?: { readonly file: string; readonly quorum: string }
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

  holdRegistration(process: TaskManagerProcess): void {
    this.#registration = this.options.paths.registration(process)
  }

  async start(): Promise<void> {
    this.#running ??= this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#session?.close()
    await this.#running
    if (this.options.credentials) await removeCredentials(this.options.credentials.file)
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
        await this.#session?.close() // Where it lives, it can not do what it is for.
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

  async #register(session: ZooKeeperSession): Promise<true> {
    if (this.#registration !== undefined) await publishEphemeral(session, this.#registration, '')
    return true
  }
  async #writeCredentials({ id, password, timeoutMs }: ZooKeeperSession): Promise<void> {
    const { credentials } = this.options
    if (credentials) await writeCredentials(credentials.file, { id, password, timeoutMs, quorum: credentials.quorum })
  }

  /** Ends with the session. */
  async #followOver(session: ZooKeeperSession): Promise<void> {
    const marked = this.#marked
    const { leader } = this.options.paths
    const markIs = (node: ZooKeeperNode | undefined) => {
      const mark = marked && this.#read<GivenUpMark>(marked.path, node)
      if (mark) marked.onMark(mark)
    }
    let registered = false
    const leaderIs = async (node: ZooKeeperNode | undefined) => {
      // The folder is there when somebody leads.
      if (node && !registered) registered = await this.#register(session)
      this.#listeners.set(this.#read<LeaderInfo>(leader, node))
    }
    await this.#writeCredentials(session)
    await Promise.all([followNode(session, leader, leaderIs), marked && followNode(session, marked.path, markIs)])
  }
}

/** Until the session's end, which it throws. */
async function followNode(
  session: ZooKeeperSession,
  path: string,
  onNode: (node: ZooKeeperNode | undefined) => void | Promise<void>,
): Promise<void> {
  for (;;) {
    let changed = () => {}
    const change = new Promise<void>((resolve) => {
      changed = resolve
    })
    const off = session.onState((state) => {
      if (state !== 'SUSPENDED') changed() // Connected again: what we know may be old.
    })
    try {
      await onNode(await session.get(path, changed))
      await change
    } catch (error) {
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      await session.whenConnected()
    } finally {
      off()
    }
  }
}
