import type { Clock } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import type { Logger } from '#core/logger.js'
import type { FactStore, LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderElection, LeaderRetrieval, Reign } from '#protocol/ha/leadership.js'
import { LeaderListeners } from '../leader-listeners.js'
import { GrantedReign } from '../reign.js'

export interface EmbeddedElectionOptions {
  readonly facts: FactStore
  /** The highest epoch on this disk, and how a higher one is put there. */
  readonly disk: { readonly epoch: Epoch; persistEpoch(epoch: Epoch): Promise<void> }
  readonly clock: Clock
  readonly logger: Logger
  /** Before another try after a takeover that failed. */
  readonly retryWaitMs: number
  /** Told of the leader when it publishes, and of its end: a process without a coordinator finds itself. */
  onPublished?(leader: LeaderInfo | undefined): void
}

/** `high-availability.type: none`: the only candidate leads at once. Its epoch is a counter on its disk, higher with each reign. */
export class EmbeddedLeaderElection implements LeaderElection {
  #candidate: { onGranted(reign: Reign): Promise<void> } | undefined
  #reign: GrantedReign | undefined
  #stopped = true

  constructor(private readonly options: EmbeddedElectionOptions) {}

  async start(candidate: { onGranted(reign: Reign): Promise<void> }): Promise<void> {
    this.#candidate = candidate
    this.#stopped = false
    await this.#grant()
  }

  async stepDown(reason: string, { again }: { again: boolean } = { again: true }): Promise<void> {
    this.#end(reason)
    if (!again) this.#stopped = true
    else if (!this.#stopped) await this.#grant()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#end('stopped')
  }

  async #grant(): Promise<void> {
    const { disk, facts, logger, onPublished } = this.options
    const epoch = nextEpoch(disk.epoch)
    await disk.persistEpoch(epoch)
    if (this.#stopped) return
    const reign = new GrantedReign(epoch, facts, async (info) => onPublished?.(info))
    this.#reign = reign
    logger.info('granted leadership', { epoch })
    this.#candidate!.onGranted(reign).catch((error: unknown) => {
      if (reign.signal.aborted) return
      logger.error('taking over failed', { epoch, error })
      this.#end('taking over failed')
      this.#again()
    })
  }

  #again(): void {
    const { clock, logger, retryWaitMs } = this.options
    clock.setTimer(retryWaitMs, () => {
      if (this.#stopped || this.#reign) return
      this.#grant().catch((error: unknown) => {
        logger.error('no new epoch could be persisted', { error })
        this.#again()
      })
    })
  }

  #end(reason: string): void {
    const reign = this.#reign
    if (!reign) return
    this.#reign = undefined
    this.options.logger.info('leadership ended', { epoch: reign.epoch, reason })
    reign.end(reason)
    this.options.onPublished?.(undefined)
  }
}

function nextEpoch({ incarnation, czxid }: Epoch): Epoch {
  return { incarnation, czxid: (BigInt(`0x${czxid}`) + 1n).toString(16).padStart(16, '0') }
}

/** Who leads is told by configuration (an address), or by the election in the same process through `set`. */
export class FixedLeaderRetrieval implements LeaderRetrieval {
  readonly #listeners = new LeaderListeners()

  constructor(leader?: LeaderInfo) {
    this.#listeners.set(leader)
  }
  get current(): LeaderInfo | undefined {
    return this.#listeners.current
  }
  set(leader: LeaderInfo | undefined): void {
    this.#listeners.set(leader)
  }
  watch(onChange: (leader: LeaderInfo | undefined) => void): () => void {
    return this.#listeners.add(onChange)
  }
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
}
