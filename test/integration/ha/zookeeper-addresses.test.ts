import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { reachableAddresses } from '#ha/zookeeper/zookeeper-addresses.js'

/** Longer than any test waits. */
const TIMEOUT_MS = 600_000

/** Accepts connections and answers each with `answer`, or with nothing for ever. Gives its address. */
async function server(t: ExecutionContext, answer: string | undefined): Promise<string> {
  const sockets = new Set<Socket>()
  const listening: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (answer !== undefined) socket.once('data', () => socket.end(answer))
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listening.close()
  })
  return `127.0.0.1:${(listening.address() as AddressInfo).port}`
}
function reachable(...quorum: string[]): Promise<string> {
  const options = { clock: systemClock, random: systemRandom, logger: silentLogger, timeoutMs: TIMEOUT_MS }
  return reachableAddresses(quorum.join(','), options)
}

test('a server that never answers is not waited for once another serves', async (t) => {
  const [silent, serving] = [await server(t, undefined), await server(t, 'Mode: leader')]
  t.is(await reachable(silent, serving), serving)
})

test('servers that refuse or have no quorum are left out', async (t) => {
  const [a, b] = [await server(t, 'Mode: follower'), await server(t, 'Mode: leader')]
  const without = await server(t, 'This ZooKeeper instance is not currently serving requests')
  const found = (await reachable('127.0.0.1:1', a, without, b)).split(',')
  t.true(found.every((address) => [a, b].includes(address))) // One of them may have been slow.
})

test('none serves, and a name does not resolve: both are told', async (t) => {
  const error = await t.throwsAsync(reachable('no-such-host.invalid:2181', '127.0.0.1:1'), { code: 'ZOOKEEPER_UNAVAILABLE' })
  t.regex(error!.message, /no server of no-such-host\.invalid:2181,127\.0\.0\.1:1 serves; not resolved: no-such-host\.invalid \(/)
})

test('none serves', async (t) => {
  const without = await server(t, 'This ZooKeeper instance is not currently serving requests')
  await t.throwsAsync(reachable(without, '127.0.0.1:1'), { code: 'ZOOKEEPER_UNAVAILABLE' })
})
