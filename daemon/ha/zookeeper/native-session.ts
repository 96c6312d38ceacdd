import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isFlottError } from '#core/errors.js'
import { errorOf, RC } from './result-codes.js'
import { SessionStateHolder } from './session-state.js'
import type { NodeKind, SessionState, ZooKeeperNode, ZooKeeperSession } from './zookeeper.js'

interface Stat {
  readonly czxid: number
  readonly version: number
  /** Hexadecimal; '0' where there is none. */
  readonly ephemeralOwner: string
}
type Watcher = (type: number) => void
type Done<A extends unknown[]> = (rc: number, error: string, ...answer: A) => void

/** The callback client, as far as it is used. Each function must be a new one in each call: the addon ties it to the handle. */
export interface NativeClient {
  readonly client_id: unknown
  readonly client_password: string
  readonly timeout: number
  /** 3 is connected. */
  readonly state: number
  init(config: object): unknown
  close(): unknown
  on(event: 'connect' | 'connecting' | 'close', listener: () => void): unknown
  off(event: 'connect' | 'connecting' | 'close', listener: () => void): unknown
  a_create(path: string, data: Buffer, flags: number, done: Done<[string]>): number
  a_get(path: string, watch: boolean, done: Done<[Stat, Buffer | null]>): number
  aw_get(path: string, watcher: Watcher, done: Done<[Stat, Buffer | null]>): number
  aw_exists(path: string, watcher: Watcher, done: Done<[Stat]>): number
  a_get_children(path: string, watch: boolean, done: Done<[string[]]>): number
  aw_get_children(path: string, watcher: Watcher, done: Done<[string[]]>): number
  a_set(path: string, data: Buffer, version: number, done: Done<[Stat]>): number
  a_delete_(path: string, version: number, done: Done<[]>): number
  a_set_acl(path: string, version: number, acl: object[], done: Done<[]>): number
  a_sync(path: string, done: Done<[string]>): number
  add_auth(scheme: string, auth: string, done: Done<[]>): number
}

const FLAGS: Record<NodeKind, number> = { persistent: 0, ephemeral: 1, 'ephemeral-sequential': 3 }
const SESSION_EVENT = -1
const CREATOR_ACL = [{ perms: 31, scheme: 'auth', auth: '' }]

const CONNECTED_STATE = 3

export interface NativeSessionOptions {
  readonly clock: Clock
  readonly acl: 'open' | 'creator'
  /** Between two tries to connect again. */
  readonly reconnectWaitMs: number
  /** A new, connected and authorized handle of this session. ZOOKEEPER_SESSION_EXPIRED, ZOOKEEPER_UNAVAILABLE. */
  reattach(credentials: { readonly id: string; readonly password: string }): Promise<NativeClient>
}

/**
 * One session over handles of the npm client. A handle that has lost its connection is dropped, and the session is attached to a new
 * one: left alone, the library tries to connect without a pause, which takes the whole main thread while the ensemble is down. A
 * handle dropped while it is not connected ends no session.
 *
 * Nothing goes on within a callback of the library. It calls back when it has closed its socket and before libuv knows: a socket that is
 * opened then gets the same number, libuv takes it for the old one, and ends the process with SIGABRT.
 */
export class NativeSession implements ZooKeeperSession {
  readonly id: string
  readonly password: string
  readonly timeoutMs: number
  readonly #state: SessionStateHolder
  /** Undefined between two connections. */
  #native: NativeClient | undefined
  /** Armed watches. A new handle knows nothing of them: they all fire, since each may have missed its change. */
  readonly #watches = new Set<() => void>()
  #closing: Promise<void> | undefined

  constructor(
    native: NativeClient,
    private readonly options: NativeSessionOptions,
  ) {
    this.id = String(native.client_id)
    this.password = native.client_password
    this.timeoutMs = native.timeout
    this.#state = new SessionStateHolder(this.id)
    this.#adopt(native)
  }

