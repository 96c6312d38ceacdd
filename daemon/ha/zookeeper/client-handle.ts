import { Worker } from 'node:worker_threads'
import type {
  Answer,
  ClientThreadData,
  FromClientThread,
  HandleConfig,
  HandleState,
  Method,
  SessionOfHandle,
  ToClientThread,
} from './client-protocol.js'
import { RC } from './result-codes.js'

/** A handle of the ZooKeeper library. What it says comes in turns of its own. */
export interface ClientHandle {
  readonly state: HandleState
  /** Since it was connected first. */
  readonly session: SessionOfHandle | undefined
  /** Told of each change of the state. */
  onState: (state: HandleState) => void
  /** Never rejects: what went wrong is in the return code. `onChange`: for methods with a watch; called once at most. */
  call(method: Method, args: readonly unknown[], onChange?: () => void): Promise<Answer>
  /** Gives it up if it is not connected by now: DROPPED follows, or CONNECTED. */
  drop(): void
  /** Ends the session, if it is connected, and resolves when the server was told. Says nothing more. */
  close(): Promise<void>
}

/** Starts to connect. */
export function openHandle(config: HandleConfig): ClientHandle {
  thread ??= new ClientThread()
  return thread.open(config)
}

let thread: ClientThread | undefined

/** How long a process that exits waits for its handles. */
const END_MS = 2_000

/**
 * One a process, started with the first handle. It keeps the process alive for as long as there is one. A process that exits ends its
 * sessions: nothing that it does can take effect any more, and Node aborts where a thread ends while the library watches its socket.
 */
class ClientThread {
  readonly #data: ClientThreadData = { ended: new Int32Array(new SharedArrayBuffer(4)) }
  readonly #worker = new Worker(new URL('./client-thread.js', import.meta.url), {
    workerData: this.#data,
    name: 'zookeeper',
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
  })
  readonly #endNow = () => {
    this.#post({ kind: 'end' })
    Atomics.wait(this.#data.ended, 0, 0, END_MS)
  }
  readonly #handles = new Map<number, ThreadedHandle>()
  #opened = 0

  constructor() {
    this.#worker.on('message', (message: FromClientThread) => this.#handles.get(message.handle)?.told(message))
    this.#worker.on('error', (error) => this.#ended(error.message))
    this.#worker.on('exit', (code) => this.#ended(`code ${code}`))
    process.once('exit', this.#endNow)
  }

  open(config: HandleConfig): ClientHandle {
    const number = ++this.#opened
    const handle = new ThreadedHandle(number, (message) => this.#post(message))
    this.#handles.set(number, handle)
    this.#worker.ref()
    this.#post({ kind: 'open', handle: number, config })
    void handle.gone.then(() => {
      this.#handles.delete(number)
      if (this.#handles.size === 0) this.#worker.unref()
    })
    return handle
  }
  #post(message: ToClientThread): void {
    this.#worker.postMessage(message)
  }
  /** The next handle gets a new thread. */
  #ended(text: string): void {
    process.off('exit', this.#endNow)
    if (thread === this) thread = undefined
    for (const handle of [...this.#handles.values()]) handle.threadEnded(`the thread of the ZooKeeper library ended: ${text}`)
  }
}

class ThreadedHandle implements ClientHandle {
  state: HandleState = 'CONNECTING'
  session: SessionOfHandle | undefined
  onState: (state: HandleState) => void = () => {}
  /** Nothing is said of it any more. */
  readonly gone: Promise<void>
  #isGone: () => void = () => {}
  #calls = new Map<number, (answer: Answer) => void>()
  readonly #watches = new Map<number, () => void>()
  #last = 0
  #closing = false

  constructor(
    private readonly number: number,
    private readonly post: (message: ToClientThread) => void,
  ) {
    this.gone = new Promise((resolve) => (this.#isGone = resolve))
  }

  call(method: Method, args: readonly unknown[], onChange?: () => void): Promise<Answer> {
    if (this.#closing) return Promise.resolve({ rc: RC.CLOSING, text: 'the handle is closed', values: [] })
    const call = ++this.#last
    if (onChange) this.#watches.set(call, onChange)
    return new Promise((resolve) => {
      this.#calls.set(call, resolve)
      this.post({ kind: 'call', handle: this.number, call, method, args })
    })
  }
  drop(): void {
    this.post({ kind: 'drop', handle: this.number })
  }
  close(): Promise<void> {
    if (!this.#closing) this.post({ kind: 'close', handle: this.number })
    this.#closing = true
    return this.gone
  }

  told(message: FromClientThread): void {
    switch (message.kind) {
      case 'state':
        this.session = message.session ?? this.session
        this.#become(message.state)
        break
      case 'not-opened':
        this.#become('DROPPED')
        break
      case 'answer': {
        const answered = this.#calls.get(message.call)
        this.#calls.delete(message.call)
        answered?.(message)
        break
      }
      case 'changed': {
        const onChange = this.#watches.get(message.call)
        this.#watches.delete(message.call)
        if (!this.#closing) onChange?.()
        break
      }
      case 'closed':
        this.#end('the handle is closed')
    }
  }
  threadEnded(text: string): void {
    this.#end(text)
    this.#become('DROPPED')
  }

  #become(state: HandleState): void {
    if (this.state === state || this.state === 'EXPIRED' || this.state === 'DROPPED') return
    this.state = state
    if (!this.#closing) this.onState(state)
    // Nobody else needs to close it.
    if (state === 'DROPPED' || state === 'EXPIRED') void this.close()
  }
  #end(text: string): void {
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const answered of calls) answered({ rc: RC.CLOSING, text, values: [] })
    this.#watches.clear()
    this.#isGone()
  }
}
