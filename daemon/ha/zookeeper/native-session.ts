import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { ClientHandle } from './client-handle.js'
import type { Answer, HandleState, Method } from './client-protocol.js'
import { errorOf, RC } from './result-codes.js'
import { SessionStateHolder } from './session-state.js'
import type { NodeKind, SessionState, ZooKeeperNode, ZooKeeperSession } from './zookeeper.js'

interface Stat {
  readonly czxid: number
  readonly version: number
  /** Hexadecimal; '0' where there is none. */
  readonly ephemeralOwner: string
}

const FLAGS: Record<NodeKind, number> = { persistent: 0, ephemeral: 1, 'ephemeral-sequential': 3 }
const CREATOR_ACL = [{ perms: 31, scheme: 'auth', auth: '' }]

export interface NativeSessionOptions {
  readonly clock: Clock
  readonly acl: 'open' | 'creator'
  /** Between two tries to connect again. */
  readonly reconnectWaitMs: number
  /** A new, connected and authorized handle of this session. ZOOKEEPER_SESSION_EXPIRED, ZOOKEEPER_UNAVAILABLE. */
  reattach(credentials: { readonly id: string; readonly password: string }): Promise<ClientHandle>
}

/** One session over handles of the library: one that has lost its connection is dropped, and the session is attached to a new one. */
export class NativeSession implements ZooKeeperSession {
  readonly id: string
  readonly password: string
  readonly timeoutMs: number
  readonly #state: SessionStateHolder
  /** Undefined between two connections. */
  #handle: ClientHandle | undefined
  #reconnecting = false
  /** Armed watches. A new handle knows nothing of them: they all fire, since each may have missed its change. */
  readonly #watches = new Set<() => void>()
  #closing: Promise<void> | undefined

  /** `handle` is connected, or was a moment ago. */
  constructor(
    handle: ClientHandle,
    private readonly options: NativeSessionOptions,
  ) {
    const { id, password, timeoutMs } = handle.session!
    this.id = id
    this.password = password
    this.timeoutMs = timeoutMs
    this.#state = new SessionStateHolder(id)
    this.#adopt(handle)
  }

  #adopt(handle: ClientHandle): void {
    this.#handle = handle
    handle.onState = (state) => {
      if (handle === this.#handle) this.#handleIs(state)
    }
    if (handle.state !== 'CONNECTED') this.#handleIs(handle.state)
  }
  #handleIs(state: HandleState): void {
    if (state === 'CONNECTED') this.#state.change('CONNECTED')
    else if (state === 'EXPIRED') this.#end()
    else {
      if (state === 'DROPPED') this.#handle = undefined
      this.#state.change('SUSPENDED')
      if (state === 'DROPPED') void this.#reconnect()
    }
  }

  async #reconnect(): Promise<void> {
    if (this.#reconnecting) return
    this.#reconnecting = true
    while (this.state === 'SUSPENDED' && !this.#handle) {
      try {
        const handle = await this.options.reattach({ id: this.id, password: this.password })
        if (this.state === 'SUSPENDED') this.#resume(handle)
        else await handle.close() // Closed meanwhile: this ends the session at the server, too.
      } catch (error) {
        if (isFlottError(error, 'ZOOKEEPER_SESSION_EXPIRED')) this.#end()
        else await sleep(this.options.clock, this.options.reconnectWaitMs)
      }
    }
    this.#reconnecting = false
  }

  #resume(handle: ClientHandle): void {
    this.#state.change('CONNECTED')
    this.#adopt(handle)
    for (const fire of [...this.#watches]) fire()
  }

  #end(): void {
    this.#handle = undefined
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
    const [created] = await this.#call<[string]>(`create of ${path}`, 'a_create', [path, new Uint8Array(data), FLAGS[kind]])
    if (this.options.acl === 'creator') await this.#protect(created)
    return created
  }

  /** The client always creates with the open ACL; until this is done the parent's ACL protects the node from removal. */
  async #protect(path: string): Promise<void> {
    try {
      await this.#call(`protection of ${path}`, 'a_set_acl', [path, -1, CREATOR_ACL])
    } catch (error) {
      if (!isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) throw error
      await this.whenConnected()
      await this.#protect(path)
    }
  }

  async get(path: string, onChange?: () => void): Promise<ZooKeeperNode | undefined> {
    for (;;) {
      try {
        const [stat, data] = await this.#read<[Stat, Uint8Array<ArrayBuffer> | null]>(`read of ${path}`, path, 'a_get', 'aw_get', onChange)
        return {
          data: data ? Buffer.from(data.buffer) : Buffer.alloc(0),
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
      await this.#call<[Stat]>(`watch of ${path}`, 'aw_exists', [path], watch.fire)
      watch.off()
      return true
    } catch (error) {
      if (isFlottError(error, 'FACT_NOT_FOUND')) return false
      watch.off()
      throw error
    }
  }

  async children(path: string, onChange?: () => void): Promise<readonly string[]> {
    const [names] = await this.#read<[string[]]>(`list of ${path}`, path, 'a_get_children', 'aw_get_children', onChange)
    return names
  }

  async set(path: string, data: Uint8Array, version: number): Promise<number> {
    const [stat] = await this.#call<[Stat]>(`set of ${path}`, 'a_set', [path, new Uint8Array(data), version])
    return stat.version
  }

  async remove(path: string, version: number): Promise<void> {
    await this.#call(`removal of ${path}`, 'a_delete_', [path, version])
  }

  async sync(path: string): Promise<void> {
    await this.#call(`sync of ${path}`, 'a_sync', [path])
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }
  async #close(): Promise<void> {
    const handle = this.#handle
    this.#end()
    await handle?.close()
  }

  /** With `onChange`, a read whose watch is on only if it succeeds. */
  async #read<A extends readonly unknown[]>(
    doing: string,
    path: string,
    plain: Method,
    watching: Method,
    onChange: (() => void) | undefined,
  ): Promise<A> {
    if (!onChange) return this.#call<A>(doing, plain, [path, false])
    const watch = this.#arm(onChange)
    try {
      return await this.#call<A>(doing, watching, [path], watch.fire)
    } catch (error) {
      watch.off()
      throw error
    }
  }

  #arm(onChange: () => void): { fire(): void; off(): void } {
    const fire = () => {
      if (this.#watches.delete(fire)) onChange()
    }
    this.#watches.add(fire)
    return { fire, off: () => void this.#watches.delete(fire) }
  }

  async #call<A extends readonly unknown[]>(doing: string, method: Method, args: readonly unknown[], onChange?: () => void): Promise<A> {
    if (this.#closing || this.#isOver()) throw this.#state.lost()
    const handle = this.#handle
    if (!handle) throw new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: no connection`)
    const { rc, text, values } = await this.#inTime(doing, handle.call(method, args, onChange))
    if (rc === RC.OK) return values as unknown as A
    if (rc === RC.CLOSING && !this.#isOver()) throw new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: the connection is dropped`)
    throw errorOf(rc, doing, text)
  }
  #isOver(): boolean {
    return this.state === 'LOST'
  }
  /** A server that has agreed on the session's time-out answers within it, or is gone. */
  #inTime(doing: string, answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = this.options.clock.setTimer(this.timeoutMs, () =>
        reject(new FlottError('ZOOKEEPER_UNAVAILABLE', `${doing}: no answer within ${this.timeoutMs} ms`)),
      )
      void answer.then((answered) => {
        timer.cancel()
        resolve(answered)
      })
    })
  }
}
