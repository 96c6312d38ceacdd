import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '#core/clock.js'
import { HighestEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { Endpoints } from './endpoint-registry.js'
import type { InternalEndpoint } from './internal-endpoint.js'
import { decodeMessage, encodeMessage } from './message-codec.js'
import { PEER_LIMITS, PeerConnection, type PeerLimits } from './peer-connection.js'
import type { RpcConnection, RpcNetwork } from './rpc.js'

export const RPC_PATH = '/rpc'
const DIAL_TIMEOUT_MS = 5_000
/** Deployments of big jobs are the largest messages; bytes of blobs never travel here. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

export interface WsRpcNetworkOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly seen?: HighestEpoch
  readonly messageBytesMax?: number
  readonly limits?: PeerLimits
}

/** RPC over WebSocket on the process's internal endpoint. One connection carries the calls of both sides. */
export class WsRpcNetwork implements RpcNetwork {
  readonly seen: HighestEpoch
  readonly endpoints: Endpoints
  readonly #server: WebSocketServer
  readonly #connections = new Set<PeerConnection>()
  readonly #socketOptions: { readonly maxPayload: number; readonly perMessageDeflate: false; readonly skipUTF8Validation: true }

  constructor(private readonly options: WsRpcNetworkOptions) {
    this.seen = options.seen ?? new HighestEpoch()
    this.endpoints = new Endpoints(this.seen)
    this.#socketOptions = { maxPayload: this.#messageBytesMax, perMessageDeflate: false, skipUTF8Validation: true }
    this.#server = new WebSocketServer({ noServer: true, ...this.#socketOptions })
  }

  /** Serves peers that dial this endpoint. */
  attach(endpoint: InternalEndpoint): void {
    endpoint.onUpgrade(RPC_PATH, (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#server.handleUpgrade(request, socket, head, (webSocket) => {
        const { remoteAddress, remotePort } = request.socket
        this.#adopt(webSocket, `${remoteAddress}:${remotePort}`)
      }),
    )
  }

  dial(address: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<RpcConnection> {
    const { timeoutMs = DIAL_TIMEOUT_MS, signal } = options
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const webSocket = new WebSocket(`ws://${address}${RPC_PATH}`, this.#socketOptions)
      const settle = (finish: () => void) => {
        timer.cancel()
        signal?.removeEventListener('abort', abort)
        webSocket.removeAllListeners()
        finish()
      }
      const fail = (error: unknown) =>
        settle(() => {
          webSocket.on('error', () => {}) // terminate() before the handshake reports an error of its own.
          webSocket.terminate()
          reject(error)
        })
      const abort = () => fail(signal?.reason)
      const timer = this.options.clock.setTimer(timeoutMs, () =>
        fail(new FlottError('RPC_TIMEOUT', `${address} did not answer in ${timeoutMs} ms`)),
      )
      signal?.addEventListener('abort', abort, { once: true })
      webSocket.on('error', (cause) => fail(new FlottError('CONNECTION_REFUSED', `${address}: ${cause.message}`, { cause })))
      webSocket.on('open', () => settle(() => resolve(this.#adopt(webSocket, address))))
    })
  }

  /** Closes all connections, dialled and accepted. */
  stop(reason = 'the process stops'): void {
    for (const connection of this.#connections) connection.close(reason)
    this.#server.close()
  }

  get #messageBytesMax(): number {
    return this.options.messageBytesMax ?? MESSAGE_BYTES_MAX
  }

  #adopt(webSocket: WebSocket, address: string): PeerConnection {
    const carrier = {
      send: (message: Parameters<typeof encodeMessage>[0]) => webSocket.send(encodeMessage(message, this.#messageBytesMax)),
      hangUp: (reason: string) => this.#hangUp(webSocket, reason),
    }
    const owner = { clock: this.options.clock, endpoints: this.endpoints }
    const connection = new PeerConnection(address, carrier, owner, this.options.limits ?? PEER_LIMITS)
    this.#connections.add(connection)
    webSocket.on('message', (data: RawData) => receive(connection, data as Buffer))
    webSocket.on('error', (error) => {
      this.options.logger.warn('RPC connection failed', { address, error })
      connection.lost(error.message)
    })
    webSocket.on('close', (code, reason) => {
      this.#connections.delete(connection)
      connection.lost(reason.length > 0 ? reason.toString() : `closed with ${code}`)
    })
    return connection
  }

  /** A farewell with the reason, then the end: a peer that does not answer it is cut off. */
  #hangUp(webSocket: WebSocket, reason: string): void {
    webSocket.close(1000, Buffer.from(reason).subarray(0, 100))
    const timer = this.options.clock.setTimer(1_000, () => webSocket.terminate(), { unref: true })
    webSocket.on('close', () => timer.cancel())
  }
}

function receive(connection: PeerConnection, data: Buffer): void {
  let message: unknown
  try {
    message = decodeMessage(data)
  } catch {
    connection.close('the peer sent what is no MessagePack')
    return
  }
  connection.receive(message)
}
