/** Whatever owns a socket, timer, thread, file or lease. Constructors only store; start acquires; stop is idempotent. */
export interface Service {
  start(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}
