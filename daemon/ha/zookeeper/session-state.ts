import { FlottError } from '#core/errors.js'
import type { SessionState } from './zookeeper.js'

/** The state of one session, and those who wait for it. Shared by the real client and the simulated one. */
export class SessionStateHolder {
  #state: SessionState = 'CONNECTED'
  readonly #listeners = new Set<(state: SessionState) => void>()

  constructor(private readonly sessionId: string) {}

  get value(): SessionState {
    return this.#state
  }

  change(to: SessionState): void {
    if (this.#state === to || this.#state === 'LOST') return
    this.#state = to
    for (const listener of [...this.#listeners]) listener(to)
    if (to === 'LOST') this.#listeners.clear()
  }

  on(listener: (state: SessionState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  whenConnected(): Promise<void> {
    if (this.#state === 'CONNECTED') return Promise.resolve()
    if (this.#state === 'LOST') return Promise.reject(this.lost())
    return new Promise((resolve, reject) => {
      const off = this.on((state) => {
        if (state === 'SUSPENDED') return
        off()
        if (state === 'CONNECTED') resolve()
        else reject(this.lost())
      })
    })
  }

  lost(): FlottError {
    return new FlottError('ZOOKEEPER_SESSION_EXPIRED', `session ${this.sessionId} has ended`)
  }
}
