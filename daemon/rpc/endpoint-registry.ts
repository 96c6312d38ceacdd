import type { Epoch, HighestEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { Call, Gateway, MethodPolicy } from '#protocol/gateway.js'
import type { CallContext, Endpoint, EndpointRegistry } from './rpc.js'

interface Registration {
  readonly methods: Readonly<Record<string, MethodPolicy>>
  readonly endpoint: Readonly<Record<string, (request: unknown, context: CallContext) => unknown>>
}

/** What a process serves, by gateway name and target. `dispatch` is the one way in: it fences first, then looks the method up. */
export class Endpoints implements EndpointRegistry {
  readonly #registrations = new Map<string, Registration>()

  constructor(private readonly seen: HighestEpoch) {}

  register<G extends object>(gateway: Gateway<G>, endpoint: Endpoint<G>, target?: string): () => void {
    const key = keyOf(gateway.name, target)
    if (this.#registrations.has(key)) throw new Error(`${gateway.name} is served already${target === undefined ? '' : ` for ${target}`}`)
    const registration = { methods: gateway.methods, endpoint } as unknown as Registration
    this.#registrations.set(key, registration)
    return () => {
      if (this.#registrations.get(key) === registration) this.#registrations.delete(key)
    }
  }

  async dispatch(call: Call, context: CallContext): Promise<unknown> {
    if (!isEpoch(call.epoch)) throw new FlottError('BAD_REQUEST', `${call.gateway}.${call.method} carries no epoch`)
    if (!this.seen.adopt(call.epoch)) throw new FlottError('NOT_LEADER', `${call.gateway}.${call.method} carries an old epoch`)
    const registration = this.#registrations.get(keyOf(call.gateway, call.target))
    if (!registration && call.target === undefined) throw new FlottError('NOT_LEADER', `no ${call.gateway} is served here`)
    if (!registration) throw new FlottError('JOB_NOT_FOUND', `no ${call.gateway} of ${call.target} is served here`)
    if (!Object.hasOwn(registration.methods, call.method)) throw new FlottError('UNKNOWN_METHOD', `${call.gateway}.${call.method}`)
    return registration.endpoint[call.method]!(call.request, context)
  }
}

/** A malformed epoch must not become the highest that was ever seen. */
function isEpoch(epoch: Epoch | undefined): boolean {
  return Number.isSafeInteger(epoch?.incarnation) && epoch!.incarnation >= 0 && /^[0-9a-f]{16}$/.test(epoch!.czxid)
}

function keyOf(gateway: string, target: string | undefined): string {
  return target === undefined ? gateway : `${gateway} ${target}`
}
