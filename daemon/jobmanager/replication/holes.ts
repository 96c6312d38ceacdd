import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isPassingTrouble } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { isBadBlob, missingBlobs, type NamingBlobs, type NamingFact, type NamingFacts, namingFacts } from './live-blobs.js'
import type { ReplicatingBlobStore } from './replicating-blob-store.js'

/** After the takeover, which is not to wait for it. */
const BEGIN_MS = 1_000
const RETRY_MS = 5_000
/** Stands for what can not be read. */
const NOTHING = new Uint8Array(0)

/**
 * What the facts name and this leader's disk has not: a damaged database may have lost it, or an operator has let a stale disk lead. It
 * comes from another member; soon after the takeover, while somebody has it, and in any case before a standby joins, since that copies
 * what is here and would lack the same. What no member has is looked for again when somebody joins: it may be one with a disk that was
 * thought lost.
 */
export class Holes {
  #filled: Promise<void> | undefined
  /** Something was on no disk of the set. */
  #left = false

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
  /**
   * Somebody is about to be a member: what nobody had may be on this disk. It reaches all others before, or a next leader that has it would
   * not know who lacks it.
   */
  async memberJoins(): Promise<void> {
    await this.filled()
    if (!this.#left) return
    this.#left = false
    this.#filled = undefined
    await this.filled()
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
    for await (const fact of namingFacts(facts)) {
      const { names, unreadable } = await this.#namesOf(fact)
      for (const [name, error] of unreadable) this.#nobodyHas(fact.jobId, name, error)
      for (const name of await missingBlobs(names, store)) {
        signal.throwIfAborted()
        if (!unreadable.has(name)) await this.#fetch(fact.jobId, name)
      }
    }
  }
  /** Those that can be known: what an unreadable manifest or deployment names can not. */
  async #namesOf(fact: NamingFact): Promise<{ names: Iterable<string>; unreadable: ReadonlyMap<string, unknown> }> {
    const { store, decode } = this.options
    const unreadable = new Map<string, unknown>()
    const readable = {
      get: (name: string) =>
        store.get(name).catch((error: unknown) => {
          if (!isBadBlob(error)) throw error
          unreadable.set(name, error)
          return NOTHING
        }),
    }
    const names = await fact.blobs(readable, {
      manifest: (bytes) => (bytes === NOTHING ? { vertices: [] } : decode.manifest(bytes)),
      deployment: (bytes) => (bytes === NOTHING ? {} : decode.deployment(bytes)),
    })
    return { names, unreadable }
  }
  async #fetch(jobId: string, name: string): Promise<void> {
    try {
      await this.options.store.repair(name, new FlottError('BLOB_NOT_FOUND', name))
    } catch (error) {
      if (isPassingTrouble(error) || !isBadBlob(error)) throw error
      this.#nobodyHas(jobId, name, error)
    }
  }
  #nobodyHas(jobId: string, blob: string, error: unknown): void {
    this.#left = true
    this.options.logger.error('a blob that is named is on no disk of the in-sync set', { jobId, blob, error })
  }
}
