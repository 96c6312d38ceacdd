import { FlottError } from '#core/errors.js'

/**
 * Serialises the turns of one endpoint. A turn is synchronous: it takes an event, steps, starts effects. A turn asked for within a turn
 * runs after it, so that no step ever sees a half-made state; otherwise it runs at once. After `close` no turn runs any more.
 */
export class Mailbox {
  readonly #waiting: (() => void)[] = []
  #running = false
  #closed = false

  /** `onError` gets what a turn throws: a broken invariant of its owner. */
  constructor(private readonly onError: (error: unknown) => void) {}

  run(turn: () => void): void {
    if (this.#closed) return
    this.#waiting.push(turn)
    if (this.#running) return
    this.#running = true
    try {
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) this.#take(next)
    } finally {
      this.#running = false
    }
  }

  /** The same, for a caller that waits for the turn's result or error. SHUTTING_DOWN once closed. */
  call<T>(turn: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(new FlottError('SHUTTING_DOWN', 'the endpoint is closed'))
    return new Promise((resolve, reject) => {
      this.run(() => {
        try {
          resolve(turn())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  close(): void {
    this.#closed = true
    this.#waiting.length = 0
  }

  #take(turn: () => void): void {
    try {
      turn()
    } catch (error) {
      this.onError(error)
    }
  }
}
