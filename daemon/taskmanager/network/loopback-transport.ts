/**
 * Data sockets between processes of the loopback network: bytes arrive in order after the delay between the two, or the connection
 * breaks. What tears RPC connections (crashes, cuts, lost messages) tears these.
 */
import { FlottError } from '#core/errors.js'
import type { LoopbackLink, LoopbackNetwork, LoopbackProcess } from '#rpc/loopback.js'
import type { DataSocket, DataTransport, SocketHandlers } from './transport.js'

interface Listener {
  readonly process: LoopbackProcess
  readonly accept: (socket: DataSocket) => SocketHandlers
  readonly links: Set<SocketPair>
}

/** The data ports of one loopback network. */
export class LoopbackDataPorts {
  readonly #listeners = new Map<string, Listener>()
  #nextPort = 1

  constructor(readonly network: LoopbackNetwork) {}

  transport(process: LoopbackProcess): DataTransport {
    return new LoopbackTransport(this, process)
  }
  /** Port 0 takes a free one. */
  listen(host: string, port: number, listener: Listener): number {
    const bound = port === 0 ? this.#nextPort++ : port
    const address = `${host}:${bound}`
    if (this.#listeners.get(address)?.process.alive) throw new FlottError('STARTUP_FAILED', `${address} is taken`)
    this.#listeners.set(address, listener)
    return bound
  }
  at(host: string, port: number): Listener | undefined {
    const listener = this.#listeners.get(`${host}:${port}`)
    return listener?.process.alive ? listener : undefined
  }
  close(listener: Listener): void {
    for (const [address, known] of this.#listeners) if (known === listener) this.#listeners.delete(address)
  }
}

class LoopbackTransport implements DataTransport {
  #listener: Listener | undefined

  constructor(
    private readonly ports: LoopbackDataPorts,
    private readonly process: LoopbackProcess,
  ) {}

  async listen(host: string, port: number, accept: (socket: DataSocket) => SocketHandlers): Promise<number> {
    this.#listener = { process: this.process, accept, links: new Set() }
    return this.ports.listen(host, port, this.#listener)
  }
  connect(host: string, port: number, handlers: SocketHandlers): DataSocket {
    const pair = new SocketPair(this.ports, this.process, { host, port }, handlers)
    pair.dial()
    return pair.connecting
  }
  async stop(): Promise<void> {
    if (!this.#listener) return
    this.ports.close(this.#listener)
    for (const pair of [...this.#listener.links]) pair.break('the listener stops', this.process.address)
  }
}

/** The end of a connection at one process. */
class End implements DataSocket {
  peer: End | undefined
  handlers: SocketHandlers | undefined
  bufferedBytes = 0
  /** Time before which nothing may arrive here, which keeps the order. */
  dueMs = 0
  readonly arriving: (() => void)[] = []
  closed = false

  constructor(
    readonly process: LoopbackProcess,
    readonly remoteAddress: string,
    private readonly pair: SocketPair,
  ) {}
  get writable(): boolean {
    return !this.closed && this.peer !== undefined
  }
  write(bytes: Uint8Array): void {
    if (this.writable) this.pair.send(this, Uint8Array.from(bytes))
  }
  cork(): void {}
  uncork(): void {}
  end(): void {
    this.pair.break('ended by the peer', this.process.address)
  }
  destroy(cause?: Error): void {
    this.pair.break(cause?.message ?? 'destroyed', this.process.address, cause)
  }
  close(cause: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.handlers?.onClose(cause)
  }
}

class SocketPair implements LoopbackLink {
  readonly connecting: End
  #accepted: End | undefined
  #listener: Listener | undefined
  #forget: () => void = () => {}
  #broken = false
  lossy = false

  constructor(
    private readonly ports: LoopbackDataPorts,
    process: LoopbackProcess,
    private readonly to: { readonly host: string; readonly port: number },
    handlers: SocketHandlers,
  ) {
    this.connecting = new End(process, `${to.host}:${to.port}`, this)
    this.connecting.handlers = handlers
  }
  joins(address: string): boolean {
    return this.connecting.process.address === address || this.#accepted?.process.address === address
  }

  /** To nobody it is refused; over a cut way nothing is heard, and the dialler gives up by itself. */
  dial(): void {
    const { network } = this.ports
    const { process } = this.connecting
    const target = this.ports.at(this.to.host, this.to.port)
    const delayMs = target ? network.faults.delayMs(process.address, target.process.address) : 0
    const arrive = () => {
      const listener = this.ports.at(this.to.host, this.to.port)
      if (this.#broken || !process.alive) return
      if (!listener) return void this.break('connection refused', undefined, refused())
      const { address } = listener.process
      if (!network.isCut(process.address, address) && !network.isCut(address, process.address)) this.#accept(listener)
    }
    network.after(delayMs, arrive, process)
  }
  #accept(listener: Listener): void {
    const accepted = new End(listener.process, this.connecting.process.address, this)
    this.#listener = listener
    this.#accepted = accepted
    this.connecting.peer = accepted
    accepted.peer = this.connecting
    listener.links.add(this)
    this.#forget = this.ports.network.addLink(this)
    accepted.handlers = listener.accept(accepted)
    this.connecting.handlers?.onConnect?.()
  }

  send(from: End, bytes: Uint8Array): void {
    const to = from.peer!
    const { faults } = this.ports.network
    if (this.#broken) return
    if (faults.drops(from.process.address, to.process.address)) return void this.break('bytes were lost', undefined)
    from.bufferedBytes += bytes.length
    this.#arrive(from.process, to, () => {
      from.bufferedBytes -= bytes.length
      if (!to.closed) to.handlers?.onBytes(bytes)
      if (!from.closed) from.handlers?.onDrain()
    })
  }

  break(reason: string, at: string | undefined, cause?: Error): void {
    if (this.#broken) return
    this.#broken = true
    this.#forget()
    this.#listener?.links.delete(this)
    const { network } = this.ports
    for (const end of [this.connecting, this.#accepted]) {
      if (!end) continue
      if (end.process.address === at) network.after(0, () => end.process.alive && end.close(cause), end.process)
      else this.#arrive(end.peer?.process ?? end.process, end, () => end.close(cause ?? new Error(reason)))
    }
  }

  /** In the order of sending, whatever timer fires first. */
  #arrive(from: LoopbackProcess, to: End, arrive: () => void): void {
    const { network } = this.ports
    if (network.isCut(from.address, to.process.address)) {
      this.lossy = true
      return
    }
    const now = network.clock.monotonicMs()
    to.dueMs = Math.max(to.dueMs, now + network.faults.delayMs(from.address, to.process.address))
    to.arriving.push(arrive)
    const next = () => {
      const oldest = to.arriving.shift()
      if (to.process.alive) oldest?.()
    }
    network.after(to.dueMs - now, next, to.process)
  }
}

function refused(): Error {
  return Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
}
