/** What the network between TaskManagers needs of sockets: TCP, or in a simulation the loopback network. */
export interface DataSocket {
  /** False once it is closing. */
  readonly writable: boolean
  /** Written and not yet on its way. */
  readonly bufferedBytes: number
  /** The bytes must stay as they are until the peer has received them. */
  write(bytes: Uint8Array): void
  /** What is written between the two may leave in one piece. */
  cork(): void
  uncork(): void
  /** After what was written. */
  end(): void
  /** At once; onClose follows. */
  destroy(cause?: Error): void
  readonly remoteAddress: string
}

export interface SocketHandlers {
  /** Connecting side only. */
  onConnect?(): void
  /** The bytes may be overwritten after the call. */
  onBytes(bytes: Uint8Array): void
  onDrain(): void
  /** Once, the last call. */
  onClose(cause: Error | undefined): void
}

export interface DataTransport {
  /** Resolves with the port. STARTUP_FAILED. */
  listen(host: string, port: number, accept: (socket: DataSocket) => SocketHandlers): Promise<number>
  connect(host: string, port: number, handlers: SocketHandlers): DataSocket
  /** Stops listening, and ends what was accepted. */
  stop(): Promise<void>
}
