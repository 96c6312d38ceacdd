import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { FlottError } from '#core/errors.js'
import type { DataSocket, DataTransport, SocketHandlers } from './transport.js'

const READ_BUFFER_BYTES = 256 * 1024
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 }

export class TcpTransport implements DataTransport {
  #server: Server | undefined
  readonly #accepted = new Set<Socket>()

  listen(host: string, port: number, accept: (socket: DataSocket) => SocketHandlers): Promise<number> {
    const server = createServer(SOCKET_OPTIONS, (socket) => {
      this.#accepted.add(socket)
      const handlers = accept(new TcpSocket(socket))
      socket.on('data', (bytes) => {
        if (!socket.destroyed) handlers.onBytes(bytes)
      })
      handle(socket, handlers, () => this.#accepted.delete(socket))
    })
    this.#server = server
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => reject(new FlottError('STARTUP_FAILED', `can not listen on ${host}:${port}`, { cause })))
      server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port))
    })
  }

  /** `onread`, which reads into one fixed buffer, works on this side only. */
  connect(host: string, port: number, handlers: SocketHandlers): DataSocket {
    const callback = (count: number, buffer: Uint8Array) => {
      if (!socket.destroyed) handlers.onBytes(buffer.subarray(0, count))
      return true
    }
    const socket: Socket = connect({ host, port, ...SOCKET_OPTIONS, onread: { buffer: new Uint8Array(READ_BUFFER_BYTES), callback } })
    socket.on('connect', () => handlers.onConnect?.())
    handle(socket, handlers, () => {})
    return new TcpSocket(socket)
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#server) return resolve()
      this.#server.close(() => resolve())
      for (const socket of this.#accepted) socket.destroy()
    })
  }
}

function handle(socket: Socket, handlers: SocketHandlers, closed: () => void): void {
  let cause: Error | undefined
  socket.on('drain', () => handlers.onDrain())
  socket.on('error', (error) => {
    cause = error
  })
  socket.on('close', () => {
    closed()
    handlers.onClose(cause)
  })
}

class TcpSocket implements DataSocket {
  constructor(private readonly socket: Socket) {}
  get writable(): boolean {
    return this.socket.writable
  }
  get bufferedBytes(): number {
    return this.socket.writableLength
  }
  get remoteAddress(): string {
    return `${this.socket.remoteAddress}:${this.socket.remotePort}`
  }
  write(bytes: Uint8Array): void {
    if (this.socket.writable) this.socket.write(bytes)
  }
  cork(): void {
    this.socket.cork()
  }
  uncork(): void {
    this.socket.uncork()
  }
  end(): void {
    this.socket.end()
  }
  destroy(cause?: Error): void {
    this.socket.destroy(cause)
  }
}
