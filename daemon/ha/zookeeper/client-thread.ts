/**
 * The ZooKeeper library, in a thread that has nothing else to do. It closes its sockets before it tells libuv: a socket of the same
 * number that the event loop opens or accepts meanwhile is taken for the old one, so that nothing arrives at it any more, or the process
 * ends with SIGABRT. In this thread's loop there are no sockets but its own. It is also the only thread that loads the library, which
 * crashes a process that loads it in two.
 *
 * A handle that has lost its connection is thrown away: left alone, the library tries to connect without a pause while the ensemble is
 * down. A handle closed while it is not connected ends no session.
 */
import { parentPort, workerData } from 'node:worker_threads'
import zookeeper from 'zookeeper'
import { systemClock } from '#core/clock.js'
import type { ClientThreadData, FromClientThread, HandleConfig, HandleState, Method, ToClientThread } from './client-protocol.js'
import { RC } from './result-codes.js'

type Done = (rc: number, text: string, ...values: unknown[]) => void

/** The library's callback client, as far as it is used. */
interface NativeClient {
  readonly client_id: unknown
  readonly client_password: string
  readonly timeout: number
  readonly state: number
  init(config: object): unknown
  close(): unknown
  on(event: 'connect' | 'connecting' | 'close', listener: () => void): unknown
}
type NativeCall = (this: NativeClient, ...args: unknown[]) => number

const CONNECTED_STATE = 3
/** Type of events of the session, of which each watcher is told, too. */
const SESSION_EVENT = -1

const port = parentPort
if (!port) throw new Error('the ZooKeeper library runs in a thread of its own')
const say = (message: FromClientThread) => port.postMessage(message)

class Handle {
  readonly #native: NativeClient
  #closed = false
  #wasConnected = false

  constructor(
    private readonly number: number,
    config: HandleConfig,
  ) {
    this.#native = new zookeeper.ZooKeeper({
      ...config,
      host_order_deterministic: true, // Shuffled by ourselves.
      debug_level: 0, // It would write to standard error.
    }) as unknown as NativeClient
    const on = (event: 'connect' | 'connecting' | 'close', state: HandleState) => this.#native.on(event, () => this.#is(state))
    on('connect', 'CONNECTED')
    on('connecting', 'CONNECTING')
    on('close', 'EXPIRED')
    this.#native.init({})
  }

  #is(state: HandleState): void {
    if (this.#closed) return
    if (state === 'EXPIRED') this.#closed = true
    if (state === 'CONNECTED') this.#wasConnected = true
    // At first it may try all servers. Not within its callback: it is not done with the connection yet.
    if (state === 'CONNECTING' && this.#wasConnected) systemClock.defer(() => this.drop())
    const { client_id, client_password: password, timeout: timeoutMs } = this.#native
    const session = state === 'CONNECTED' ? { session: { id: String(client_id), password, timeoutMs } } : {}
    say({ kind: 'state', handle: this.number, state, ...session })
  }
  /** Unless it was faster: to close it now would end the session. */
  drop(): void {
    if (this.#closed || this.#native.state === CONNECTED_STATE) return
    this.close()
    say({ kind: 'state', handle: this.number, state: 'DROPPED' })
  }

  call(call: number, method: Method, args: readonly unknown[]): void {
    const answer = (rc: number, text: string, values: readonly unknown[]) =>
      say({ kind: 'answer', handle: this.number, call, rc, text, values: values.map(cloneable) })
    if (this.#closed) {
      answer(RC.CLOSING, 'the handle is closed', [])
      return
    }
    // Each function must be a new one: the library ties it to the handle.
    const done: Done = (rc, text, ...values) => answer(rc, text, values)
    const changed = (type: number) => {
      if (type !== SESSION_EVENT) say({ kind: 'changed', handle: this.number, call })
    }
    const callbacks = method.startsWith('aw_') ? [changed, done] : [done]
    const native = this.#native as NativeClient & Record<Method, NativeCall>
    const refused = native[method](...args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg.buffer) : arg)), ...callbacks)
    if (refused !== RC.OK) answer(refused, 'not sent', [])
    // The library sends this one with the next that it sends: without another that is the next ping.
    if (method === 'add_auth') native.a_sync('/', () => {})
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#native.close()
  }
}

/** Bytes in a buffer of their own: others would take all of theirs along. */
function cloneable(value: unknown): unknown {
  return value instanceof Uint8Array ? new Uint8Array(value) : value
}

const handles = new Map<number, Handle>()

function end(): void {
  for (const handle of handles.values()) handle.close()
  const { ended } = workerData as ClientThreadData
  const tell = () => {
    Atomics.store(ended, 0, 1)
    Atomics.notify(ended, 0)
  }
  // libuv is done with what was closed once a whole turn of its loop has passed.
  systemClock.defer(() => systemClock.defer(tell))
}

port.on('message', (message: ToClientThread) => {
  if (message.kind === 'end') {
    end()
    return
  }
  const { handle: number } = message
  switch (message.kind) {
    case 'open':
      try {
        handles.set(number, new Handle(number, message.config))
      } catch (error) {
        say({ kind: 'not-opened', handle: number, text: String(error) })
      }
      break
    case 'call':
      handles.get(number)?.call(message.call, message.method, message.args)
      break
    case 'drop':
      handles.get(number)?.drop()
      break
    case 'close':
      handles.get(number)?.close()
      handles.delete(number)
      say({ kind: 'closed', handle: number })
  }
})
