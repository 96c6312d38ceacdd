import type { Clock } from '#core/clock.js'
import { type Random, seededRandom } from '#core/random.js'
import { Doorbell } from '#taskmanager/exchange/doorbell.js'
import { SlotExchangeFactory } from '#taskmanager/exchange/exchange-factory.js'
import { createWindowOperator } from '#taskmanager/operators/window.js'
import type {
  FromSlotWorker,
  SlotWorkerData,
  SlotWorkerHost,
  SlotWorker as SlotWorkerPort,
  ToSlotWorker,
} from '#taskmanager/slotworker/protocol.js'
import { SlotWorker } from '#taskmanager/slotworker/slot-worker.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import type { UserCodeLoader } from '#usercode/user-code-loader.js'

/** Slot workers in this very thread: the same code, a turn a message, and what crosses the port is cloned as between threads. */
export class InPlaceSlotWorkerHost implements SlotWorkerHost {
  readonly #running = new Set<() => void>()
  #crashed = false

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly loader: UserCodeLoader,
  ) {}

  /** The process is gone: nothing of it runs on, nothing is reported. */
  crash(): void {
    this.#crashed = true
    for (const stop of this.#running) stop()
  }

  start(
    data: SlotWorkerData,
    handlers: { onMessage(message: FromSlotWorker): void; onExit(cause: Error | undefined): void },
  ): SlotWorkerPort {
    const { clock, loader } = this
    let exited = false
    const worker = new SlotWorker({
      data,
      clock,
      doorbell: new Doorbell(data.doorbell, { oneThread: true }),
      exchange: new SlotExchangeFactory({ random: seededRandom(Math.floor(this.random.next() * 2 ** 32)) }),
      loader,
      memory: { usedBytes: () => 0 },
      createKeyedState: createKeyedStateBackend,
      createWindowOperator,
      post: (message, transfer = []) => {
        const copy = structuredClone(message, { transfer: [...transfer] })
        clock.defer(() => exited || handlers.onMessage(copy))
      },
    })
    const stop = () => {
      exited = true
      worker.stop()
    }
    this.#running.add(stop)
    clock.defer(() => exited || worker.start())
    return {
      post: (message: ToSlotWorker, transfer: readonly ArrayBuffer[] = []) => {
        const copy = structuredClone(message, { transfer: [...transfer] })
        clock.defer(() => exited || worker.handle(copy))
      },
      terminate: async () => {
        if (exited) return
        stop()
        this.#running.delete(stop)
        clock.defer(() => this.#crashed || handlers.onExit(undefined))
      },
    }
  }
}
