import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { type NativeClient, NativeSession } from './native-session.js'
import { errorOf, RC } from './result-codes.js'
import type { ZooKeeper, ZooKeeperSession } from './zookeeper.js'
import { reachableAddresses } from './zookeeper-addresses.js'

/** `high-availability.zookeeper.…`, as plain values. */
export interface ZooKeeperOptions {
  /** 'host:port,host:port' */
  readonly quorum: string
  readonly sessionTimeoutMs: number
  readonly connectionTimeoutMs: number
  /** Who we are, for instance { scheme: 'digest', auth: 'user:password' }. */
  readonly authorization?: readonly { readonly scheme: string; readonly auth: string }[]
  /** `creator`: only who has the same authorization may touch our nodes. */
  readonly acl?: 'open' | 'creator'
}

interface Credentials {
  readonly id: string
  readonly password: string
}

const RECONNECT_WAIT_MS = 100

/** The npm client. Main thread only: the addon crashes a process that loads it in two threads; it is loaded at the first `open`. */
export class NativeZooKeeper implements ZooKeeper {
  constructor(
    private readonly options: ZooKeeperOptions,
    private readonly deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  ) {}

  open(): Promise<ZooKeeperSession> {
    return this.#open()
  }

  /** Attaches to a session of another process. ZOOKEEPER_SESSION_EXPIRED when it has ended. */
  attach(credentials: Credentials): Promise<ZooKeeperSession> {
    return this.#open(credentials)
  }

  async #open(credentials?: Credentials): Promise<ZooKeeperSession> {
    const native = await this.#connect(credentials)
    return new NativeSession(native, {
      clock: this.deps.clock,
      acl: this.options.acl ?? 'open',
      reconnectWaitMs: RECONNECT_WAIT_MS,
      reattach: (own) => this.#connect(own),
    })
  }

  /** A connected and authorized handle. */
  async #connect(credentials?: Credentials): Promise<NativeClient> {
    const { connectionTimeoutMs, quorum, sessionTimeoutMs } = this.options
    const connect = await reachableAddresses(quorum, { ...this.deps, timeoutMs: Math.max(1, connectionTimeoutMs / 2) })
    const { default: client } = await import('zookeeper')
    const native = new client.ZooKeeper({
      connect,
      timeout: sessionTimeoutMs,
      host_order_deterministic: true, // Shuffled by ourselves.
      debug_level: 0, // It would write to standard error.
      ...(credentials ? { client_id: credentials.id, client_password: credentials.password } : {}),
    }) as unknown as NativeClient
    await this.#connected(native)
    for (const { scheme, auth } of this.options.authorization ?? []) await this.#authorize(native, scheme, auth)
    return native
  }

  #connected(native: NativeClient): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: FlottError) => {
        timer.cancel()
        native.off('connect', connected)
        native.off('close', closed)
        // Not within a callback of the library: see NativeSession.
        this.deps.clock.defer(() => (error ? reject(error) : resolve()))
      }
      const connected = () => settle()
      const closed = () => settle(new FlottError('ZOOKEEPER_SESSION_EXPIRED', 'ZooKeeper refused the session: it has ended'))
      const timer = this.deps.clock.setTimer(this.options.connectionTimeoutMs, () => {
        settle(new FlottError('ZOOKEEPER_UNAVAILABLE', `no connection to ${this.options.quorum} in time`))
        native.close() // Not connected, so this ends no session.
      })
      native.on('connect', connected)
      native.on('close', closed)
      try {
        native.init({})
      } catch (cause) {
        settle(new FlottError('ZOOKEEPER_UNAVAILABLE', `no client for ${this.options.quorum}`, { cause }))
      }
    })
  }

  /** A refusal closes the handle, and with it a session that is of no use without. */
  #authorize(native: NativeClient, scheme: string, auth: string): Promise<void> {
    return new Promise((resolve, reject) => {
      native.add_auth(scheme, auth, (rc, text) => {
        this.deps.clock.defer(() => {
          if (rc === RC.OK) return resolve()
          reject(errorOf(rc, `authorization by ${scheme}`, text))
          native.close()
        })
      })
    })
  }
}
