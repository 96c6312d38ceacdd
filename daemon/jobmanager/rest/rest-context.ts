/** What the handlers are given: the leader's parts while this process leads, and how to find the leader while it does not. */
import type { Clock } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { DispatcherGateway } from '#protocol/gateways/dispatcher-gateway.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'

export interface RestContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  /** Present while this process leads and serves. */
  leading(): { readonly dispatcher: DispatcherGateway; readonly blobs: ReplicatedBlobStore; readonly info: LeaderInfo } | undefined
  /** The leader as last published; undefined while none is known. */
  leader(): LeaderInfo | undefined
  /** Effective configuration of this JobManager; secrets masked. */
  readonly configuration: readonly { readonly key: string; readonly value: string }[]
  /** Extra lines for /metrics in Prometheus' text format. */
  processMetrics(): string
  readonly maxContentLength: number
}
