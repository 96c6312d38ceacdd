/**
 * From one leader to the next, for those who only ask. A leader that stops closes its session, and stays until ZooKeeper shows it the next
 * one. In between nobody can decide anything, so what it knew last is still so: it goes on answering questions, and standbys pass them on
 * to it. What changes something is refused from the first moment.
 *
 *   leads     stop: leaving; nothing is decided any more, then the session ends
 *   leaving   the next leader is seen, or none for HANDOVER_MAX_MS: gone. While ZooKeeper can not be seen, it is silent: there may be one
 *   standby   the leader's node goes: questions are passed on to it for HANDOVER_MAX_MS, or until there is another
 */
import type { Clock } from '#core/clock.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import type { JobManager, Leading } from './job-manager.js'

const HANDOVER_MAX_MS = 1_000

export interface HandoverOptions {
  readonly jobManager: Pick<JobManager, 'start' | 'stop' | 'leading' | 'leaving' | 'retire'>
  readonly retrieval: LeaderRetrieval
  readonly rpcAddress: string
  readonly clock: Clock
  /** Whether there is another one that could lead. */
  hasSuccessor(): boolean
}

export class Handover {
  #last: LeaderInfo | undefined
  #lastSeenMs = Number.NEGATIVE_INFINITY
  readonly #unwatch: () => void

  constructor(private readonly options: HandoverOptions) {
    const { clock, retrieval } = options
    this.#unwatch = retrieval.watch((leader) => {
      if (leader) this.#last = leader
      else this.#lastSeenMs = clock.monotonicMs()
    })
  }
  start(): Promise<void> {
    return this.options.jobManager.start()
  }
  async stop(): Promise<void> {
    const { hasSuccessor, jobManager } = this.options
    const isAwaited = hasSuccessor()
    try {
      await jobManager.stop()
      if (isAwaited) await this.#successor()
    } finally {
      jobManager.retire()
      this.#unwatch()
    }
  }

  /** Of this process, for questions. */
  answering(): Leading | undefined {
    const { jobManager, retrieval, rpcAddress } = this.options
    const { connected, current } = retrieval
    const isLast = connected !== false && (current === undefined || current.rpcAddress === rpcAddress)
    return jobManager.leading() ?? (isLast ? jobManager.leaving() : undefined)
  }
  /** Who may still answer questions while nobody is known to lead. */
  get predecessor(): LeaderInfo | undefined {
    const { clock, retrieval } = this.options
    return retrieval.current === undefined && clock.monotonicMs() - this.#lastSeenMs < HANDOVER_MAX_MS ? this.#last : undefined
  }

  #successor(): Promise<void> {
    const { clock, retrieval, rpcAddress } = this.options
    return new Promise((resolve) => {
      const settle = () => {
        timer.cancel()
        unwatch()
        resolve()
      }
      const timer = clock.setTimer(HANDOVER_MAX_MS, settle)
      const unwatch = retrieval.watch((leader) => {
        if (leader && leader.rpcAddress !== rpcAddress) clock.defer(settle)
      })
    })
  }
}
