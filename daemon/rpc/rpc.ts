import type { Epoch, HighestEpoch } from '#core/epoch.js'
import type { Gateway } from '#protocol/gateway.js'

/**
 * Typed calls in both directions over one connection. Real: WebSocket on the process's internal endpoint; in a simulation: the
 * simulated network. Every call carries an epoch; the receiver refuses one lower than the highest it has seen (NOT_LEADER) and adopts
 * a higher one.
 */
export interface RpcConnection {
  readonly remoteAddress: string
  /** A proxy of the peer's endpoint. Calls fail with RPC_TIMEOUT, CONNECTION_LOST, NOT_LEADER, UNKNOWN_METHOD, or the endpoint's own FlottError (same code). */
  gateway<G extends object>(gateway: Gateway<G>, options: { epoch(): Epoch; target?: string }): G
  /** Aborted, with the reason, once the connection is closed by either side. */
  readonly closed: AbortSignal
  close(reason?: string): void
}

/** Second argument of every endpoint method. */
export interface CallContext {
  readonly connection: RpcConnection
  readonly epoch: Epoch
}
export type Endpoint<G> = {
  readonly [M in keyof G]: G[M] extends (request: infer Q) => infer A ? (request: Q, context: CallContext) => A : never
}

/** What a process serves. Endpoints come and go with leadership and jobs; a call to an absent one fails with NOT_LEADER when it has no target, else JOB_NOT_FOUND. */
export interface EndpointRegistry {
  /** Returns the removal. */
  register<G extends object>(gateway: Gateway<G>, endpoint: Endpoint<G>, target?: string): () => void
}

export interface RpcNetwork {
  /** Connects to 'host:port'. CONNECTION_REFUSED, RPC_TIMEOUT. What the process serves is offered to the peer, too. */
  dial(address: string, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<RpcConnection>
  /** All that a connected peer may call. */
  readonly endpoints: EndpointRegistry
  readonly seen: HighestEpoch
}