  #adopt(native: NativeClient): void {
    this.#native = native
    const on = (event: 'connecting' | 'connect' | 'close', happened: () => void) =>
      native.on(event, () =>
        this.options.clock.defer(() => {
          if (native === this.#native) happened()
        }),
      )
    const disconnected = () => {
      this.#state.change('SUSPENDED')
      this.#drop(native)
    }
    on('connecting', disconnected)
    on('connect', () => this.#state.change('CONNECTED'))
    on('close', () => this.#end()) // Expired.
    // Since it said that it is connected.
    if (native.state !== CONNECTED_STATE) this.options.clock.defer(() => native === this.#native && disconnected())
  }

  #drop(native: NativeClient): void {
    if (native !== this.#native || native.state === CONNECTED_STATE) return // It was faster; closing it now would end the session.
    this.#native = undefined
    native.close()
    if (!this.#closing) void this.#reconnect()
  }

  async #reconnect(): Promise<void> {
    while (this.state === 'SUSPENDED') {
      try {
        const native = await this.options.reattach({ id: this.id, password: this.password })
        if (this.state === 'SUSPENDED') this.#resume(native)
        else native.close() // Closed meanwhile: this ends the session at the server, too.
      } catch (error) {
        if (isFlottError(error, 'ZOOKEEPER_SESSION_EXPIRED')) this.#end()
        else await sleep(this.options.clock, this.options.reconnectWaitMs)
      }
    }
  }

  #resume(native: NativeClient): void {
    this.#adopt(native)
    this.#state.change('CONNECTED')
    for (const fire of [...this.#watches]) fire()
  }

  #end(): void {
    this.#native = undefined
    this.#watches.clear()
    this.#state.change('LOST')
  }

  get state(): SessionState {
    return this.#state.value
  }
  onState(listener: (state: SessionState) => void): () => void {
    return this.#state.on(listener)
  }
  whenConnected(): Promise<void> {
    return this.#state.whenConnected()
  }

  async create(path: string, data: Uint8Array, kind: NodeKind): Promise<string> {
    const [created] = await this.#call<[string]>(`create of ${path}`, (native, done) =>
      native.a_create(path, Buffer.from(data), FLAGS[kind], done),
    )
    if (this.options.acl === 'creator') await this.#protect(created)
    return created
  }

  /** The client always creates with the open ACL; until this is done the parent's ACL protects the node from removal. */
  async #protect(path: string): Promise<void> {
    try {
      await this.#call(`protection of ${path}`, (native, done) => native.a_set_acl(path, -1, CREATOR_ACL, done))
    } catch (error) {
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      await this.whenConnected()
      await this.#protect(path)
    }
  }

  async get(path: string, onChange?: () => void): Promise<ZooKeeperNode | undefined> {
    for (;;) {
      try {
        const [stat, data] = await this.#read<[Stat, Buffer | null]>(`read of ${path}`, onChange, (native, watcher, done) =>
          watcher ? native.aw_get(path, watcher, done) : native.a_get(path, false, done),
        )
        return {
          data: data ?? Buffer.alloc(0),
          version: stat.version,
          czxid: stat.czxid.toString(16).padStart(16, '0'),
          ephemeralOwner: stat.ephemeralOwner === '0' ? undefined : stat.ephemeralOwner,
        }
      } catch (error) {
        if (!isFlottError(error, 'FACT_NOT_FOUND')) throw error
        if (!onChange || !(await this.#watchCreation(path, onChange))) return undefined
      }
    }
  }

  /** True when the node exists by now; then the watch is off. */
  async #watchCreation(path: string, onChange: () => void): Promise<boolean> {
    const watch = this.#arm(onChange)
    try {
      await this.#call<[Stat]>(`watch of ${path}`, (native, done) => native.aw_exists(path, watch.watcher(), done))
      watch.off()
      return true
    } catch (error) {
      if (isFlottError(error, 'FACT_NOT_FOUND')) return false
      watch.off()
      throw error
    }
  }

  async children(path: string, onChange?: () => void): Promise<readonly string[]> {
    const [names] = await this.#read<[string[]]>(`list of ${path}`, onChange, (native, watcher, done) =>
      watcher ? native.aw_get_children(path, watcher, done) : native.a_get_children(path, false, done),
    )
    return names
  }

  async set(path: string, data: Uint8Array, version: number): Promise<number> {
    const [stat] = await this.#call<[Stat]>(`set of ${path}`, (native, done) => native.a_set(path, Buffer.from(data), version, done))
    return stat.version
  }

  async remove(path: string, version: number): Promise<void> {
    await this.#call(`removal of ${path}`, (native, done) => native.a_delete_(path, version, done))
  }

  async sync(path: string): Promise<void> {
    await this.#call(`sync of ${path}`, (native, done) => native.a_sync(path, done))
  }

  /** Deferred, since the library does not tell the server when it is closed from within one of its callbacks. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.options.clock.defer(() => {
        const native = this.#native
        this.#end()
        native?.close()
        resolve()
      })
    })
    return this.#closing
  }

  /** A read whose watch is on only if it succeeds. */
  async #read<A extends unknown[]>(
    doing: string,
    onChange: (() => void) | undefined,
    start: (native: NativeClient, watcher: Watcher | undefined, done: Done<A>) => number,
  ): Promise<A> {
    const watch = onChange && this.#arm(onChange)
    try {
      return await this.#call<A>(doing, (native, done) => start(native, watch?.watcher(), done))
    } catch (error) {
      watch?.off()
      throw error
    }
  }

  /** Watchers are also told of the session's events, any number of times; `onChange` hears one change. */
  #arm(onChange: () => void): { watcher(): Watcher; off(): void } {
    const fire = () =>
      this.options.clock.defer(() => {
        if (this.#watches.delete(fire)) onChange()
      })
    this.#watches.add(fire)
    return {
      watcher: () => (type) => {
        if (type !== SESSION_EVENT) fire()
      },
      off: () => void this.#watches.delete(fire),
    }
  }

  #call<A extends unknown[]>(doing: string, start: (native: NativeClient, done: Done<A>) => number): Promise<A> {
    if (this.#closing || this.state === 'LOST') return Promise.reject(this.#state.lost())
    const native = this.#native
    if (!native) return Promise.reject(new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: no connection`))
    return new Promise<A>((resolve, reject) => {
      const timer = this.options.clock.setTimer(this.timeoutMs, () =>
        reject(new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: no answer within ${this.timeoutMs} ms`)),
      )
      const settle = (rc: number, text: string, answer?: A) =>
        this.options.clock.defer(() => {
          timer.cancel()
          settled(rc, text, answer)
        })
      const settled = (rc: number, text: string, answer?: A) => {
        if (rc === RC.OK && answer) resolve(answer)
        else if (rc === RC.CLOSING && this.state !== 'LOST')
          reject(new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: the connection is dropped`))
        else reject(errorOf(rc, doing, text))
      }
      const refused = start(native, (rc, text, ...answer) => settle(rc, text, answer))
      if (refused !== RC.OK) settle(refused, 'not sent')
    })
  }
}
