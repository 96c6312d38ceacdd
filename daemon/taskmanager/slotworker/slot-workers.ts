/**
 * The workers of a TaskManager's slots: one a slot that is allocated, and one more, already started, that the next slot takes. A worker
 * serves one allocation: it is thrown away with it, so nothing that a job left behind meets the next one.
 */
import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { HeartbeatMonitor } from '#rpc/heartbeat.js'
import { createDoorbell } from '../exchange/doorbell.js'
import type { FromSlotWorker, SlotWorker, SlotWorkerHost, ToSlotWorker } from './protocol.js'

const SPARE_RETRY_MS = 1_000
const PING_INTERVAL_MS = 1_000
/** slotIndex in the data of a worker that has no slot yet. */
export const NO_SLOT = -1

export interface SlotWorkersOptions {
  readonly host: SlotWorkerHost
  readonly clock: Clock
  readonly logger: Logger
  readonly taskManagerId: string
  readonly slotBytes: number
  readonly logLevel: string
  /** A worker that answers no ping for so long is lost; 0: never. */
  readonly watchdogMs: number
  /** False where starting one costs nothing (simulation). */
  readonly keepSpare?: boolean
  onMessage(slotIndex: number, message: FromSlotWorker): void
  /** The slot's worker is gone. `cause` is undefined when it was discarded. */
  onExit(slotIndex: number, cause: FlottError | undefined): void
}

interface RunningWorker {
  slotIndex: number
  readonly doorbell: SharedArrayBuffer
  worker?: SlotWorker
  /** It runs: from here on it has to answer pings. */
  ready: boolean
  discarded: boolean
  /** Why it is being thrown away by the TaskManager itself. */
  verdict?: FlottError
  pings: { sequence: number; answered?: () => void }
}

export class SlotWorkers {
  readonly #bySlot = new Map<number, RunningWorker>()
  readonly #leaving = new Set<RunningWorker>()
  readonly #watchdog: HeartbeatMonitor<void> | undefined
  #spare: RunningWorker | undefined
  #stopped = false

  constructor(private readonly options: SlotWorkersOptions) {
    const { clock, watchdogMs } = options
    if (watchdogMs > 0)
      this.#watchdog = new HeartbeatMonitor({ clock, intervalMs: Math.min(PING_INTERVAL_MS, watchdogMs / 3), timeoutMs: watchdogMs })
  }
  start(): void {
    this.#watchdog?.start()
    this.#prepareSpare()
  }
  /** Throws all workers away; their exits are not reported. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#watchdog?.stop()
    const all = [...this.#bySlot.values(), ...this.#leaving, ...(this.#spare ? [this.#spare] : [])]
    this.#bySlot.clear()
    this.#spare = undefined
    await Promise.all(all.map((running) => running.worker?.terminate()))
  }

  /** Gives the slot a worker, if it has none. */
  assign(slotIndex: number): void {
    if (this.#stopped || this.#bySlot.has(slotIndex)) return
    const running = this.#spare ?? this.#start()
    this.#spare = undefined
    running.slotIndex = slotIndex
    this.#bySlot.set(slotIndex, running)
    if (running.ready) this.#watch(running)
    this.#prepareSpare()
  }
  doorbellOf(slotIndex: number): SharedArrayBuffer | undefined {
    return this.#bySlot.get(slotIndex)?.doorbell
  }
  post(slotIndex: number, message: ToSlotWorker, transfer?: readonly ArrayBuffer[]): void {
    this.#bySlot.get(slotIndex)?.worker?.post(message, transfer)
  }
  /** Ends the slot's worker; `onExit` follows, with the verdict as its cause. */
  discard(slotIndex: number, verdict?: FlottError): void {
    const running = this.#bySlot.get(slotIndex)
    if (!running || running.discarded) return
    running.discarded = true
    if (verdict) running.verdict = verdict
    this.#watchdog?.unwatch(String(slotIndex))
    this.#terminate(running)
  }

  #start(): RunningWorker {
    const { host, taskManagerId, slotBytes, logLevel } = this.options
    const doorbell = createDoorbell()
    const running: RunningWorker = { slotIndex: NO_SLOT, doorbell, ready: false, discarded: false, pings: { sequence: 0 } }
    running.worker = host.start(
      { slotIndex: NO_SLOT, taskManagerId, memoryBytes: slotBytes, doorbell, logLevel },
      { onMessage: (message) => this.#take(running, message), onExit: (cause) => this.#exited(running, cause) },
    )
    return running
  }
  #prepareSpare(): void {
    if (this.#stopped || this.#spare || this.options.keepSpare === false) return
    this.#spare = this.#start()
  }
  #terminate(running: RunningWorker): void {
    this.#leaving.add(running)
    running.worker?.terminate().catch((error: unknown) => this.options.logger.error('slot worker could not be ended', { error }))
  }
  #take(running: RunningWorker, message: FromSlotWorker): void {
    if (message.kind === 'pong') running.pings.answered?.()
    else if (message.kind === 'ready') this.#becameReady(running)
    else if (running.slotIndex !== NO_SLOT && !running.discarded) this.options.onMessage(running.slotIndex, message)
  }
  #becameReady(running: RunningWorker): void {
    running.ready = true
    if (running.slotIndex !== NO_SLOT && !running.discarded) this.#watch(running)
  }
  #exited(running: RunningWorker, cause: Error | undefined): void {
    const { slotIndex } = running
    this.#leaving.delete(running)
    if (this.#stopped) return
    if (running === this.#spare) {
      this.#spare = undefined
      this.options.logger.error('spare slot worker died', { error: cause })
      this.options.clock.setTimer(SPARE_RETRY_MS, () => this.#prepareSpare(), { unref: true })
      return
    }
    this.#bySlot.delete(slotIndex)
    this.#watchdog?.unwatch(String(slotIndex))
    this.options.onExit(slotIndex, running.discarded ? running.verdict : lossOf(cause))
  }
  #watch(running: RunningWorker): void {
    this.#watchdog?.watch(String(running.slotIndex), {
      request: () =>
        new Promise((resolve) => {
          running.pings.answered = resolve
          running.worker?.post({ kind: 'ping', sequence: ++running.pings.sequence })
        }),
      onTimeout: (silentMs) =>
        this.discard(
          running.slotIndex,
          new FlottError('TASK_BLOCKED', `the slot worker has answered nothing for ${Math.round(silentMs)} ms`),
        ),
    })
  }
}

function lossOf(cause: Error | undefined): FlottError {
  if (cause instanceof FlottError) return cause
  return new FlottError('TASK_LOST', `the slot worker ended: ${cause?.message ?? 'by itself'}`, { cause })
}
