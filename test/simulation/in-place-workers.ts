import { seededRandom } from '#core/random.js'
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
import { anyBarrier } from './careless-gate.js'
import { changedMessage, createState } from './careless-worker.js'
import type { ProcessClock } from './process-clock.js'
import { SlotOccupancy } from './slot-occupancy.js'
import type { World } from './world.js'

/** Slot workers in this very thread: the same code, a turn a message, and what crosses the port is cloned as between threads. */
export class InPlaceSlotWorkerHost implements SlotWorkerHost {
  readonly #occupancy: SlotOccupancy

  constructor(
    private readonly world: World,
    private readonly clock: ProcessClock,
  ) {
    this.#occupancy = new SlotOccupancy(world.invariants)
  }

  start(
    data: SlotWorkerData,
    handlers: { onMessage(message: FromSlotWorker): void; onExit(cause: Error | undefined): void },
  ): SlotWorkerPort {
    const { clock, world } = this
    const slot = this.#occupancy.worker(data.taskManagerId)
    let exited = false
    const exchange = new SlotExchangeFactory({ random: seededRandom(Math.floor(world.random.next() * 2 ** 32)) })
    const worker = new SlotWorker({
      data,
      clock,
      doorbell: new Doorbell(data.doorbell, { oneThread: true }),
      exchange: world.broken.has('any-barrier') ? anyBarrier(exchange) : exchange,
      loader: world.loader,
      memory: { usedBytes: () => 0 },
      createKeyedState: createState(world.broken),
      createWindowOperator,
      post: (message, transfer = []) => {
        const copy = structuredClone(message, { transfer: [...transfer] })
        slot.posts(copy)
        if (copy.kind === 'get-chunk') world.chunkWanted()
        clock.defer(() => exited || handlers.onMessage(copy))
        if (world.broken.has('commit-before-completion') && copy.kind === 'checkpoint-acknowledged')
          post({ kind: 'checkpoint-complete', attemptIds: [copy.attemptId], checkpointId: copy.checkpointId })
      },
    })
    const post = (message: ToSlotWorker, transfer: readonly ArrayBuffer[] = []) => {
      const copy = structuredClone(changedMessage(message, world.broken), { transfer: [...transfer] })
      slot.takes(copy)
      this.#records(data.taskManagerId, copy)
      clock.defer(() => exited || worker.handle(copy))
    }
    clock.defer(() => exited || worker.start())
    return {
      post,
      terminate: async () => {
        if (exited) return
        exited = true
        slot.ends()
        worker.stop()
        clock.defer(() => handlers.onExit(undefined))
      },
    }
  }
  #records(taskManagerId: string, message: ToSlotWorker): void {
    const { attempts } = this.world
    if (message.kind === 'deploy')
      for (const { descriptor } of message.tasks) {
        const record = { taskManagerId, abortedUpTo: -1 }
        attempts.set(descriptor.attemptId, record)
        attempts.set(`${message.job.jobGraph.jobId}_${descriptor.attemptId}`, record) // As user code knows it.
      }
    if (message.kind !== 'checkpoint-aborted') return
    for (const id of message.attemptIds) {
      const attempt = attempts.get(id)
      if (attempt) attempt.abortedUpTo = Math.max(attempt.abortedUpTo, message.checkpointId)
    }
  }
}
