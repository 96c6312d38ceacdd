import type { Clock, Timer } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { between, pick, type Random } from '#core/random.js'
import type { ZooKeeper } from '../zookeeper/zookeeper.js'
import { SimulatedFollower, type SimulatedServer } from './simulated-server.js'
import { SimulatedSession, type Wire } from './simulated-session.js'
import { SimulatedTree } from './simulated-tree.js'

export interface SimulatedZooKeeperOptions {
  readonly sessionTimeoutMs: number
  /** Of one direction. */
  readonly latencyMs: readonly [number, number]
  /** Beside the server that leads. */
  readonly followers?: number
}

/**
 * An ensemble in this process, driven by the given clock and chance alone: the same seed is the same history. It never loses what it
 * acknowledged, and its followers have it later; what fails are connections, sessions and processes, by the switches below.
 */
export class SimulatedZooKeeper {
  readonly tree = new SimulatedTree()
  readonly #sessions = new Map<string, SimulatedSession>()
  readonly #expiry = new Map<string, Timer>()
  readonly #cut = new Set<string>()
  readonly #mute = new Set<string>()
  readonly #held: { readonly client: string; readonly act: () => void }[] = []
  readonly #losing = new Map<string, number>()
  #nextSession = 0x1000
  readonly #servers: readonly SimulatedServer[]
  /** How much later than the leader a follower has a transaction. */
  lagMs: readonly [number, number] = [0, 5]
  #down = false
  #isolated = false

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly options: SimulatedZooKeeperOptions = { sessionTimeoutMs: 6_000, latencyMs: [0, 2] },
  ) {
    const leader: SimulatedServer = { tree: this.tree, catchUp: () => {} }
    const follower = () => new SimulatedFollower(this.tree, clock, random, () => this.lagMs)
    this.#servers = [leader, ...Array.from({ length: options.followers ?? 0 }, follower)]
  }

  /** ZooKeeper as the process `client` sees it. */
  client(client: string): ZooKeeper {
    return {
      open: () =>
        new Promise((resolve, reject) => {
          const attempt = () => {
            if (!this.#isReachable(client)) return reject(new FlottError('ZOOKEEPER_UNAVAILABLE', 'no server answers'))
            const session = this.#open(client)
            this.#later(() => this.#asProcess(client, () => resolve(session)))
          }
          this.#later(() => this.#asProcess(client, attempt))
        }),
    }
  }

  /** What a stopped process would do waits until it is continued. */
  #asProcess(client: string, act: () => void): void {
    if (this.#mute.has(client)) this.#held.push({ client, act })
    else act()
  }

  #open(client: string): SimulatedSession {
    const wire: Wire = {
      tree: this.tree,
      pickServer: () => pick(this.random, this.#servers),
      later: (fire) => this.#later(fire),
      end: (session) => this.#end(session),
      losesAnswer: (session) => this.#losesAnswer(session),
    }
    const session = new SimulatedSession((this.#nextSession++).toString(16), client, this.options.sessionTimeoutMs, wire)
    this.#sessions.set(session.id, session)
    return session
  }

  /** The client's connections break, and it notices. Its sessions live on for their time-out. */
  suspend(client: string): void {
    this.#cut.add(client)
    for (const session of this.#of(client)) this.#disconnect(session, true)
  }
  /** The client can connect again; a session that has expired meanwhile is LOST. */
  resume(client: string): void {
    this.#cut.delete(client)
    this.#reconnect(client)
  }
  /** The sessions end now, whatever the connection does. A connected client hears of it. */
  expire(client: string): void {
    for (const session of this.#of(client)) this.#end(session)
  }
  /** The next `count` writes of the client are applied, then the connection breaks before the answer; the client connects again at once. */
  loseAnswers(client: string, count = 1): void {
    this.#losing.set(client, (this.#losing.get(client) ?? 0) + count)
  }
  /** The process is dead: its code hears nothing any more, its sessions expire. */
  crash(client: string): void {
    this.#mute.add(client)
    for (const session of this.#of(client)) {
      session.mute = true
      this.#disconnect(session, false)
    }
  }
  /** What a supervisor does for a dead process: ends its sessions at once. */
  release(client: string): void {
    this.crash(client)
    for (const session of this.#of(client)) this.#end(session)
    this.#forget(client)
  }
  /** The process is stopped (SIGSTOP): like `crash`, but it can be continued, and then finds what has become of its sessions. */
  pause(client: string): void {
    this.crash(client)
  }
  continue(client: string): void {
    this.#mute.delete(client)
    for (const session of this.#sessions.values()) if (session.client === client) session.mute = false
    this.#reconnect(client)
    for (const { act } of this.#takeHeld(client)) act()
  }
  /** A dead process's name is free for its successor. */
  restart(client: string): void {
    this.#forget(client)
    this.#takeHeld(client)
    this.#mute.delete(client)
    this.#cut.delete(client)
  }
  /** The whole ensemble stops; nothing is lost, no session expires meanwhile. */
  stop(): void {
    this.#down = true
    for (const session of this.#sessions.values()) {
      this.#disconnect(session, true)
      this.#expiry.get(session.id)?.cancel()
    }
  }
  /** It runs again: clients reconnect, and those who do not expire from now on. */
  start(): void {
    this.#down = false
    for (const session of this.#sessions.values()) if (!session.ended) this.#expireLater(session)
    this.#reconnectAll()
  }
  /** Nobody reaches the ensemble, which goes on: sessions expire. */
  isolate(): void {
    this.#isolated = true
    for (const session of this.#sessions.values()) this.#disconnect(session, true)
  }
  rejoin(): void {
    this.#isolated = false
    this.#reconnectAll()
  }

  #isReachable(client: string): boolean {
    return !this.#down && !this.#isolated && !this.#cut.has(client)
  }
  #reconnectAll(): void {
    for (const client of new Set([...this.#sessions.values()].map((s) => s.client))) this.#reconnect(client)
  }

  #of(client: string): SimulatedSession[] {
    return [...this.#sessions.values()].filter((s) => s.client === client && !s.ended)
  }

  #forget(client: string): void {
    for (const [id, session] of this.#sessions) {
      if (session.client !== client || !session.mute) continue
      if (session.ended) this.#sessions.delete(id)
    }
  }

  #takeHeld(client: string) {
    const held = this.#held.filter((h) => h.client === client)
    this.#held.splice(0, this.#held.length, ...this.#held.filter((h) => h.client !== client))
    return held
  }

  #later(fire: () => void): void {
    const [from, to] = this.options.latencyMs
    this.clock.setTimer(between(this.random, from, to + 1), fire)
  }

  #disconnect(session: SimulatedSession, told: boolean): void {
    if (!session.connected) return
    session.cut(told)
    if (!this.#down) this.#expireLater(session)
  }

  #expireLater(session: SimulatedSession): void {
    this.#expiry.get(session.id)?.cancel()
    this.#expiry.set(
      session.id,
      this.clock.setTimer(session.timeoutMs, () => this.#end(session), { unref: true }),
    )
  }

  #reconnect(client: string): void {
    if (!this.#isReachable(client)) return
    for (const session of this.#sessions.values()) {
      if (session.client !== client || session.connected || session.mute || session.state === 'LOST') continue // Closed while it was cut: it expires.
      this.#later(() => {
        if (!this.#isReachable(client) || session.mute || session.state === 'LOST') return
        if (!session.ended) this.#expiry.get(session.id)?.cancel()
        session.reconnect()
        if (session.ended) this.#sessions.delete(session.id)
      })
    }
  }

  #end(session: SimulatedSession): void {
    if (session.ended) return
    this.#expiry.get(session.id)?.cancel()
    this.#expiry.delete(session.id)
    session.endedByServer()
    this.tree.endSession(session.id)
    if (session.connected) this.#sessions.delete(session.id)
  }

  #losesAnswer(session: SimulatedSession): boolean {
    const left = this.#losing.get(session.client) ?? 0
    if (left === 0) return false
    this.#losing.set(session.client, left - 1)
    this.#disconnect(session, true)
    this.#reconnect(session.client)
    return true
  }
}
