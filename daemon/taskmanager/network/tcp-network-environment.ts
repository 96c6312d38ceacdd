import { ChannelNetworkEnvironment, type ChannelNetworkOptions } from './channel-network-environment.js'
import { TcpTransport } from './tcp-transport.js'

/** The network over TCP. */
export class TcpNetworkEnvironment extends ChannelNetworkEnvironment {
  constructor(options: Omit<ChannelNetworkOptions, 'transport' | 'oneThread'>) {
    super({ ...options, transport: new TcpTransport() })
  }
}
