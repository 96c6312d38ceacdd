/**
 * TaskManagers that are to go because an operator asked, and what became of those that have gone.
 *
 * That a TaskManager is to go is known in one place: in its own process, which tells each leader again and again, and never goes back on it
 * (taskmanager/departure.ts). A fact takes that place at both ends of the process's part: it says so before the process has heard of it,
 * and afterwards how the process went. It is there before the request is acknowledged, so it outlives the leader. A TaskManager that was
 * signalled needs no fact: nobody was promised anything.
 *
 *   asked, with a fact -> connected: it is told until it knows, cordoned from the first moment
 *                      -> away: it was lost, or has not come to this leader yet. It may live
 *   connected          -> ended by its goodbye, which is acknowledged once the fact says so
 *   connected -> away  -> connected again, or ended: ZooKeeper lists its process no more, or another process has its id. Without ZooKeeper:
 *                         it has not come back in time
 *   ended              -> forgotten after a while; connected again where a process that was taken for dead comes back
 *
 * Who says no goodbye was lost, unless nothing ran there: as far as this leader saw, or as far as the deployments say that it took over.
 * What went without being asked to is remembered in the same way, by this leader alone.
 */
import { type Clock, sleep } from '#core/clock.js'
import { isTransient } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { DrainStatus } from '#protocol/gateways/dispatcher-gateway.js'
import type { DrainProgress } from '#protocol/gateways/resource-manager-gateway.js'
import type { DrainFact, DrainOutcome } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { registrationName, type TaskManagerProcess } from '#protocol/ha/registrations.js'

/** How long an outcome is remembered, and how many are. Those without one are as many as there are TaskManagers, at most. */
const REMEMBERED_MS = 300_000
const REMEMBERED_MAX = 1_000
/** Of what an outcome names as missing: a fact is small. */
const MISSING_MAX = 20
const RETRY_MS = 200

/** Absent `askedTime`: nobody asked, and there is no fact. */
type Drain = Omit<DrainFact, 'askedTime'> & Partial<Pick<DrainFact, 'askedTime'>>
interface Away {
  readonly sinceMs: number
  /** When this leader lost it; undefined: it has never seen it. */
  readonly left: DrainProgress | undefined
}

export interface DrainsOptions {
  readonly reign: Pick<Reign, 'facts' | 'holds' | 'registrations' | 'signal' | 'whenConfirmed'>
  readonly clock: Clock
  readonly logger: Logger
  /** Where nobody registers in ZooKeeper: who stays away for longer is gone. */
  readonly goneAfterMs: number
  /** Slots of that process where tasks ran when this leader took over; undefined: a job does not know. */
  slotsFound(processId: string): number | undefined
}

export class Drains {
  /** By process id, oldest first. */
  readonly #drains = new Map<string, Drain>()
  /** Asked, not ended, not connected. */
  readonly #away = new Map<string, Away>()
  readonly #stored = new WeakSet<Drain>()
  /** Writes, one after the other. */
  #writing: Promise<void> = Promise.resolve()

  constructor(private readonly options: DrainsOptions) {}

