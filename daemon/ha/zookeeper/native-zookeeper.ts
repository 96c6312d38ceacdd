import { type Clock, sleep } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { type ClientHandle, openHandle } from './client-handle.js'
import { connectHandle } from './connect-handle.js'
import { NativeSession } from './native-session.js'
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
/** How long one try to connect may take: to a server that serves, as was seen just before. */
const CONNECT_MS = 3_000

/** The npm client, in its thread. */
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
    return new NativeSession(await this.#connect(credentials), {
      clock: this.deps.clock,
      acl: this.options.acl ?? 'open',
      reconnectWaitMs: RECONNECT_WAIT_MS,
      reattach: (own) => this.#connect(own),
    })
  }

  /** A connected and authorized handle. The library does not notice a try that is lost on its way: then there is another one. */
  async #connect(credentials?: Credentials): Promise<ClientHandle> {
    const { clock } = this.deps
    const { connectionTimeoutMs, quorum } = this.options
    for (let leftMs = connectionTimeoutMs; ; leftMs -= CONNECT_MS) {
      const connect = await reachableAddresses(quorum, { ...this.deps, timeoutMs: Math.max(1, leftMs / 2) })
      const handle = await this.#tryToConnect(connect, Math.min(leftMs, CONNECT_MS), credentials)
      if (handle) return handle
      if (leftMs <= CONNECT_MS) throw new FlottError('ZOOKEEPER_UNAVAILABLE', `no connection to ${quorum} within ${connectionTimeoutMs} ms`)
      await sleep(clock, RECONNECT_WAIT_MS)
    }
  }
  #tryToConnect(connect: string, withinMs: number, credentials: Credentials | undefined): Promise<ClientHandle | undefined> {
    const { authorization = [], sessionTimeoutMs: timeout } = this.options
    const own = credentials ? { client_id: credentials.id, client_password: credentials.password } : {}
    return connectHandle(openHandle({ connect, timeout, ...own }), { clock: this.deps.clock, withinMs, authorization })
  }
}
