import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import { type Clock, sleep } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { between, type Random } from '#core/random.js'

interface Address {
  readonly host: string
  readonly port: number
}

/**
 * The ensemble as addresses, those that accept connections first. The client library would resolve names itself, blocking the main
 * thread, and one name that does not resolve or one host that refuses can keep it from ever connecting to the others.
 * ZOOKEEPER_UNAVAILABLE when none accepts.
 */
export async function reachableAddresses(
  quorum: string,
  options: { clock: Clock; random: Random; logger: Logger; timeoutMs: number },
): Promise<string> {
  const resolved = await Promise.all(parseQuorum(quorum).map((server) => resolve(server, options)))
  const addresses = shuffle(options.random, resolved.flat())
  const reachable = await Promise.all(addresses.map((address) => accepts(address, options)))
  if (!reachable.includes(true)) throw new FlottError('ZOOKEEPER_UNAVAILABLE', `no server of ${quorum} accepts connections`)
  const inOrder = [...addresses.filter((_, i) => reachable[i]), ...addresses.filter((_, i) => !reachable[i])]
  return inOrder.map(format).join(',')
}

/** 'a:2181,b:2181'; INVALID_CONFIG. */
export function parseQuorum(quorum: string): Address[] {
  const servers = quorum.split(',').map((s) => s.trim())
  return servers.map((server) => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(server)
    const port = Number(match?.[3])
    if (!match || port < 1 || port > 65_535)
      throw new FlottError('INVALID_CONFIG', `high-availability.zookeeper.quorum: '${server}' is not host:port`)
    return { host: (match[1] ?? match[2])!, port }
  })
}

async function resolve({ host, port }: Address, options: { clock: Clock; logger: Logger; timeoutMs: number }): Promise<Address[]> {
  if (isIP(host)) return [{ host, port }]
  const giveUp = new AbortController()
  try {
    const found = await Promise.race([
      lookup(host, { all: true }),
      sleep(options.clock, options.timeoutMs, giveUp.signal).then(() => Promise.reject(new Error('time-out'))),
    ])
    return found.map(({ address }) => ({ host: address, port }))
  } catch (error) {
    options.logger.warn('ZooKeeper host does not resolve', { host, error })
    return []
  } finally {
    giveUp.abort()
  }
}

function accepts({ host, port }: Address, options: { clock: Clock; timeoutMs: number }): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host, port })
    const done = (accepted: boolean) => {
      timer.cancel()
      socket.destroy()
      settle(accepted)
    }
    const timer = options.clock.setTimer(options.timeoutMs, () => done(false))
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
  })
}

function format({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function shuffle<T>(random: Random, items: readonly T[]): T[] {
  const all = [...items]
  for (let i = all.length - 1; i > 0; i--) {
    const j = between(random, 0, i + 1)
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all
}