  /** Those of leaders before. The jobs are known by now, no TaskManager is. */
  resume(found: readonly DrainFact[]): void {
    for (const fact of [...found].sort((a, b) => a.askedTime - b.askedTime)) {
      this.#drains.set(fact.processId, fact)
      this.#stored.add(fact)
      if (!fact.outcome) this.#goneAway(fact.processId, undefined)
    }
    this.forget()
  }
  /** Durable when it resolves. Repeated calls are harmless. */
  async ask({ taskManagerId, processId }: TaskManagerProcess): Promise<void> {
    const { clock } = this.options
    const known = this.#drains.get(processId)
    this.forget()
    if (known?.askedTime === undefined) this.#put({ ...known, taskManagerId, processId, askedTime: clock.now() })
    await this.#store(processId)
  }
  /** Whether it was asked, and is not known to have gone. */
  wants({ processId }: TaskManagerProcess): boolean {
    const drain = this.#drains.get(processId)
    return drain?.askedTime !== undefined && !drain.outcome
  }
  /** Of a process that is not connected, the last one of that id unless it is named. */
  status(taskManagerId: string, processId?: string): DrainStatus | undefined {
    this.forget()
    const found = [...this.#drains.values()].findLast(
      (drain) => drain.taskManagerId === taskManagerId && (processId === undefined || drain.processId === processId),
    )
    if (!found) return undefined
    const process = { taskManagerId, processId: found.processId, moving: false }
    if (!found.outcome) return { ...process, state: 'DRAINING', ...this.#whileAway(found.processId) }
    const { state, slots, missing } = found.outcome
    return { ...process, state, slots, missing }
  }

  registered({ taskManagerId, processId }: TaskManagerProcess): void {
    this.#away.delete(processId)
    for (const id of this.#away.keys()) if (this.#drains.get(id)?.taskManagerId === taskManagerId) this.#vanished(id)
    const drain = this.#drains.get(processId)
    if (!drain?.outcome) return
    const { outcome: _, ...open } = drain
    if (open.askedTime === undefined) this.#drains.delete(processId)
    else this.#change(open)
  }
  saidGoodbye({ taskManagerId, processId }: TaskManagerProcess, state: DrainOutcome['state'], left: DrainProgress): void {
    const drain = { ...this.#drains.get(processId), taskManagerId, processId }
    this.#end(drain, state, state === 'DRAINED' ? { slots: 0, missing: [] } : left)
  }
  /** Resolves when all that is known of it is durable. */
  async stored(taskManagerId: string): Promise<void> {
    const drains = [...this.#drains.values()].filter((drain) => drain.taskManagerId === taskManagerId)
    await Promise.all(drains.map(({ processId }) => this.#store(processId)))
  }
  /** Its connection is gone, without a goodbye. */
  lost(process: TaskManagerProcess, left: DrainProgress): void {
    if (this.wants(process)) this.#goneAway(process.processId, left)
    else this.#end({ taskManagerId: process.taskManagerId, processId: process.processId }, 'LOST', left)
  }
  /** Registrations may have changed, or time has passed. */
  look(): void {
    const { reign, clock, goneAfterMs } = this.options
    if (!reign.holds()) return // Whoever leads next finds out by itself.
    const { registrations } = reign
    const isGone = (processId: string, sinceMs: number) =>
      registrations
        ? registrations.listed?.has(registrationName(this.#drains.get(processId)!)) === false
        : clock.monotonicMs() - sinceMs >= goneAfterMs
    for (const [processId, { sinceMs }] of this.#away) if (isGone(processId, sinceMs)) this.#vanished(processId)
  }
  forget(): void {
    const now = this.options.clock.now()
    const ended = [...this.#drains.values()].filter(({ outcome }) => outcome)
    ended.forEach(({ processId, askedTime, outcome }, i) => {
      if (now - outcome!.time < REMEMBERED_MS && ended.length - i <= REMEMBERED_MAX) return
      this.#drains.delete(processId)
      if (askedTime !== undefined) this.#delete(processId)
    })
  }

  #goneAway(processId: string, left: DrainProgress | undefined): void {
    const { clock, goneAfterMs, reign } = this.options
    this.#away.set(processId, { sinceMs: clock.monotonicMs(), left })
    if (!reign.registrations) clock.setTimer(goneAfterMs, () => this.look(), { unref: true })
    this.look()
  }
  #whileAway(processId: string): { slots: number; missing: readonly string[] } {
    const { clock, goneAfterMs, slotsFound } = this.options
    const { sinceMs, left } = this.#away.get(processId) ?? { sinceMs: clock.monotonicMs() }
    const isLong = clock.monotonicMs() - sinceMs >= goneAfterMs
    return { slots: left?.slots ?? slotsFound(processId) ?? 0, missing: isLong ? ['it is not connected to the leader'] : [] }
  }
  #vanished(processId: string): void {
    const left = this.#away.get(processId)?.left
    const slots = left ? left.slots : this.options.slotsFound(processId)
    this.#end(this.#drains.get(processId)!, slots === 0 ? 'DRAINED' : 'LOST', { slots: slots ?? 0, missing: left?.missing ?? [] })
  }
  #end(drain: Drain, state: DrainOutcome['state'], { slots, missing }: Pick<DrainOutcome, 'slots' | 'missing'>): void {
    this.#away.delete(drain.processId)
    const outcome = { state, slots, missing: missing.slice(0, MISSING_MAX), time: this.options.clock.now() }
    this.#change({ ...drain, outcome })
  }

  /** Now it is the newest. */
  #put(drain: Drain): void {
    this.#drains.delete(drain.processId)
    this.#drains.set(drain.processId, drain)
  }
  #change(drain: Drain): void {
    this.#put(drain)
    const { processId } = drain
    this.#store(processId).catch((error: unknown) => {
      this.options.logger.warn('what became of a TaskManager that was to be drained is not stored', { processId, error })
    })
  }
  #delete(processId: string): void {
    const { logger, reign } = this.options
    this.#writing = this.#writing
      .then(() => reign.facts.deleteDrain(processId))
      .catch((error: unknown) => logger.debug('a drain is not forgotten yet', { processId, error }))
  }
  #store(processId: string): Promise<void> {
    const stored = this.#writing.then(() => this.#write(processId))
    this.#writing = stored.catch(() => {}) // Its caller hears of it.
    return stored
  }
  /** What is known by then. Until the store takes it, or the reign ends. */
  async #write(processId: string): Promise<void> {
    const { clock, logger, reign } = this.options
    for (;;) {
      await reign.whenConfirmed()
      const drain = this.#drains.get(processId)
      if (drain?.askedTime === undefined || this.#stored.has(drain)) return
      try {
        await reign.facts.setDrain({ ...drain, askedTime: drain.askedTime })
        this.#stored.add(drain)
        return
      } catch (error) {
        if (!reign.holds() || !isTransient(error)) throw error
        logger.debug('a drain is not stored yet', { processId, error })
      }
      await sleep(clock, RETRY_MS, reign.signal)
    }
  }
}
