/**
 * A TaskManager that is to go: it takes no new slots, tells the leader again and again that it wants to be drained, and goes when there
 * is nothing left, or nothing to wait for. The wish is this process's alone: a leader learns it by the calls, and by the registration.
 * An operator's request is that wish from the moment at which it comes here (resourcemanager/drains.ts has what is before and after).
 *
 * State: since when it waits without a leader, until when it waits at all, and whether it waits for slots that are not there.
 * Event: how things are at the moment; what follows, in this order
 *   no slot is a job's any more         -> go, drained
 *   the time is over                    -> go; what is left fails, as with a crash
 *   no leader answers                   -> wait; not patient: only as long as a change of leader may take
 *   the leader says that a job moves    -> wait
 *   it says that nothing can be moved   -> not patient: go. So a cluster that is stopped as a whole stops at once
 * Before it goes, it says goodbye with what became of it. Where an operator waits for that, and no leader takes it, the next one is told:
 * patient still, it waits for as long as a change of leader may take.
 *
 * Invariants: it goes at the latest at its time, or after that wait; once it is drained nothing is allocated to it any more, since it
 * refuses by itself.
 */
import { type Clock, sleep } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { DrainProgress } from '#protocol/gateways/resource-manager-gateway.js'

export interface DepartureState {
  /** Clock.monotonicMs. */
  readonly untilMs: number
  /** Also for slots that are not there yet: an operator asked, and may start another TaskManager. */
  readonly patient: boolean
  readonly leaderlessSinceMs: number | undefined
  /** What was missing, as the leader said last. */
  readonly missing: readonly string[]
}
export interface DepartureView {
  readonly nowMs: number
  /** Slots that are a job's. */
  readonly slots: number
  /** Undefined: no leader answered. */
  readonly progress: DrainProgress | undefined
}
export interface DepartureOutcome {
  readonly drained: boolean
  readonly cause: string
}

/** How long a change of leader may take: a session's end, and the next one's begin. */
const LEADERLESS_MS = 10_000
const POLL_MS = 100

export function beginDeparture(nowMs: number, timeoutMs: number, patient: boolean): DepartureState {
  return { untilMs: nowMs + timeoutMs, patient, leaderlessSinceMs: undefined, missing: [] }
}

export function stepDeparture(departure: DepartureState, view: DepartureView): { departure: DepartureState; outcome?: DepartureOutcome } {
  const { nowMs, slots, progress } = view
  const leaderlessSinceMs = progress ? undefined : (departure.leaderlessSinceMs ?? nowMs)
  const next = { ...departure, leaderlessSinceMs, missing: progress?.missing ?? departure.missing }
  const left = `${slots} ${slots === 1 ? 'slot is' : 'slots are'} in use`
  const go = (drained: boolean, cause: string) => ({ departure: next, outcome: { drained, cause } })
  if (slots === 0) return go(true, 'it is drained')
  if (nowMs >= departure.untilMs) return go(false, [`${left}, and the time is over`, ...next.missing].join('; '))
  if (departure.patient) return { departure: next }
  if (leaderlessSinceMs !== undefined)
    return nowMs - leaderlessSinceMs >= LEADERLESS_MS ? go(false, `${left}, and there is no leader`) : { departure: next }
  if (progress!.moving || progress!.missing.length === 0) return { departure: next }
  return go(false, [`${left} that can not be moved`, ...progress!.missing].join('; '))
}

export interface DepartureOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly timeoutMs: number
  /** How many slots are a job's at the moment. */
  slots(): number
  /** Tells the leader of the wish; undefined where none is known. */
  ask(): Promise<DrainProgress> | undefined
  /** Tells the leader how it ends. Rejects where none took that. */
  sayGoodbye(outcome: DepartureOutcome): Promise<void>
}

/** The shell: asks, looks, and decides anew. */
export class Departure {
  #state: DepartureState | undefined
  #going: Promise<void> | undefined
  outcome: DepartureOutcome | undefined

  constructor(private readonly options: DepartureOptions) {}

  get begun(): boolean {
    return this.#state !== undefined
  }
  /** Resolves when the TaskManager may go. Repeated calls only take patience away. */
  begin(patient: boolean): Promise<void> {
    const { clock, timeoutMs } = this.options
    const state = this.#state ?? beginDeparture(clock.monotonicMs(), timeoutMs, patient)
    this.#state = { ...state, patient: state.patient && patient }
    this.#going ??= this.#go()
    return this.#going
  }
  async #go(): Promise<void> {
    const { clock, logger, slots } = this.options
    logger.info('the TaskManager is to go', { slots: slots() })
    for (;;) {
      const progress = slots() === 0 ? undefined : await this.#ask()
      const before = this.#state!
      const { departure, outcome } = stepDeparture(before, { nowMs: clock.monotonicMs(), slots: slots(), progress })
      this.#state = departure
      this.outcome = outcome
      if (outcome) {
        logger[outcome.drained ? 'info' : 'warn']('the TaskManager goes', { ...outcome })
        return this.#sayGoodbye(outcome)
      }
      if (departure.missing.join() !== before.missing.join()) logger.info('draining waits', { missing: departure.missing })
      await sleep(clock, POLL_MS)
    }
  }
  async #sayGoodbye(outcome: DepartureOutcome): Promise<void> {
    const { clock, logger, sayGoodbye } = this.options
    const untilMs = clock.monotonicMs() + LEADERLESS_MS
    for (;;) {
      try {
        return await sayGoodbye(outcome)
      } catch (error) {
        if (!this.#state!.patient || clock.monotonicMs() >= untilMs) return logger.warn('the leader did not take the goodbye', { error })
      }
      await sleep(clock, POLL_MS)
    }
  }
  async #ask(): Promise<DrainProgress | undefined> {
    try {
      return await this.options.ask()
    } catch (error) {
      this.options.logger.debug('the leader did not take the wish to be drained', { error })
      return undefined
    }
  }
}
