/**
 * The hosts of a chaos run: network namespaces with a veth pair each, on a bridge in the namespace of this process, which main.ts made
 * for it. All of it goes with this process. Where namespaces are not permitted, every host is this one, and has no links to harm.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SUBNET = '10.77.0'
/** No interface has it: what is sent there reaches the bridge and nobody. */
const NOBODY = '02:00:00:00:00:01'

export interface Host {
  readonly name: string
  readonly address: string
  /** Words before a command that runs it there. */
  readonly launcher: readonly string[]
}
export type SlowLine = { readonly delayMs: number; readonly lossPercent: number; readonly kilobitsPerSecond: number }

export interface Network {
  readonly hosts: readonly Host[]
  /** What stands for delay and loss here; undefined: hosts have no links. */
  readonly slowness: 'netem' | 'tbf' | undefined
  cut(host: Host): Promise<void>
  mend(host: Host): Promise<void>
  /** Packets from one to the others are lost; those of the other direction arrive. */
  mute(from: Host, to: readonly Host[]): Promise<void>
  unmute(from: Host, to: readonly Host[]): Promise<void>
  /** What the host sends is late. */
  slow(host: Host, line: SlowLine): Promise<void>
  unslow(host: Host): Promise<void>
}

/** In namespaces of their own: the caller is alone in its network and mount namespace. */
export async function namespaceNetwork(names: readonly string[]): Promise<Network> {
  await run('mount', ['-t', 'tmpfs', 'tmpfs', '/run'])
  await ip('link set lo up')
  await ip('link add flott0 type bridge')
  await ip(`addr add ${SUBNET}.1/24 dev flott0`)
  await ip('link set flott0 up')
  const hosts = names.map((name, i): Host => ({ name, address: `${SUBNET}.${10 + i}`, launcher: ['ip', 'netns', 'exec', name] }))
  for (const { name, address } of hosts) {
    await ip(`netns add ${name}`)
    await ip(`link add ${name} type veth peer name eth0 netns ${name}`)
    await ip(`link set ${name} master flott0 up`)
    await ip(`-n ${name} addr add ${address}/24 dev eth0`)
    await ip(`-n ${name} link set eth0 up`)
    await ip(`-n ${name} link set lo up`)
  }
  const slowness = await tc(`-n ${names[0]} qdisc replace dev eth0 root netem delay 1ms`).then(
    () => 'netem' as const,
    () => 'tbf' as const,
  )
  if (slowness === 'netem') await tc(`-n ${names[0]} qdisc del dev eth0 root`)
  const others = (from: Host, to: readonly Host[]) => to.filter((host) => host !== from)
  return {
    hosts,
    slowness,
    cut: ({ name }) => ip(`link set ${name} down`),
    mend: ({ name }) => ip(`link set ${name} up`),
    async mute(from, to) {
      for (const { address } of others(from, to))
        await ip(`-n ${from.name} neigh replace ${address} lladdr ${NOBODY} dev eth0 nud permanent`)
    },
    async unmute(from, to) {
      for (const { address } of others(from, to)) await ip(`-n ${from.name} neigh del ${address} dev eth0`)
    },
    slow: ({ name }, { delayMs, lossPercent, kilobitsPerSecond }) =>
      slowness === 'netem'
        ? tc(`-n ${name} qdisc replace dev eth0 root netem delay ${delayMs}ms ${delayMs / 2}ms loss ${lossPercent}%`)
        : tc(`-n ${name} qdisc replace dev eth0 root tbf rate ${kilobitsPerSecond}kbit burst 4kb latency ${delayMs}ms`),
    unslow: ({ name }) => tc(`-n ${name} qdisc del dev eth0 root`),
  }
}

/** All hosts are this one. */
export function loopbackNetwork(names: readonly string[]): Network {
  const none = async () => {
    throw new Error('hosts on the loopback interface have no links')
  }
  const hosts = names.map((name): Host => ({ name, address: '127.0.0.1', launcher: [] }))
  return { hosts, slowness: undefined, cut: none, mend: none, mute: none, unmute: none, slow: none, unslow: none }
}

const ip = (words: string) => quietly('ip', words)
const tc = (words: string) => quietly('tc', words)
async function quietly(program: string, words: string): Promise<void> {
  await run(program, words.split(' '))
}
