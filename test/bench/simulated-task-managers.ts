/**
 * TaskManagers without tasks, in a thread of their own as they have machines of their own: what they do costs the leader nothing. Their
 * connections to it are messages of the thread's port, copied as between processes.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { systemClock } from '#core/clock.js'
import { type Epoch, HighestEpoch } from '#core/epoch.js'
import { Endpoints } from '#rpc/endpoint-registry.js'
import { PeerConnection, type RpcMessage } from '#rpc/peer-connection.js'
import type { RpcConnection } from '#rpc/rpc.js'
import { FakeTaskManager } from '../support/fake-task-manager.js'

interface Sizes {
  readonly taskManagers: number
  readonly slots: number
}
/** `number` is of the connection: each TaskManager makes one to each leader. */
type Sent = { readonly kind: 'message'; readonly number: number; readonly message: RpcMessage }
type ToThread = Sent | { readonly kind: 'connect'; readonly epoch: Epoch } | { readonly kind: 'leader-crashed' | 'count-deployments' }
type FromThread =
  | Sent
  | { readonly kind: 'dialled'; readonly number: number }
  | { readonly kind: 'connected' }
  | { readonly kind: 'deployments'; readonly count: number }

/** The leader's side. */
export class SimulatedTaskManagers {
  readonly #worker: Worker
  readonly #connections = new Map<number, PeerConnection>()
  #endpoints: Endpoints | undefined
  #told: (answer: number) => void = () => {}

  constructor(sizes: Sizes) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { sizes } })
    this.#worker.on('message', (message: FromThread) => this.#take(message))
    this.#worker.once('error', (error) => {
      throw error
    })
  }
  /** All connect to a leader that serves these endpoints; resolves when all are registered. */
  async connectTo(endpoints: Endpoints, epoch: Epoch): Promise<void> {
    this.#endpoints = endpoints
    await this.#ask({ kind: 'connect', epoch })
  }
  leaderCrashed(): void {
    this.#connections.clear()
    this.#post({ kind: 'leader-crashed' })
  }
  /** That they were sent so far. */
  deployments(): Promise<number> {
    return this.#ask({ kind: 'count-deployments' })
  }
  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  #ask(question: ToThread): Promise<number> {
    return new Promise((resolve) => {
      this.#told = resolve
      this.#post(question)
    })
  }
  #take(message: FromThread): void {
    switch (message.kind) {
      case 'message':
        this.#connections.get(message.number)?.receive(message.message)
        break
      case 'dialled':
        this.#connections.set(
          message.number,
          connection(message.number, this.#endpoints!, (sent) => this.#post(sent)),
        )
        break
      case 'connected':
        this.#told(0)
        break
      case 'deployments':
        this.#told(message.count)
    }
  }
  #post(message: ToThread): void {
    this.#worker.postMessage(message)
  }
}

function connection(number: number, endpoints: Endpoints, post: (sent: Sent) => void): PeerConnection {
  const carrier = { send: (message: RpcMessage) => post({ kind: 'message', number, message }), hangUp: () => {} }
  return new PeerConnection(String(number), carrier, { clock: systemClock, endpoints })
}

/** In the thread. */
class Thread {
  readonly #connections = new Map<number, PeerConnection>()
  #dialled = 0
  readonly #taskManagers: readonly FakeTaskManager[]

  constructor({ taskManagers, slots }: Sizes) {
    const network = {
      process: (address: string) => {
        const endpoints = new Endpoints(new HighestEpoch())
        return { address, endpoints, dial: async () => this.#dial(endpoints) }
      },
      crash() {},
    }
    this.#taskManagers = Array.from({ length: taskManagers }, (_, i) => new FakeTaskManager(`tm-${i}`, network, slots))
  }
  async take(message: ToThread): Promise<void> {
    switch (message.kind) {
      case 'message':
        this.#connections.get(message.number)?.receive(message.message)
        break
      case 'connect':
        await Promise.all(this.#taskManagers.map((taskManager) => taskManager.connect('the leader', message.epoch)))
        this.#post({ kind: 'connected' })
        break
      case 'leader-crashed':
        for (const open of this.#connections.values()) open.lost('the leader is gone')
        this.#connections.clear()
        break
      case 'count-deployments':
        this.#post({ kind: 'deployments', count: this.#taskManagers.reduce((sum, { deployments }) => sum + deployments.length, 0) })
    }
  }
  #dial(endpoints: Endpoints): RpcConnection {
    const number = this.#dialled++
    const made = connection(number, endpoints, (sent) => this.#post(sent))
    this.#connections.set(number, made)
    this.#post({ kind: 'dialled', number })
    return made
  }
  #post(message: FromThread): void {
    parentPort!.postMessage(message)
  }
}

if (!isMainThread) {
  const thread = new Thread((workerData as { sizes: Sizes }).sizes)
  parentPort!.on('message', (message: ToThread) => void thread.take(message))
}
