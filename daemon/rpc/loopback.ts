/**
 * Processes in one thread, linked as over a network: the same calls, errors and order as over TCP, with payloads structured-cloned. Time
 * and faults come from outside, so that a seed is a whole history. What TCP promises holds: a connection delivers in order or breaks;
 * nothing is delivered twice.
 */

import { crc32 } from 'node:zlib'
import type { Clock } from '#core/clock.js'
import { type Epoch, HighestEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { BlobContent, BlobInfo, BlobStore, BlobTransfer } from '#protocol/ha/blobs.js'
import { Endpoints } from './endpoint-registry.js'
import { PeerConnection, type RpcMessage } from './peer-connection.js'
import type { RpcConnection, RpcNetwork } from './rpc.js'

/** Asked for each message, from address to address. */
export interface LoopbackFaults {
  /** Time on the way; 0 is the next turn. */
  delayMs(from: string, to: string): number
  /** The message is lost, and with it the connection: both ends see it closed. */
  drops(from: string, to: string): boolean
}
/** A connection of any kind between two processes, so that crashes and cuts reach it. */
export interface LoopbackLink {
  joins(address: string): boolean
  /** Something vanished in a cut. */
  readonly lossy: boolean
  /** Both ends learn it, except the one at the address: it has closed by itself, or is no more. */
  break(reason: string, at: string | undefined): void
}
const NO_FAULTS: LoopbackFaults = { delayMs: () => 0, drops: () => false }
const DIAL_TIMEOUT_MS = 5_000
/** As in BlobTransfer over HTTP: how long a transfer may stand still. */
const STALL_MS = 30_000

export class LoopbackNetwork {
  readonly #processes = new Map<string, LoopbackProcess>()
  readonly #links = new Set<LoopbackLink>()
  readonly #cuts = new Set<string>()

  constructor(
    readonly clock: Clock,
    readonly faults: LoopbackFaults = NO_FAULTS,
  ) {}

  /**
   * A process that can be dialled at the address until it crashes. Its successor may take the same address. What arrives there arrives
   * by its clock: while that one stands still, messages wait.
   */
  process(address: string, seen = new HighestEpoch(), clock = this.clock): LoopbackProcess {
    if (this.#processes.has(address)) throw new Error(`${address} is taken`)
    const process = new LoopbackProcess(address, this, seen, clock)
    this.#processes.set(address, process)
    return process
  }
  at(address: string): LoopbackProcess | undefined {
    return this.#processes.get(address)
  }
  /** The process is gone at once; peers see their connections closed after the usual delay. Nothing of it is delivered any more. */
  crash(address: string, reason = 'the process is gone'): void {
    this.#processes.delete(address)
    for (const link of [...this.#links]) if (link.joins(address)) link.break(reason, address)
  }
  /** From now on what the two send each other vanishes, in silence. */
  cut(a: string, b: string): void {
    this.cutOneWay(a, b)
    this.cutOneWay(b, a)
  }
  /** What goes the other way arrives. */
  cutOneWay(from: string, to: string): void {
    this.#cuts.add(way(from, to))
  }
  /** New messages arrive again, both ways; connections that lost one break. */
  heal(a: string, b: string): void {
    this.#cuts.delete(way(a, b))
    this.#cuts.delete(way(b, a))
    for (const link of [...this.#links]) if (link.joins(a) && link.joins(b) && link.lossy) link.break('messages were lost', undefined)
  }
  isCut(from: string, to: string): boolean {
    return this.#cuts.has(way(from, to))
  }
  /** Calls `arrive` after the delay, 0 being the next turn, in a turn of the process. */
  after(delayMs: number, arrive: () => void, at?: LoopbackProcess): void {
    const clock = at?.clock ?? this.clock
    if (delayMs > 0) clock.setTimer(delayMs, arrive)
    else clock.defer(arrive)
  }
  /** Returns the removal. */
  addLink(link: LoopbackLink): () => void {
    this.#links.add(link)
    return () => this.#links.delete(link)
  }
  link(dialler: LoopbackProcess, listener: LoopbackProcess): RpcConnection {
    const link = new Link(this, dialler, listener, () => forget())
    const forget = this.addLink(link)
    return link.dialled
  }
}

/** One process: its RpcNetwork and its blob endpoint. */
export class LoopbackProcess implements RpcNetwork {
  readonly endpoints: Endpoints
  #blobs: (() => BlobStore) | undefined
  #persistEpoch: (epoch: Epoch) => Promise<void> = async () => {}

  constructor(
    readonly address: string,
    private readonly network: LoopbackNetwork,
    readonly seen: HighestEpoch,
    readonly clock: Clock,
  ) {
    this.endpoints = new Endpoints(seen)
  }
  get alive(): boolean {
    return this.network.at(this.address) === this
  }
  /** What a BlobServer is to HttpBlobTransfer. */
  serveBlobs(store: BlobStore | (() => BlobStore), persistEpoch = this.#persistEpoch): void {
    this.#blobs = typeof store === 'function' ? store : () => store
    this.#persistEpoch = persistEpoch
  }
  persistEpoch(epoch: Epoch): Promise<void> {
    return this.#persistEpoch(epoch)
  }
  get blobs(): BlobStore | undefined {
    return this.#blobs?.()
  }
  blobTransfer(): BlobTransfer {
    return new LoopbackBlobTransfer(this, this.network)
  }

  dial(address: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<RpcConnection> {
    const { signal, timeoutMs = DIAL_TIMEOUT_MS } = options
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      let settled = false
      const settle = (finish: () => void) => {
        if (settled) return
        settled = true
        timer.cancel()
        signal?.removeEventListener('abort', abort)
        finish()
      }
      const abort = () => settle(() => reject(signal?.reason))
      const expire = () => settle(() => reject(new FlottError('RPC_TIMEOUT', `${address} did not answer in ${timeoutMs} ms`)))
      const timer = this.clock.setTimer(timeoutMs, expire)
      signal?.addEventListener('abort', abort, { once: true })
      const arrive = () => {
        const { network } = this
        if (network.isCut(this.address, address) || network.isCut(address, this.address) || !this.alive) return
        const listener = network.at(address)
        settle(() => {
          if (listener) resolve(network.link(this, listener))
          else reject(new FlottError('CONNECTION_REFUSED', `nobody listens at ${address}`))
        })
      }
      this.network.after(this.network.faults.delayMs(this.address, address), arrive, this) // The peer's kernel answers, even while it stands still.
    })
  }
}

interface Direction {
  dueMs: number
  readonly waiting: (() => void)[]
}

/** One connection: two ends, and for each direction the time before which nothing may arrive, which keeps the order. */
class Link implements LoopbackLink {
  readonly dialled: PeerConnection
  readonly accepted: PeerConnection
  /** A message vanished in a cut. */
  lossy = false
  #broken = false
  readonly #toListener: Direction = { dueMs: 0, waiting: [] }
  readonly #toDialler: Direction = { dueMs: 0, waiting: [] }

  constructor(
    private readonly network: LoopbackNetwork,
    private readonly dialler: LoopbackProcess,
    private readonly listener: LoopbackProcess,
    private readonly forget: () => void,
  ) {
    this.dialled = this.#end(dialler, listener)
    this.accepted = this.#end(listener, dialler)
  }
  joins(address: string): boolean {
    return this.dialler.address === address || this.listener.address === address
  }
  break(reason: string, at: string | undefined): void {
    if (this.#broken) return
    this.#broken = true
    this.forget()
    if (this.dialler.address !== at) this.#deliver(this.listener, this.dialler, () => this.dialled.lost(reason))
    else if (this.dialler.alive) this.dialled.lost(reason)
    if (this.listener.address !== at) this.#deliver(this.dialler, this.listener, () => this.accepted.lost(reason))
    else if (this.listener.alive) this.accepted.lost(reason)
  }
  #end(self: LoopbackProcess, peer: LoopbackProcess): PeerConnection {
    const carrier = {
      send: (message: RpcMessage) => this.#send(self, peer, structuredClone(message)),
      hangUp: (reason: string) => this.break(reason, self.address),
    }
    return new PeerConnection(peer.address, carrier, { clock: self.clock, endpoints: self.endpoints })
  }
  #send(from: LoopbackProcess, to: LoopbackProcess, message: RpcMessage): void {
    if (this.#broken || !from.alive) return
    if (this.network.faults.drops(from.address, to.address)) return void this.break('a message was lost', undefined)
    this.#deliver(from, to, () => (to === this.listener ? this.accepted : this.dialled).receive(message))
  }
  #deliver(from: LoopbackProcess, to: LoopbackProcess, arrive: () => void): void {
    if (this.network.isCut(from.address, to.address)) {
      this.lossy = true
      return
    }
    const direction = to === this.listener ? this.#toListener : this.#toDialler
    const now = this.network.clock.monotonicMs()
    direction.dueMs = Math.max(direction.dueMs, now + this.network.faults.delayMs(from.address, to.address))
    direction.waiting.push(arrive)
    const next = () => {
      const oldest = direction.waiting.shift() // Whichever timer fires first.
      if (to.alive) oldest?.()
    }
    this.network.after(direction.dueMs - now, next, to)
  }
}

/** Blob transfer between processes of the loopback network: block by block, with the delay between the two, and its cuts. */
class LoopbackBlobTransfer implements BlobTransfer {
  constructor(
    private readonly self: LoopbackProcess,
    private readonly network: LoopbackNetwork,
  ) {}

  async put(address: string, name: string, content: Uint8Array | AsyncIterable<Uint8Array>, epoch: Epoch): Promise<BlobInfo> {
    const peer = await this.#reach(address)
    return this.#whileOpen(address, async () => {
      if (!peer.seen.adopt(epoch)) throw new FlottError('NOT_LEADER', `PUT ${name} carries an old epoch`)
      await peer.persistEpoch(epoch)
      return this.#storeOf(peer).put(name, this.#carried(address, content instanceof Uint8Array ? [content] : content))
    })
  }
  async get(address: string, name: string, expected?: BlobContent): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const part of this.read(address, name)) parts.push(part)
    const content = Buffer.concat(parts)
    if (expected && (content.length !== expected.bytes || crc32(content) !== expected.crc32)) throw new FlottError('BLOB_CORRUPT', name)
    return content
  }
  async *read(address: string, name: string): AsyncIterable<Uint8Array> {
    const peer = await this.#reach(address)
    const store = this.#storeOf(peer)
    const info = await this.#whileOpen(address, () => store.info(name))
    if (!info) throw new FlottError('BLOB_NOT_FOUND', name)
    let crc = 0
    const parts = store.read(name)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const part = await this.#whileOpen(address, () => parts.next())
        if (part.done) break
        const bytes = part.value.slice()
        crc = crc32(bytes, crc)
        yield bytes
      }
    } finally {
      await parts.return?.()
    }
    if (crc !== info.crc32) throw new FlottError('BLOB_CORRUPT', name)
  }
  #storeOf(peer: LoopbackProcess): BlobStore {
    if (!peer.blobs) throw new FlottError('NOT_FOUND', `${peer.address} serves no blobs`)
    return peer.blobs
  }
  async *#carried(address: string, content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const part of content) {
      await this.#reach(address)
      yield part.slice()
    }
  }

  /** The peer works, and its answer comes back. */
  #whileOpen<T>(address: string, work: () => Promise<T>): Promise<T> {
    const { network, self } = this
    const peer = network.at(address)
    return this.#exchange(address, (end, resolve, reject) => {
      const answer = (finish: () => void) => {
        if (network.isCut(address, self.address) || !peer?.alive) return
        network.after(network.faults.delayMs(address, self.address), () => end(finish), self)
      }
      work().then(
        (value) => answer(() => resolve(value)),
        (error: unknown) => answer(() => reject(error)),
      )
    })
  }
  /** The way there; from then on it is the peer's turn. CONNECTION_REFUSED where the peer is gone. */
  #reach(address: string): Promise<LoopbackProcess> {
    const { network, self } = this
    return this.#exchange(address, (end, resolve, reject) => {
      const arrive = () => {
        const peer = network.at(address)
        if (network.isCut(self.address, address) || !self.alive) return
        end(() => (peer ? resolve(peer) : reject(new FlottError('CONNECTION_REFUSED', `nobody listens at ${address}`))))
      }
      network.after(network.faults.delayMs(self.address, address), arrive, network.at(address) ?? self)
    })
  }
  /** CONNECTION_LOST when the peer is gone meanwhile, RPC_TIMEOUT when nothing comes for too long. */
  #exchange<T>(
    address: string,
    begin: (end: (finish: () => void) => void, resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    const { network, self } = this
    return new Promise((resolve, reject) => {
      let ended = false
      const end = (finish: () => void) => {
        if (ended) return
        ended = true
        stall.cancel()
        forget()
        finish()
      }
      const fail = (error: FlottError) => end(() => reject(error))
      const stall = self.clock.setTimer(STALL_MS, () => fail(new FlottError('RPC_TIMEOUT', `${address}: nothing moved for ${STALL_MS} ms`)))
      const forget = network.addLink({
        joins: (a) => a === address || a === self.address,
        lossy: false,
        break(reason, at) {
          forget()
          if (at !== self.address) network.after(0, () => fail(new FlottError('CONNECTION_LOST', `${address}: ${reason}`)), self)
        },
      })
      begin(end, resolve, reject)
    })
  }
}

function way(from: string, to: string): string {
  return `${from} ${to}`
}
