import type { Epoch } from '#core/epoch.js'
import type { Gateway } from '#protocol/gateway.js'
import type { CallContext, Endpoint, EndpointRegistry } from '#rpc/rpc.js'

/** Tells of each call that takes effect. */
export function watchedEndpoints(registry: EndpointRegistry, onCall: (epoch: Epoch) => void): EndpointRegistry {
  return {
    register<G extends object>(gateway: Gateway<G>, endpoint: Endpoint<G>, target?: string) {
      type Methods = Record<string, (request: unknown, context: CallContext) => unknown>
      const told = Object.keys(gateway.methods).map((method) => [
        method,
        (request: unknown, context: CallContext) => {
          onCall(context.epoch)
          return (endpoint as unknown as Methods)[method]!(request, context)
        },
      ])
      return registry.register(gateway, Object.fromEntries(told) as Endpoint<G>, target)
    },
  }
}
