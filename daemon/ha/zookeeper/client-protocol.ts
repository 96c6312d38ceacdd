/** What the main thread and the thread in which the ZooKeeper library runs (client-thread.ts) say to each other. */

/** As the library takes it. */
export interface HandleConfig {
  /** 'address:port,address:port' */
  readonly connect: string
  /** In milliseconds. */
  readonly timeout: number
  /** Of the session to attach to; absent: a new one. */
  readonly client_id?: string
  readonly client_password?: string
}
export interface SessionOfHandle {
  readonly id: string
  readonly password: string
  /** As agreed with the server. */
  readonly timeoutMs: number
}
/** CONNECTING <-> CONNECTED; DROPPED: it had lost its connection and was thrown away, its session may live; EXPIRED: its session is over. */
export type HandleState = 'CONNECTING' | 'CONNECTED' | 'DROPPED' | 'EXPIRED'

export type Method =
  | 'a_create'
  | 'a_get'
  | 'aw_get'
  | 'aw_exists'
  | 'a_get_children'
  | 'aw_get_children'
  | 'a_set'
  | 'a_delete_'
  | 'a_set_acl'
  | 'a_sync'
  | 'add_auth'

/** The library's return code (result-codes.ts) and text, and what the method gives when it succeeds. */
export interface Answer {
  readonly rc: number
  readonly text: string
  readonly values: readonly unknown[]
}

export type ToClientThread =
  | { readonly kind: 'open'; readonly handle: number; readonly config: HandleConfig }
  /** `args`: without callbacks. Methods with a watch say 'changed' once or never. */
  | { readonly kind: 'call'; readonly handle: number; readonly call: number; readonly method: Method; readonly args: readonly unknown[] }
  /** It is DROPPED, or CONNECTED by now: that is said before, or follows. */
  | { readonly kind: 'drop'; readonly handle: number }
  /** Ends the session, if the handle is connected. */
  | { readonly kind: 'close'; readonly handle: number }
  /** The process exits: all handles are closed, then ClientThreadData.ended is 1. */
  | { readonly kind: 'end' }

export interface ClientThreadData {
  readonly ended: Int32Array<SharedArrayBuffer>
}

export type FromClientThread =
  | { readonly kind: 'state'; readonly handle: number; readonly state: HandleState; readonly session?: SessionOfHandle }
  | { readonly kind: 'not-opened'; readonly handle: number; readonly text: string }
  | ({ readonly kind: 'answer'; readonly handle: number; readonly call: number } & Answer)
  | { readonly kind: 'changed'; readonly handle: number; readonly call: number }
  | { readonly kind: 'closed'; readonly handle: number }
