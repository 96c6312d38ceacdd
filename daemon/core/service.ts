/** Whatever owns a socket, timer, thread, file or lease. Constructors only store; start acquires; stop is idempotent. */
export interface Service {
  start(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

/** Starts in order, stops in reverse; when one fails to start, stops the ones before it; loses no error on the way. */
export class ServiceStack implements Service {
  readonly #started: Service[] = []
  constructor(private readonly services: readonly Service[]) {}
  async start(signal: AbortSignal): Promise<void> {
    try {
      for (const service of this.services) {
        signal.throwIfAborted()
        this.#started.push(service) // Before start: what started halfway is stopped too.
        await service.start(signal)
      }
    } catch (cause) {
      await this.stop().catch((stopping: unknown) => {
        throw new AggregateError([cause, stopping], 'start failed, then stop failed')
      })
      throw cause
    }
  }
  async stop(): Promise<void> {
    const errors: unknown[] = []
    for (let service = this.#started.pop(); service; service = this.#started.pop())
      await service.stop().catch((error: unknown) => errors.push(error))
    if (errors.length > 0) throw new AggregateError(errors, 'stop failed')
  }
}
