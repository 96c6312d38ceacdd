import type { Epoch } from '#core/epoch.js'

export interface MethodPolicy {
  readonly timeoutMs: number
  readonly idempotent: boolean
}
/** What an RPC interface offers. The name is on the wire. */
export interface Gateway<G> {
  readonly name: string
  readonly methods: { readonly [M in keyof G]: MethodPolicy }
}
/** Plain data: TCP, a MessagePort and the simulated network carry the same thing. `target` picks one of several endpoints of a kind (a job's id). */
export interface Call {
  readonly gateway: string
  readonly target?: string
  readonly method: string
  readonly epoch: Epoch
  readonly request: unknown
}

/** A method left out does not compile. */
export function defineGateway<G>(name: string, methods: Gateway<G>['methods']): Gateway<G> {
  return { name, methods }
}
