import { isDeepStrictEqual } from 'node:util'
import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isFlottError, isStorageTrouble } from '#core/errors.js'
import type { FactStore, JobFact, Versioned } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'

const RETRY_MS = 200

/** A job's fact under one reign: changes are applied one after the other, each durable before the next begins. */
export class JobFactKeeper {
  #confirmed: Versioned<JobFact>
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly reign: Reign,
    private readonly clock: Clock,
    current: Versioned<JobFact>,
  ) {
    this.#confirmed = current
  }
  /** The newest confirmed value. */
  get fact(): JobFact {
    return this.#confirmed.value
  }
  get version(): number {
    return this.#confirmed.version
  }

  /** Waits while the leader is suspended; rejects with NOT_LEADER when the reign ended, with FACT_CONFLICT when someone else wrote. */
  update(change: (fact: JobFact) => JobFact): Promise<JobFact> {
    const done = this.#last.then(() => this.#apply(change))
    this.#last = done.catch(() => {})
    return done
  }

  /** A set whose outcome is not known is repeated until it is: what the fact may name must not be deleted meanwhile. */
  async #apply(change: (fact: JobFact) => JobFact): Promise<JobFact> {
    for (let repeated = false; ; repeated = true) {
      await this.reign.whenConfirmed()
      if (this.reign.signal.aborted) throw new FlottError('NOT_LEADER', 'the reign has ended')
      const next = change(this.#confirmed.value)
      if (isDeepStrictEqual(next, this.#confirmed.value)) return next
      const version = await this.#set(this.reign.facts, next, repeated)
      if (version !== undefined) {
        this.#confirmed = { value: next, version }
        return next
      }
      await sleep(this.clock, RETRY_MS, this.reign.signal)
    }
  }
  /** undefined when it is not known whether the set happened, and it did not: once more. */
  async #set(facts: FactStore, next: JobFact, repeated: boolean): Promise<number | undefined> {
    try {
      return await facts.setJob(next, this.#confirmed.version)
    } catch (error) {
      // The reign is over with its session, and is about to learn it: no failure of the job's may follow from it.
      if (isFlottError(error, 'ZOOKEEPER_SESSION_EXPIRED')) await aborted(this.reign.signal)
      if (this.reign.signal.aborted) throw new FlottError('NOT_LEADER', 'the reign has ended', { cause: error })
      // A disk that failed under the write may have taken it all the same, and shows it once the database is opened anew.
      const unknown = isFlottError(error, 'ZOOKEEPER_UNAVAILABLE') || isStorageTrouble(error)
      if (!unknown && !(repeated && isFlottError(error, 'FACT_CONFLICT'))) throw error
      await this.reign.whenConfirmed()
      await facts.sync()
      const found = await facts.readJob(next.jobId)
      if (found && found.version !== this.#confirmed.version && isDeepStrictEqual(found.value, next)) return found.version
      if (!unknown) throw error
      return undefined
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
