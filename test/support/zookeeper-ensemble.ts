import { freePort } from './free-port.js'
import { ZooKeeperServer } from './zookeeper-server.js'

export interface ZooKeeperHost {
  readonly address: string
  /** Words before a command that runs it there. */
  readonly launcher: readonly string[]
}

/** Real ZooKeeper servers that form a quorum: on hosts of their own with the usual ports, or on the loopback interface with free ones. */
export class ZooKeeperEnsemble {
  private constructor(readonly members: readonly ZooKeeperServer[]) {}

  static async start(hosts: readonly ZooKeeperHost[]): Promise<ZooKeeperEnsemble> {
    for (let attempt = 1; ; attempt++) {
      const ensemble = await ZooKeeperEnsemble.#of(hosts)
      try {
        await ensemble.run()
        return ensemble
      } catch (error) {
        await ensemble.remove()
        if (attempt === 3) throw error // Someone else took a port each time, or there is no ZooKeeper.
      }
    }
  }
  static async #of(hosts: readonly ZooKeeperHost[]): Promise<ZooKeeperEnsemble> {
    const shared = new Set(hosts.map(({ address }) => address)).size < hosts.length
    const ports: (readonly [number, number, number])[] = []
    for (const _ of hosts) ports.push(shared ? [await freePort(), await freePort(), await freePort()] : [2181, 2888, 3888])
    const servers = Object.fromEntries(hosts.map(({ address }, i) => [`server.${i + 1}`, `${address}:${ports[i]![1]}:${ports[i]![2]}`]))
    const members = []
    for (const [i, { address, launcher }] of hosts.entries())
      members.push(await ZooKeeperServer.member({ id: i + 1, address, port: ports[i]![0], servers, launcher }))
    return new ZooKeeperEnsemble(members)
  }

  get connect(): string {
    return this.members.map(({ connect }) => connect).join(',')
  }
  /** Starts those that do not run; resolves when they serve. */
  async run(): Promise<void> {
    await Promise.all(this.members.filter(({ isRunning }) => !isRunning).map((member) => member.run()))
  }
  async remove(): Promise<void> {
    await Promise.all(this.members.map((member) => member.remove()))
  }
}
