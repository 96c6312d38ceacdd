import type { Epoch } from '#core/epoch.js'
import type { Gateway } from '#protocol/gateway.js'
import type { CallContext, Endpoint, EndpointRegistry } from '#rpc/rpc.js'

/** Tells of each call that takes effect, and of each that has been done. */
export function watchedEndpoints(
  registry: EndpointRegistry,
  onCall: (epoch: Epoch) => void,
  onDone: (epoch: Epoch) => void = () => {},
): EndpointRegistry {
  return {
    register<G extends object>(gateway: Gateway<G>, endpoint: Endpoint<G>, target?: string) {
      type Methods = Record<string, (request: unknown, context: CallContext) => Promise<unknown>>
      const told = Object.keys(gateway.methods).map((method) => [
        method,
        async (request: unknown, context: CallContext) => {
          onCall(context.epoch)
          const answer = await (endpoint as unknown as Methods)[method]!(request, context)
          onDone(context.epoch)
          return answer
        },
      ])
      return registry.register(gateway, Object.fromEntries(told) as Endpoint<G>, target)
    },
  }
}
