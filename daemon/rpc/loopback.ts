/**
 * Processes in one thread, linked as over a network: the same calls, errors and order as over TCP, with payloads structured-cloned. Time
 * and faults come from outside, so that a seed is a whole history. What TCP promises holds: a connection delivers in order or breaks;
 * nothing is delivered twice.
 */

import { crc32 } from 'node:zlib'
import type { Clock } from '#core/clock.js'
import { type Epoch, HighestEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { BlobInfo, BlobStore, BlobTransfer } from '#protocol/ha/blobs.js'
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

export class LoopbackNetwork {
  readonly #processes = new Map<string, LoopbackProcess>()
  readonly #links = new Set<LoopbackLink>()
  readonly #cuts = new Set<string>()

  constructor(
    readonly clock: Clock,
    readonly faults: LoopbackFaults = NO_FAULTS,
  ) {}

  /** A process that can be dialled at the address until it crashes. Its successor may take the same address. */
  process(address: string, seen = new HighestEpoch()): LoopbackProcess {
    if (this.#processes.has(address)) throw new Error(`${address} is taken`)
    const process = new LoopbackProcess(address, this, seen)
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
    this.#cuts.add(pair(a, b))
  }
  /** New messages arrive again; connections that lost one break. */
  heal(a: string, b: string): void {
    this.#cuts.delete(pair(a, b))
    for (const link of [...this.#links]) if (link.joins(a) && link.joins(b) && link.lossy) link.break('messages were lost', undefined)
  }
  isCut(a: string, b: string): boolean {
    return this.#cuts.has(pair(a, b))
  }
  /** Calls `arrive` after the delay between the two, 0 being the next turn. */
  after(delayMs: number, arrive: () => void): void {
    if (delayMs > 0) this.clock.setTimer(delayMs, arrive)
    else this.clock.defer(arrive)
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
  blobs: BlobStore | undefined

  constructor(
    readonly address: string,
    private readonly network: LoopbackNetwork,
    readonly seen: HighestEpoch,
  ) {
    this.endpoints = new Endpoints(seen)
  }
  get alive(): boolean {
    return this.network.at(this.address) === this
  }
  /** What HttpBlobTransfer clients of this address reach. */
  serveBlobs(store: BlobStore): void {
    this.blobs = store
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
      const timer = this.network.clock.setTimer(timeoutMs, expire)
      signal?.addEventListener('abort', abort, { once: true })
      this.network.after(this.network.faults.delayMs(this.address, address), () => {
        if (this.network.isCut(this.address, address) || !this.alive) return
        const listener = this.network.at(address)
        settle(() => {
          if (listener) resolve(this.network.link(this, listener))
          else reject(new FlottError('CONNECTION_REFUSED', `nobody listens at ${address}`))
        })
      })
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
    else this.dialled.lost(reason)
    if (this.listener.address !== at) this.#deliver(this.dialler, this.listener, () => this.accepted.lost(reason))
    else this.accepted.lost(reason)
  }
  #end(self: LoopbackProcess, peer: LoopbackProcess): PeerConnection {
    const carrier = {
      send: (message: RpcMessage) => this.#send(self, peer, structuredClone(message)),
      hangUp: (reason: string) => this.break(reason, self.address),
    }
    return new PeerConnection(peer.address, carrier, { clock: this.network.clock, endpoints: self.endpoints })
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
    this.network.after(direction.dueMs - now, () => {
      const next = direction.waiting.shift() // The oldest, whichever timer fires first.
      if (to.alive) next?.()
    })
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
    if (!peer.seen.adopt(epoch)) throw new FlottError('NOT_LEADER', `PUT ${name} carries an old epoch`)
    const info = await this.#storeOf(peer).put(name, this.#carried(address, content instanceof Uint8Array ? [content] : content))
    await this.#reach(address)
    return info
  }
  async get(address: string, name: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const part of this.read(address, name)) parts.push(part)
    return Buffer.concat(parts)
  }
  async *read(address: string, name: string): AsyncIterable<Uint8Array> {
    const peer = await this.#reach(address)
    const store = this.#storeOf(peer)
    const info = await store.info(name)
    if (!info) throw new FlottError('BLOB_NOT_FOUND', name)
    let crc = 0
    for await (const part of this.#carried(address, store.read(name))) {
      crc = crc32(part, crc)
      yield part
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
  /** One way through the network. CONNECTION_REFUSED where the peer is gone, CONNECTION_LOST where the way is cut. */
  #reach(address: string): Promise<LoopbackProcess> {
    const { network, self } = this
    return new Promise((resolve, reject) => {
      network.after(network.faults.delayMs(self.address, address), () => {
        const peer = network.at(address)
        if (network.isCut(self.address, address)) reject(new FlottError('CONNECTION_LOST', `no way to ${address}`))
        else if (peer && self.alive) resolve(peer)
        else reject(new FlottError('CONNECTION_REFUSED', `nobody listens at ${address}`))
      })
    })
  }
}

function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}
