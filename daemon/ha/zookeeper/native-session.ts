import type { Clock } from '#core/clock.js'
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

/** One handle of the npm client, which is one session. An ended handle is never used again. */
export class NativeSession implements ZooKeeperSession {
  readonly id: string
  readonly password: string
  readonly timeoutMs: number
  readonly #state: SessionStateHolder
  #closing: Promise<void> | undefined

  constructor(
    private readonly native: NativeClient,
    private readonly options: { readonly clock: Clock; readonly acl: 'open' | 'creator' },
  ) {
    this.id = String(native.client_id)
    this.password = native.client_password
    this.timeoutMs = native.timeout
    this.#state = new SessionStateHolder(this.id)
    native.on('connecting', () => this.#state.change('SUSPENDED'))
    native.on('connect', () => this.#state.change('CONNECTED'))
    native.on('close', () => this.#state.change('LOST')) // Expired, or the client gave up.
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

  async authorize(scheme: string, auth: string): Promise<void> {
    await this.#call(`authorization by ${scheme}`, (done) => this.native.add_auth(scheme, auth, done))
  }

  async create(path: string, data: Uint8Array, kind: NodeKind): Promise<string> {
    const [created] = await this.#call<[string]>(`create of ${path}`, (done) =>
      this.native.a_create(path, Buffer.from(data), FLAGS[kind], done),
    )
    if (this.options.acl === 'creator') await this.#protect(created)
    return created
  }

  /** The client always creates with the open ACL; until this is done the parent's ACL protects the node from removal. */
  async #protect(path: string): Promise<void> {
    try {
      await this.#call(`protection of ${path}`, (done) => this.native.a_set_acl(path, -1, CREATOR_ACL, done))
    } catch (error) {
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      await this.whenConnected()
      await this.#protect(path)
    }
  }

  async get(path: string, onChange?: () => void): Promise<ZooKeeperNode | undefined> {
    for (;;) {
      try {
        const [stat, data] = await this.#call<[Stat, Buffer | null]>(`read of ${path}`, (done) =>
          onChange ? this.native.aw_get(path, watcher(onChange), done) : this.native.a_get(path, false, done),
        )
        return {
          data: data ?? Buffer.alloc(0),
          version: stat.version,
          czxid: stat.czxid.toString(16).padStart(16, '0'),
          ephemeralOwner: owner(stat),
        }
      } catch (error) {
        if (!isFlottError(error, 'FACT_NOT_FOUND')) throw error
        if (!onChange || !(await this.#watchCreation(path, onChange))) return undefined
      }
    }
  }

  /** True when the node exists by now. */
  async #watchCreation(path: string, onChange: () => void): Promise<boolean> {
    const watch = cancellable(onChange)
    try {
      await this.#call<[Stat]>(`watch of ${path}`, (done) => this.native.aw_exists(path, watcher(watch.fire), done))
      watch.cancel()
      return true
    } catch (error) {
      if (isFlottError(error, 'FACT_NOT_FOUND')) return false
      throw error
    }
  }

  async children(path: string, onChange?: () => void): Promise<readonly string[]> {
    const [names] = await this.#call<[string[]]>(`list of ${path}`, (done) =>
      onChange ? this.native.aw_get_children(path, watcher(onChange), done) : this.native.a_get_children(path, false, done),
    )
    return names
  }

  async set(path: string, data: Uint8Array, version: number): Promise<number> {
    const [stat] = await this.#call<[Stat]>(`set of ${path}`, (done) => this.native.a_set(path, Buffer.from(data), version, done))
    return stat.version
  }

  async remove(path: string, version: number): Promise<void> {
    await this.#call(`removal of ${path}`, (done) => this.native.a_delete_(path, version, done))
  }

  async sync(path: string): Promise<void> {
    await this.#call(`sync of ${path}`, (done) => this.native.a_sync(path, done))
  }

  /** Deferred, since the library does not tell the server when it is closed from within one of its callbacks. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.options.clock.defer(() => {
        this.native.close()
        this.#state.change('LOST')
        resolve()
      })
    })
    return this.#closing
  }

  #call<A extends unknown[]>(doing: string, start: (done: Done<A>) => number): Promise<A> {
    if (this.#closing || this.state === 'LOST') return Promise.reject(this.#state.lost())
    return new Promise<A>((resolve, reject) => {
      const timer = this.options.clock.setTimer(this.timeoutMs, () =>
        reject(new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: no answer within ${this.timeoutMs} ms`)),
      )
      const settle: Done<A> = (rc, text, ...answer) => {
        timer.cancel()
        if (rc === RC.OK) resolve(answer)
        else reject(errorOf(rc, doing, text))
      }
      const refused = start((rc, text, ...answer) => settle(rc, text, ...answer))
      if (refused !== RC.OK) settle(refused, 'not sent', ...([] as unknown as A))
    })
  }
}

/** Watchers are also told of the session's events, any number of times; `onChange` hears the one change only. */
function watcher(onChange: () => void): Watcher {
  let fired = false
  return (type) => {
    if (type === SESSION_EVENT || fired) return
    fired = true
    onChange()
  }
}

function cancellable(onChange: () => void): { fire: () => void; cancel: () => void } {
  let cancelled = false
  return {
    fire: () => {
      if (!cancelled) onChange()
    },
    cancel: () => {
      cancelled = true
    },
  }
}

function owner(stat: Stat): string | undefined {
  return stat.ephemeralOwner === '0' ? undefined : stat.ephemeralOwner
}
