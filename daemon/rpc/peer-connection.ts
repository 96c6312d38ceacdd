/**
 * Calls in both directions over one ordered stream of messages, whatever carries it. The carrier hands received messages to `receive`,
 * says `lost` when it closed, and gives the functions that send a message and hang up.
 */
import type { Clock, Timer } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { deserializeError, FlottError, isFlottError, type SerializedError, serializeError } from '#core/errors.js'
import type { Call, Gateway, MethodPolicy } from '#protocol/gateway.js'
import type { Endpoints } from './endpoint-registry.js'
import type { RpcConnection } from './rpc.js'

export type RpcMessage =
  | { readonly kind: 'call'; readonly id: number; readonly call: Call }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: SerializedError }

export interface Carrier {
  /** Sends, or throws: PAYLOAD_TOO_LARGE, or what the encoder says of a value that can not be sent. */
  send(message: RpcMessage): void
  hangUp(reason: string): void
}

export interface PeerLimits {
  /** Unanswered calls on one connection, each way. */
  readonly callsInFlightMax: number
}
export const PEER_LIMITS: PeerLimits = { callsInFlightMax: 4096 }

interface PendingCall {
  readonly timer: Timer
  resolve(value: unknown): void
  reject(error: Error): void
}

export class PeerConnection implements RpcConnection {
  readonly #pending = new Map<number, PendingCall>()
  readonly #closing = new AbortController()
  #nextId = 1
  #served = 0

  constructor(
    readonly remoteAddress: string,
    private readonly carrier: Carrier,
    private readonly owner: { readonly clock: Clock; readonly endpoints: Endpoints },
    private readonly limits: PeerLimits = PEER_LIMITS,
  ) {}

  get closed(): AbortSignal {
    return this.#closing.signal
  }

  gateway<G extends object>(gateway: Gateway<G>, options: { epoch(): Epoch; target?: string }): G {
    const { target, epoch } = options
    const call = (method: string, policy: MethodPolicy) => async (request: unknown) =>
      this.#call({ gateway: gateway.name, ...(target === undefined ? {} : { target }), method, epoch: epoch(), request }, policy)
    return Object.fromEntries(Object.entries<MethodPolicy>(gateway.methods).map(([method, policy]) => [method, call(method, policy)])) as G
  }

  close(reason = 'closed by this side'): void {
    if (this.#closing.signal.aborted) return
    this.carrier.hangUp(reason)
    this.lost(reason)
  }

  /** The carrier is gone: whoever waits for an answer learns it now. */
  lost(reason: string): void {
    if (this.#closing.signal.aborted) return
    const error = new FlottError('CONNECTION_LOST', `connection to ${this.remoteAddress}: ${reason}`)
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#closing.abort(error)
    for (const call of pending) {
      call.timer.cancel()
      call.reject(error)
    }
  }

  /** A message that came in. Garbage closes the connection. */
  receive(message: unknown): void {
    if (this.#closing.signal.aborted) return
    if (!isMessage(message)) return void this.close('the peer sent what is no RPC message')
    if (message.kind === 'call') return void this.#serve(message.id, message.call)
    const call = this.#pending.get(message.id)
    if (!call) return // It has timed out here.
    this.#pending.delete(message.id)
    call.timer.cancel()
    if (message.kind === 'answer') call.resolve(message.value)
    else call.reject(deserializeError(message.error))
  }

  #call(call: Call, policy: MethodPolicy): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) return reject(notSent(call, this.#closing.signal.reason))
      if (this.#pending.size >= this.limits.callsInFlightMax)
        return reject(new FlottError('RPC_OVERLOADED', `${this.#pending.size} calls to ${this.remoteAddress} are unanswered`))
      const id = this.#nextId++
      const expire = () => {
        this.#pending.delete(id)
        reject(new FlottError('RPC_TIMEOUT', `${call.gateway}.${call.method} got no answer in ${policy.timeoutMs} ms`))
      }
      this.#pending.set(id, { timer: this.owner.clock.setTimer(policy.timeoutMs, expire), resolve, reject })
      try {
        this.carrier.send({ kind: 'call', id, call })
      } catch (error) {
        this.#pending.get(id)?.timer.cancel()
        this.#pending.delete(id)
        reject(asFlottError(error, `${call.gateway}.${call.method} could not be sent`))
      }
    })
  }

  async #serve(id: number, call: Call): Promise<void> {
    if (this.#served >= this.limits.callsInFlightMax)
      return this.#fail(id, new FlottError('RPC_OVERLOADED', `${this.#served} calls from ${this.remoteAddress} are unanswered`))
    this.#served++
    try {
      const value = await this.owner.endpoints.dispatch(call, { connection: this, epoch: call.epoch })
      if (!this.#closing.signal.aborted) this.carrier.send({ kind: 'answer', id, value })
    } catch (error) {
      this.#fail(id, asFlottError(error, `${call.gateway}.${call.method}`))
    } finally {
      this.#served--
    }
  }

  #fail(id: number, error: FlottError): void {
    if (this.#closing.signal.aborted) return
    try {
      this.carrier.send({ kind: 'failure', id, error: serializeError(error) })
    } catch (cause) {
      this.close(`an error could not be sent: ${messageOf(cause)}`)
    }
  }
}

/** What an endpoint throws arrives with its code; what has none is INTERNAL, with the cause kept. */
function asFlottError(error: unknown, what: string): FlottError {
  return isFlottError(error) ? error : new FlottError('INTERNAL', `${what}: ${messageOf(error)}`, { cause: error })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Says of a call that was never sent what is true of it, but as an error of its own, so that its stack leads to the caller. */
function notSent(call: Call, cause: unknown): FlottError {
  return new FlottError('CONNECTION_LOST', `${call.gateway}.${call.method} was not sent: the connection is closed`, { cause })
}

function isMessage(message: unknown): message is RpcMessage {
  const { kind, id, call, error } = (message ?? {}) as { kind?: unknown; id?: unknown; call?: Call; error?: unknown }
  if (!Number.isSafeInteger(id)) return false
  if (kind === 'call') return typeof call?.gateway === 'string' && typeof call.method === 'string' && isTarget(call.target)
  return kind === 'answer' || (kind === 'failure' && typeof (error as SerializedError | undefined)?.message === 'string')
}

function isTarget(target: unknown): boolean {
  return target === undefined || typeof target === 'string'
}
