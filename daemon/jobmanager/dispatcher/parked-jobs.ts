/**
 * A job can kill its leaders: what a JobManager runs for it (its enumerators, the merging of its accumulators) is user code, and an
 * allocation that is large enough ends the process. The next leader would find the same job, and die of it.
 *
 * So the job's fact counts the recoveries that were begun and not survived:
 *   0 -> begun:   the leader that finds the job counts one more, durably, before it does anything else with it
 *   begun -> 0:   all tasks run under the leader, its enumerators too; or it has lived SURVIVED_AFTER_MS with the job; or it stops cleanly
 *   begun twice:  the next leader parks the job. Its tasks run on, nobody moves them, and all other jobs are served. After a while, longer
 *                 with each leader that it cost, the job is tried again: one parked job at a time, so that it is known which one it was.
 * A reign that ends early for another reason (its session expired) counts as well; it costs the job a wait, never a restart.
 */
import type { Clock, Timer } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { JobDetails, JobOverview } from '#protocol/gateways/dispatcher-gateway.js'
import type { SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobFact, Versioned } from '#protocol/ha/facts.js'
import type { SlotOwner, SlotProvider, TaskManagerInfo } from '../resourcemanager/slot-provider.js'
import { bareDetails, bareOverview } from './completed-jobs.js'

export const SURVIVED_AFTER_MS = 10_000
const RECOVERIES_MAX = 2
const RETRY_MIN_MS = 15_000
const RETRY_MAX_MS = 600_000

export function recoveryBegun(fact: JobFact): JobFact {
  return { ...fact, unfinishedRecoveries: (fact.unfinishedRecoveries ?? 0) + 1 }
}
export function recoverySurvived(fact: JobFact): JobFact {
  const { unfinishedRecoveries: _, ...rest } = fact
  return rest
}
export function isToBeParked({ unfinishedRecoveries = 0 }: JobFact): boolean {
  return unfinishedRecoveries >= RECOVERIES_MAX
}
/** Twice as long with each leader that the job has cost. */
export function retryAfterMs({ unfinishedRecoveries = 0 }: JobFact): number {
  return Math.min(RETRY_MIN_MS * 2 ** Math.max(0, unfinishedRecoveries - RECOVERIES_MAX), RETRY_MAX_MS)
}

interface Parked {
  readonly fact: Versioned<JobFact>
  readonly dueMs: number
  readonly release: () => void
  resuming?: Promise<void>
}
export type Resume = (jobId: string, release: () => void) => Promise<void>

export interface ParkedJobsOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly slots: Pick<SlotProvider, 'connectJobMaster'>
  /** Tries a job once more. Its JobMaster has its slots then, or `release` frees them. Where it rejects, the job stays parked. */
  readonly retry: Resume
}

export class ParkedJobs {
  readonly #jobs = new Map<string, Parked>()
  #timer: Timer | undefined
  #stopped = false

  constructor(private readonly options: ParkedJobsOptions) {}

  get size(): number {
    return this.#jobs.size
  }
  park(fact: Versioned<JobFact>): void {
    const { clock, logger, slots } = this.options
    const { jobId, unfinishedRecoveries } = fact.value
    const retryMs = retryAfterMs(fact.value)
    logger.error('a job is parked: its last recoveries were not survived', { jobId, unfinishedRecoveries, retryMs })
    const release = slots.connectJobMaster(jobId, new ParkedSlots())
    this.#jobs.set(jobId, { fact, dueMs: clock.monotonicMs() + retryMs, release })
    this.#schedule()
  }
  /** It is parked no more once `resume` has done its work; whoever comes meanwhile waits. Nothing to do for a job that is not parked. */
  async resume(jobId: string, resume: Resume): Promise<void> {
    for (let parked = this.#jobs.get(jobId); parked; parked = this.#jobs.get(jobId)) {
      if (parked.resuming) {
        await parked.resuming.catch(() => {}) // Its own caller hears of it.
        continue
      }
      parked.resuming = resume(jobId, parked.release)
      try {
        await parked.resuming
        this.#jobs.delete(jobId)
      } finally {
        delete parked.resuming
      }
      return
    }
  }
  get(jobId: string): JobFact | undefined {
    return this.#jobs.get(jobId)?.fact.value
  }
  overviews(): readonly JobOverview[] {
    return [...this.#jobs.values()].map((parked) => this.#overview(parked))
  }
  details(jobId: string, jobGraph: JobGraph): JobDetails | undefined {
    const parked = this.#jobs.get(jobId)
    return parked && { ...bareDetails(parked.fact.value, jobGraph), ...this.#overview(parked) }
  }
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #overview({ fact, dueMs }: Parked): JobOverview {
    const waitSeconds = Math.max(0, Math.ceil((dueMs - this.options.clock.monotonicMs()) / 1000))
    const { unfinishedRecoveries } = fact.value
    return {
      ...bareOverview(fact.value, 'SUSPENDED', -1),
      waitingFor: `parked: ${unfinishedRecoveries} leaders in a row ended while they recovered this job; tried again in ${waitSeconds} s, flott cancel gives it up`,
    }
  }
  #schedule(): void {
    this.#timer?.cancel()
    const due = Math.min(...[...this.#jobs.values()].map(({ dueMs }) => dueMs))
    if (this.#stopped || this.#jobs.size === 0) return
    const { clock } = this.options
    this.#timer = clock.setTimer(Math.max(0, due - clock.monotonicMs()), () => void this.#tryNext(), { unref: true })
  }
  async #tryNext(): Promise<void> {
    const { clock, logger, retry } = this.options
    const next = [...this.#jobs].find(([, { dueMs }]) => dueMs <= clock.monotonicMs())
    if (next) {
      const [jobId] = next
      logger.warn('a parked job is tried again', { jobId })
      await this.resume(jobId, retry).catch((cause: unknown) => logger.warn('a parked job could not be tried', { jobId, cause }))
    }
    // Who comes next waits until this one was survived.
    if (!this.#stopped) this.#timer = clock.setTimer(next ? SURVIVED_AFTER_MS : 0, () => this.#schedule(), { unref: true })
  }
}

/** Stands for the JobMaster that is not there: all that the job holds stays as it is. */
class ParkedSlots implements SlotOwner {
  taskManagerRegistered(_info: TaskManagerInfo, _attempts: unknown, slots: readonly SlotReport[]): ReadonlySet<string> {
    return new Set(slots.flatMap(({ allocationId }) => (allocationId === undefined ? [] : [allocationId])))
  }
  drainProgress(): { readonly moving: false; readonly missing: string } {
    return { moving: false, missing: 'it is parked' }
  }
  slotsFound(): undefined {}
  slotsGranted(): void {}
  slotLost(): void {}
  taskManagerLost(): void {}
  registrationsListed(): void {}
  taskManagerDraining(): void {}
  heartbeatReceived(): void {}
}
