import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Registrations } from '#protocol/ha/registrations.js'
import type { ClusterPaths, ZooKeeperSession } from './zookeeper.js'

/** Between two lists: when many TaskManagers come at once, one list is for many of them. */
const PAUSE_MS = 100
/**
 * In the session's time-out. Sessions that an outage cut off end one time-out after ZooKeeper is back, at the latest; those who had them
 * have as long again to learn of it and to register anew.
 */
const SETTLED_TIMEOUTS = 2

/**
 * One watch on the folder, whatever the number of TaskManagers.
 *
 * State: since when the session is connected without a break; the list, or none.
 * - made, with the session, or reconnected -> connected since now, no list
 * - suspended, lost                        -> no list; lost: the end
 * - connected for SETTLED_TIMEOUTS         -> list, with a watch
 * - the folder has changed                 -> list again, PAUSE_MS after the last one
 */
export class RegistrationWatch implements Registrations {
  #listed: ReadonlySet<string> | undefined
  #connectedSinceMs: number
  readonly #listeners = new Set<() => void>()
  readonly #ended = new AbortController()

  constructor(private readonly options: { session: ZooKeeperSession; paths: ClusterPaths; clock: Clock; logger: Logger }) {
    const { session, clock } = options
    this.#connectedSinceMs = clock.monotonicMs()
    session.onState((state) => {
      this.#connectedSinceMs = clock.monotonicMs()
      this.#listed = undefined
      if (state === 'LOST') this.#ended.abort()
    })
  }

  get listed(): ReadonlySet<string> | undefined {
    return this.#listed
  }
  watch(onListed: () => void): void {
    this.#listeners.add(onListed)
  }

  /** Goes on until the session's end. */
  start(): void {
    this.#follow().catch((error: unknown) => {
      if (!this.#ended.signal.aborted) this.options.logger.error('the registrations of TaskManagers can not be watched', { error })
    })
  }

  async #follow(): Promise<void> {
    const { session, clock } = this.options
    for (;;) {
      await this.#settled()
      let changed = () => {}
      const change = new Promise<void>((resolve) => {
        changed = resolve
      })
      const off = session.onState(() => changed())
      try {
        await this.#list(changed)
        await change
      } catch (error) {
        if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      } finally {
        off()
      }
      await sleep(clock, PAUSE_MS, this.#ended.signal)
    }
  }

  async #list(changed: () => void): Promise<void> {
    const { session, paths } = this.options
    const sinceMs = this.#connectedSinceMs
    const [, names] = await Promise.all([session.sync(paths.registrations), session.children(paths.registrations, changed)])
    if (session.state !== 'CONNECTED' || sinceMs !== this.#connectedSinceMs) return // It says so by itself.
    this.#listed = new Set(names)
    for (const tell of [...this.#listeners]) tell()
  }

  async #settled(): Promise<void> {
    const { session, clock } = this.options
    for (;;) {
      await session.whenConnected()
      const leftMs = this.#connectedSinceMs + SETTLED_TIMEOUTS * session.timeoutMs - clock.monotonicMs()
      if (leftMs <= 0) return
      await sleep(clock, leftMs, this.#ended.signal)
    }
  }
}
