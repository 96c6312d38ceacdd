import { FlottError } from '#core/errors.js'
import { SessionStateHolder } from '../zookeeper/session-state.js'
import type { NodeKind, SessionState, ZooKeeperNode, ZooKeeperSession } from '../zookeeper/zookeeper.js'
import type { SimulatedServer } from './simulated-server.js'
import type { SimulatedTree } from './simulated-tree.js'

/** What a session needs of its ensemble. */
export interface Wire {
  /** Of the leader, which takes all writes. */
  readonly tree: SimulatedTree
  /** Which one the session is connected to now. */
  pickServer(): SimulatedServer
  /** Calls after the latency of one direction. */
  later(fire: () => void): void
  /** The client closes. */
  end(session: SimulatedSession): void
  /** Whether the ensemble is to lose the answer of this write, after applying it. */
  losesAnswer(session: SimulatedSession): boolean
}

interface Request {
  readonly write: boolean
  readonly apply: () => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/**
 * Both ends of one session. Requests arrive, and answers and watch events return, in order. When the connection is cut, what has not
 * arrived is dropped, what has been applied keeps its effect, and the client is told of neither: ZOOKEEPER_UNAVAILABLE.
 */
export class SimulatedSession implements ZooKeeperSession {
  readonly password = '00'.repeat(16)
  readonly #state: SessionStateHolder
  readonly #outstanding = new Set<Request>()
  readonly #inbound: Request[] = []
  readonly #outbound: (() => void)[] = []
  /** Watch events while the connection is cut; delivered when it is back. */
  readonly #missed: (() => void)[] = []
  #server: SimulatedServer
  /** The newest transaction that an answer has shown. */
  #seen = 0
  /** Connections are numbered: what belongs to an earlier one does not arrive. */
  #connection = 1
  connected = true
  /** The process is dead or stopped: its code hears nothing. */
  mute = false
  /** The server has ended the session. */
  ended = false

  constructor(
    readonly id: string,
    readonly client: string,
    readonly timeoutMs: number,
    private readonly wire: Wire,
  ) {
    this.#state = new SessionStateHolder(id)
    this.#server = wire.pickServer()
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

  create(path: string, data: Uint8Array, kind: NodeKind): Promise<string> {
    return this.#write((tree) => tree.create(path, data, kind, this.id))
  }
  get(path: string, onChange?: () => void): Promise<ZooKeeperNode | undefined> {
    return this.#request(false, () => this.#server.tree.get(path, this.#watch(onChange)))
  }
  children(path: string, onChange?: () => void): Promise<readonly string[]> {
    return this.#request(false, () => this.#server.tree.children(path, this.#watch(onChange)))
  }
  set(path: string, data: Uint8Array, version: number): Promise<number> {
    return this.#write((tree) => tree.set(path, data, version))
  }
  remove(path: string, version: number): Promise<void> {
    return this.#write((tree) => tree.remove(path, version))
  }
  sync(): Promise<void> {
    return this.#request(false, () => this.#server.catchUp())
  }
  /** Its own server has it when it is answered. */
  #write<T>(apply: (tree: SimulatedTree) => T): Promise<T> {
    return this.#request(true, () => {
      try {
        return apply(this.wire.tree)
      } finally {
        this.#server.catchUp()
      }
    })
  }
  async close(): Promise<void> {
    if (this.state === 'LOST') return
    if (this.connected) await this.#request(false, () => this.wire.end(this)).catch(() => {})
    this.#state.change('LOST')
    this.#fail(this.#state.lost())
  }

  /** The connection is cut. `told`: whether the client notices. */
  cut(told: boolean): void {
    if (!this.connected) return
    this.connected = false
    this.#connection++
    this.#inbound.length = 0
    this.#outbound.length = 0
    if (told) this.notice()
  }

  /** The client sees that its connection is cut. */
  notice(): void {
    if (this.mute) return
    this.#state.change('SUSPENDED')
    this.#fail(new FlottError('ZOOKEEPER_UNAVAILABLE', `session ${this.id}: connection lost`))
  }

  /** A new connection: the client hears whether its session lives, then what it missed. */
  reconnect(): void {
    if (this.connected || this.mute) return
    this.notice()
    if (this.ended) {
      this.#state.change('LOST')
      return
    }
    this.connected = true
    // Maybe another server, which knows nothing of its watches, and takes only who has not seen more than it has.
    const watches = this.#server.tree.takeWatches(this.id)
    this.#server = this.wire.pickServer()
    this.#server.catchUp(this.#seen)
    this.#state.change('CONNECTED')
    for (const { fire } of watches) fire()
    for (const event of this.#missed.splice(0)) this.#send(event)
  }

  /** The server has ended the session. A connected client hears of it. */
  endedByServer(): void {
    this.ended = true
    if (!this.connected || this.mute) return
    const connection = this.#connection
    this.wire.later(() => {
      if (connection !== this.#connection || this.mute) return
      this.#state.change('LOST')
      this.#fail(this.#state.lost())
    })
  }

  #watch(onChange?: () => void) {
    if (!onChange) return undefined
    return { session: this.id, fire: () => this.ended || (this.connected ? this.#send(onChange) : void this.#missed.push(onChange)) }
  }

  #request<T>(write: boolean, apply: () => T): Promise<T> {
    if (this.state === 'LOST') return Promise.reject(this.#state.lost())
    if (this.state === 'SUSPENDED') return Promise.reject(new FlottError('ZOOKEEPER_UNAVAILABLE', `session ${this.id}: no connection`))
    return new Promise<T>((resolve, reject) => {
      const request: Request = { write, apply, resolve, reject }
      this.#outstanding.add(request)
      if (!this.connected) return // The client has not noticed yet: nothing arrives.
      const connection = this.#connection
      this.#inbound.push(request)
      this.wire.later(() => {
        const next = connection === this.#connection ? this.#inbound.shift() : undefined // Timers may tie; the queue keeps the order.
        if (next) this.#arrived(next)
      })
    })
  }

  #arrived(request: Request): void {
    let answer: () => void
    try {
      if (this.ended) throw this.#state.lost()
      const value = request.apply() as never
      answer = () => request.resolve(value)
    } catch (error) {
      answer = () => request.reject(error)
    }
    if (request.write && this.wire.losesAnswer(this)) return
    const seen = this.#server.tree.zxid
    this.#send(() => {
      this.#seen = Math.max(this.#seen, seen)
      this.#outstanding.delete(request)
      answer()
    })
  }

  #send(fire: () => void): void {
    const connection = this.#connection
    this.#outbound.push(fire)
    this.wire.later(() => {
      const next = connection === this.#connection ? this.#outbound.shift() : undefined
      if (next && !this.mute) next()
    })
  }

  #fail(error: FlottError): void {
    const failed = [...this.#outstanding]
    this.#outstanding.clear()
    for (const request of failed) request.reject(error)
  }
}
