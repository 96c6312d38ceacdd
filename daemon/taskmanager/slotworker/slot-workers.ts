/**
 * The workers of a TaskManager's slots: one a slot that is allocated, and spares, already started, that the next slots take. A worker
 * serves one allocation: it is thrown away with it, so nothing that a job left behind meets the next one.
 */
import type { Clock, Timer } from '#core/clock.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { HeartbeatMonitor } from '#rpc/heartbeat.js'
import { createDoorbell } from '../exchange/doorbell.js'
import { createSiteMemory, describeSite, lastSite } from '../task/slot-sites.js'
import { blockedError, type LocatedFrame, locate } from './blocked-error.js'
import type { FromSlotWorker, SlotWorker, SlotWorkerHost, ToSlotWorker } from './protocol.js'

/** A job that comes over from a lost TaskManager takes several slots at once. */
const SPARES_MAX = 2
/** To start one takes the processor from the tasks of the slot that took the last, while they restore. Also after one that died. */
const SPARE_DELAY_MS = 1_000
const PING_INTERVAL_MS = 1_000
/** How long a worker that answers nothing is asked for its stack. */
const STACK_WAIT_MS = 2_000
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
  /** Of this TaskManager: no more spares than slots that may take them, but one. */
  readonly slotCount?: number
  /** False where starting one costs nothing (simulation). */
  readonly keepSpare?: boolean
  onMessage(slotIndex: number, message: FromSlotWorker): void
  /** The slot's worker is gone. `cause` is undefined when it was discarded. */
  onExit(slotIndex: number, cause: FlottError | undefined): void
}

interface RunningWorker {
  slotIndex: number
  readonly doorbell: SharedArrayBuffer
  readonly sites: SharedArrayBuffer
  worker?: SlotWorker
  /** Of the tasks that it was given last. */
  jobGraph?: JobGraph
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
  readonly #spares: RunningWorker[] = []
  #preparing: Timer | undefined
  #stopped = false

  constructor(private readonly options: SlotWorkersOptions) {
    const { clock, watchdogMs } = options
    if (watchdogMs > 0)
      this.#watchdog = new HeartbeatMonitor({ clock, intervalMs: Math.min(PING_INTERVAL_MS, watchdogMs / 3), timeoutMs: watchdogMs })
  }
  start(): void {
    this.#watchdog?.start()
    this.#prepareSpares()
  }
  /** Throws all workers away; their exits are not reported. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#watchdog?.stop()
    this.#preparing?.cancel()
    const all = [...this.#bySlot.values(), ...this.#leaving, ...this.#spares.splice(0)]
    this.#bySlot.clear()
    await Promise.all(all.map((running) => running.worker?.terminate()))
  }

  /** Gives the slot a worker, if it has none. */
  assign(slotIndex: number): void {
    if (this.#stopped || this.#bySlot.has(slotIndex)) return
    const running = this.#spares.shift() ?? this.#start()
    running.slotIndex = slotIndex
    this.#bySlot.set(slotIndex, running)
    if (running.ready) this.#watch(running)
    this.#prepareSparesSoon()
  }
  doorbellOf(slotIndex: number): SharedArrayBuffer | undefined {
    return this.#bySlot.get(slotIndex)?.doorbell
  }
  post(slotIndex: number, message: ToSlotWorker, transfer?: readonly ArrayBuffer[]): void {
    const running = this.#bySlot.get(slotIndex)
    if (running && message.kind === 'deploy') running.jobGraph = message.job.jobGraph
    running?.worker?.post(message, transfer)
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
    const sites = createSiteMemory()
    const running: RunningWorker = { slotIndex: NO_SLOT, doorbell, sites, ready: false, discarded: false, pings: { sequence: 0 } }
    running.worker = host.start(
      { slotIndex: NO_SLOT, taskManagerId, memoryBytes: slotBytes, doorbell, sites, logLevel },
      { onMessage: (message) => this.#take(running, message), onExit: (cause) => this.#exited(running, cause) },
    )
    return running
  }
  #prepareSpares(): void {
    this.#preparing = undefined
    if (this.#stopped || this.options.keepSpare === false) return
    const { slotCount = SPARES_MAX } = this.options
    const wanted = Math.max(1, Math.min(SPARES_MAX, slotCount - this.#bySlot.size))
    while (this.#spares.length < wanted) this.#spares.push(this.#start())
  }
  #prepareSparesSoon(): void {
    if (this.options.keepSpare === false) return
    this.#preparing?.cancel()
    this.#preparing = this.options.clock.setTimer(SPARE_DELAY_MS, () => this.#prepareSpares(), { unref: true })
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
    const spare = this.#spares.indexOf(running)
    if (spare >= 0) {
      this.#spares.splice(spare, 1)
      this.options.logger.error('spare slot worker died', { error: cause })
      this.#prepareSparesSoon()
      return
    }
    this.#bySlot.delete(slotIndex)
    this.#watchdog?.unwatch(String(slotIndex))
    this.options.onExit(slotIndex, running.discarded ? running.verdict : lossOf(cause, running))
  }
  #watch(running: RunningWorker): void {
    this.#watchdog?.watch(String(running.slotIndex), {
      request: () =>
        new Promise((resolve) => {
          running.pings.answered = resolve
          running.worker?.post({ kind: 'ping', sequence: ++running.pings.sequence })
        }),
      onTimeout: (silentMs) => void this.#blocked(running, silentMs),
    })
  }
  async #blocked(running: RunningWorker, silentMs: number): Promise<void> {
    const { jobGraph, worker, sites } = running
    const site = lastSite(sites)
    const stack = worker?.stack ? await this.#stackOf(worker) : undefined
    if (this.#bySlot.get(running.slotIndex) !== running) return // It has gone meanwhile.
    this.discard(running.slotIndex, blockedError({ silentMs, jobGraph, site, stack }))
  }
  async #stackOf(worker: SlotWorker): Promise<readonly LocatedFrame[] | undefined> {
    const { clock, logger } = this.options
    const over = new AbortController()
    const timer = clock.setTimer(STACK_WAIT_MS, () => over.abort(), { unref: true })
    try {
      const frames = await worker.stack?.(over.signal)
      return frames && (await locate(frames))
    } catch (error) {
      logger.warn('the stack of a blocked slot worker could not be read', { error })
      return undefined
    } finally {
      timer.cancel()
    }
  }
}

/** A worker that has died of its memory says nothing any more: what it had entered is in its shared words. */
function lossOf(cause: Error | undefined, { jobGraph, sites }: RunningWorker): FlottError {
  const site = lastSite(sites)
  if (isFlottError(cause, 'MEMORY_EXCEEDED') && jobGraph && site)
    return new FlottError(cause.code, `${cause.message}; last entered: ${describeSite(jobGraph, site)}`, { cause })
  if (cause instanceof FlottError) return cause
  return new FlottError('TASK_LOST', `the slot worker ended: ${cause?.message ?? 'by itself'}`, { cause })
}
