import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isPassingTrouble } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { isBadBlob, missingBlobs, type NamingBlobs, type NamingFact, type NamingFacts, namingFacts } from './live-blobs.js'
import type { ReplicatingBlobStore } from './replicating-blob-store.js'

/** After the takeover, which is not to wait for it. */
const BEGIN_MS = 1_000
const RETRY_MS = 5_000

/**
 * What the facts name and this leader's disk has not: a damaged database may have lost it. It comes from another member; soon after the
 * takeover, while somebody has it, and in any case before a standby joins, since that copies what is here and would lack the same.
 */
export class Holes {
  #filled: Promise<void> | undefined

  constructor(
    private readonly options: {
      readonly facts: NamingFacts
      readonly store: Pick<ReplicatingBlobStore, 'get' | 'info' | 'repair'>
      readonly decode: NamingBlobs
      readonly clock: Clock
      readonly logger: Logger
      readonly signal: AbortSignal
    },
  ) {}

  /** Once for all: what is named later has been stored here. What no member has is logged. Fails where a member that may have it can not be asked. */
  filled(): Promise<void> {
    this.#filled ??= this.#fill().catch((error: unknown) => {
      this.#filled = undefined
      throw error
    })
    return this.#filled
  }
  /** Until they are filled. */
  start(): void {
    const { clock, logger, signal } = this.options
    const run = async () => {
      for (let waitMs = BEGIN_MS; ; waitMs = RETRY_MS) {
        await sleep(clock, waitMs, signal)
        try {
          return await this.filled()
        } catch (error) {
          signal.throwIfAborted()
          logger.warn('blobs that are missing on this disk can not be fetched yet', { error })
        }
      }
    }
    run().catch((error: unknown) => {
      if (!signal.aborted) logger.error('blobs that are missing on this disk are not looked for', { error })
    })
  }

  async #fill(): Promise<void> {
    const { facts, store, signal } = this.options
    for await (const fact of namingFacts(facts))
      for (const name of await missingBlobs(await this.#namesOf(fact), store)) {
        signal.throwIfAborted()
        await this.#fetch(fact.jobId, name)
      }
  }
  /** Those that can be known. */
  async #namesOf(fact: NamingFact): Promise<Iterable<string>> {
    const { store, decode } = this.options
    try {
      return await fact.blobs(store, decode)
    } catch (error) {
      if (!isBadBlob(error)) throw error
      this.#nobodyHas(fact.jobId, error)
      return []
    }
  }
  async #fetch(jobId: string, name: string): Promise<void> {
    try {
      await this.options.store.repair(name, new FlottError('BLOB_NOT_FOUND', name))
    } catch (error) {
      if (isPassingTrouble(error) || !isBadBlob(error)) throw error
      this.#nobodyHas(jobId, error)
    }
  }
  #nobodyHas(jobId: string, error: unknown): void {
    this.options.logger.error('a blob that is named is on no disk of the in-sync set', { jobId, error })
  }
}
