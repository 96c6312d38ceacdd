/**
 * What a start has made so far, to be ended in reverse: at a clean stop, and when a later step of the start fails. Nothing that was
 * started is left behind, and no error is lost on the way.
 */
export class StartedParts {
  readonly #ends: (() => unknown)[] = []
  #ending: Promise<void> | undefined

  /** `end` is called once, at any time from now on. */
  add(end: () => unknown): void {
    this.#ends.push(end)
  }
  /** What starts halfway is ended, too: `stop` has to be harmless then. */
  async start(part: { start(): Promise<void>; stop(): Promise<void> }): Promise<void> {
    this.add(() => part.stop())
    await part.start()
  }
  /** Newest first, each when the one before has ended, well or not. Called again it waits for the first call. */
  end(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }
  async #end(): Promise<void> {
    const errors: unknown[] = []
    for (let end = this.#ends.pop(); end; end = this.#ends.pop()) {
      try {
        await end()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, 'several parts did not stop cleanly')
  }
}

/** Rejects with what failed, when all that had been started before is ended. */
export async function startInOrder<T>(start: (started: StartedParts) => Promise<T>): Promise<T> {
  const started = new StartedParts()
  try {
    return await start(started)
  } catch (cause) {
    await started.end().catch((error: unknown) => {
      throw new AggregateError([cause, error], 'the start failed, and what had been started did not stop cleanly')
    })
    throw cause
  }
}
