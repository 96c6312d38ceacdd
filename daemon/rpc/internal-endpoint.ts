/**
 * The one port on which a process talks to its own kind: RPC connections (WebSocket) and blobs (PUT, GET) share its HTTP server. Parts
 * add their routes before it starts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { FlottError } from '#core/errors.js'

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

export class InternalEndpoint {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #requests = new Map<string, RequestHandler>()
  readonly #upgrades = new Map<string, UpgradeHandler>()

  constructor() {
    // Chunks and artifacts may take their time: no limit on a whole request, only on its headers.
    this.#server = createServer(
      { requestTimeout: 0, headersTimeout: 10_000, keepAliveTimeout: 60_000, noDelay: true },
      (request, response) => {
        const handler = this.#requests.get(rootOf(request.url))
        if (handler) handler(request, response)
        else response.writeHead(404, { connection: 'close' }).end()
      },
    )
    this.#server.on('upgrade', (request, socket, head) => {
      const handler = this.#upgrades.get(rootOf(request.url))
      if (handler) handler(request, socket, head)
      else socket.destroy()
    })
    this.#server.on('clientError', (_error, socket) => socket.destroy()) // Garbage on the port.
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /** `root` is the first segment of the path, '/blobs'. */
  onRequest(root: string, handler: RequestHandler): void {
    this.#requests.set(root, handler)
  }
  onUpgrade(root: string, handler: UpgradeHandler): void {
    this.#upgrades.set(root, handler)
  }

  /** Listens on the first free port of the range; 0 takes any. Resolves with the port. STARTUP_FAILED. */
  async start(host: string, port: number, portMax = port): Promise<number> {
    for (let candidate = port; ; candidate++) {
      try {
        return await this.#listen(host, candidate)
      } catch (cause) {
        const taken = (cause as { code?: string }).code === 'EADDRINUSE'
        if (!taken || candidate >= portMax) throw new FlottError('STARTUP_FAILED', `can not listen on ${host}:${candidate}`, { cause })
      }
    }
  }

  /** Closes the port and every connection on it. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#server.listening) return resolve()
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }

  #listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        resolve((this.#server.address() as AddressInfo).port)
      })
    })
  }
}

function rootOf(url = ''): string {
  const end = url.slice(1).search(/[/?]/)
  return end < 0 ? url : url.slice(0, end + 1)
}
