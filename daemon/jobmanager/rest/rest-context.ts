/** What the handlers are given: the leader's parts while this process leads, and how to find the leader while it does not. */
import type { Clock } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { DiskResponse } from '#protocol/rest/storage-check.js'
import type { Leading } from '../job-manager.js'

export interface RestContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  /** Present while this process leads and serves. */
  leading(): Leading | undefined
  /** For questions: also while this process hands leadership over (handover.ts). */
  answering(): Leading | undefined
  /** Who may answer questions while `leader` is undefined. */
  predecessor(): LeaderInfo | undefined
  /** The leader as last published; undefined while none is known. */
  leader(): LeaderInfo | undefined
  /** Why this process can not lead, where there is a reason. */
  hindrance(): string | undefined
  /** What is on this JobManager's own disk. LEADER_SUSPENDED, ZOOKEEPER_UNAVAILABLE. */
  disk(): Promise<DiskResponse>
  /** Effective configuration of this JobManager; secrets masked. */
  readonly configuration: readonly { readonly key: string; readonly value: string }[]
  /** Extra lines for /metrics in Prometheus' text format. */
  processMetrics(): string
  readonly maxContentLength: number
}
