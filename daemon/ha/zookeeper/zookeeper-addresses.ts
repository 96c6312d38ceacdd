import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import { type Clock, sleep, type Timer } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { between, type Random } from '#core/random.js'

interface Address {
  readonly host: string
  readonly port: number
}

/** Once one serves, the others have that much longer to say so: a host that is gone must not keep us from those that are there. */
const GRACE_MS = 50
/** How long a server has for its answer, before it is asked once more. */
const ANSWER_MS = 3_000

/**
 * The servers that serve at the moment, as addresses in random order. The client library would resolve names itself, blocking the
 * main thread; one name that does not resolve or one host that refuses can keep it from ever connecting to the others; and where it
 * is refused it tries again without a pause. ZOOKEEPER_UNAVAILABLE when none serves.
 */
export async function reachableAddresses(
  quorum: string,
  options: { clock: Clock; random: Random; logger: Logger; timeoutMs: number },
): Promise<string> {
  const serving: Address[] = []
  const unresolved: string[] = []
  const over = new AbortController()
  let grace: Timer | undefined
  const look = async (server: Address) => {
    const addresses = await resolve(server, options).catch((error: Error) => {
      unresolved.push(`${server.host} (${error.message})`)
      return []
    })
    const found = await Promise.all(addresses.map((address) => serves(address, options, over.signal)))
    if (over.signal.aborted) return
    serving.push(...addresses.filter((_, i) => found[i]))
    if (serving.length > 0) grace ??= options.clock.setTimer(GRACE_MS, () => over.abort())
  }
  const cut = new Promise<void>((settle) => over.signal.addEventListener('abort', () => settle(), { once: true }))
  await Promise.race([Promise.all(parseQuorum(quorum).map(look)), cut])
  grace?.cancel()
  over.abort()
  if (serving.length === 0) {
    const names = unresolved.length === 0 ? '' : `; not resolved: ${unresolved.sort().join(', ')}`
    throw new FlottError('ZOOKEEPER_UNAVAILABLE', `no server of ${quorum} serves${names}`)
  }
  if (unresolved.length > 0) options.logger.warn('ZooKeeper hosts do not resolve', { unresolved })
  return shuffle(options.random, serving).map(format).join(',')
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

async function resolve({ host, port }: Address, options: { clock: Clock; timeoutMs: number }): Promise<Address[]> {
  if (isIP(host)) return [{ host, port }]
  const giveUp = new AbortController()
  try {
    const found = await Promise.race([
      lookup(host, { all: true }),
      sleep(options.clock, options.timeoutMs, giveUp.signal).then(() => Promise.reject(new Error('time-out'))),
    ])
    return found.map(({ address }) => ({ host: address, port }))
  } finally {
    giveUp.abort()
  }
}

/** Whether it says that it serves. A server that has accepted a connection while it was starting may never answer it: it is asked again. */
async function serves(server: Address, options: { clock: Clock; timeoutMs: number }, over: AbortSignal): Promise<boolean> {
  for (let leftMs = options.timeoutMs; leftMs > 0 && !over.aborted; leftMs -= ANSWER_MS) {
    const answer = await ask(server, options.clock, Math.min(leftMs, ANSWER_MS), over)
    if (answer !== undefined) return answer !== '' && !answer.includes('not currently serving')
  }
  return false
}

/** Every server answers `srvr`, if only to say that it may not. Empty: it refused; undefined: no answer in time. */
function ask({ host, port }: Address, clock: Clock, withinMs: number, over: AbortSignal): Promise<string | undefined> {
  return new Promise((settle) => {
    const socket = connect({ host, port })
    let answer = ''
    const done = (said: string | undefined) => {
      timer.cancel()
      over.removeEventListener('abort', giveUp)
      socket.destroy()
      settle(said)
    }
    const giveUp = () => done(undefined)
    const timer = clock.setTimer(withinMs, giveUp)
    over.addEventListener('abort', giveUp, { once: true })
    socket.once('connect', () => socket.write('srvr'))
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    socket.once('end', () => done(answer))
    socket.once('error', () => done(''))
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
