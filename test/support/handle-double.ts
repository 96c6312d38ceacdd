import type { ClientHandle } from '#ha/zookeeper/client-handle.js'
import type { Answer, HandleState } from '#ha/zookeeper/client-protocol.js'

export const SESSION = { id: '1', password: 'secret', timeoutMs: 4_000 }

/** A handle of the ZooKeeper library that says and answers what a test tells it. */
export class HandleDouble implements ClientHandle {
  state: HandleState = 'CONNECTED'
  readonly session = SESSION
  onState: (state: HandleState) => void = () => {}
  closed = false
  readonly #answers: ((answer: Answer) => void)[] = []
  change: (() => void) | undefined

  call(_method: string, _args: readonly unknown[], onChange?: () => void): Promise<Answer> {
    this.change = onChange
    return new Promise((resolve) => this.#answers.push(resolve))
  }
  dropAsked = false
  drop(): void {
    this.dropAsked = true
  }
  async close(): Promise<void> {
    this.closed = true
  }
  say(state: HandleState): void {
    this.state = state
    this.onState(state)
  }
  answer(answer: Answer): void {
    this.#answers.shift()!(answer)
  }
}
