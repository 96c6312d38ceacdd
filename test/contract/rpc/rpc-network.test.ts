import test, { type ExecutionContext } from 'ava'
import { systemClock } from '#core/clock.js'
import { type Epoch, HighestEpoch } from '#core/epoch.js'
import { FlottError, isFlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { defineGateway } from '#protocol/gateway.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import type { CallContext, RpcConnection, RpcNetwork } from '#rpc/rpc.js'
import { WsRpcNetwork } from '#rpc/ws-network.js'

interface EchoGateway {
  echo(request: unknown): Promise<unknown>
  fail(request: { how: string }): Promise<never>
  never(request: Record<string, never>): Promise<never>
  /** Calls the caller back over the same connection. */
  bounce(request: { text: string }): Promise<string>
}
const echoGateway = defineGateway<EchoGateway>('Echo', {
  echo: { timeoutMs: 5_000, idempotent: true },
  fail: { timeoutMs: 5_000, idempotent: true },
  never: { timeoutMs: 20, idempotent: true },
  bounce: { timeoutMs: 5_000, idempotent: true },
})
const newerGateway = defineGateway<{ toString(request: object): Promise<string>; later(request: object): Promise<string> }>('Echo', {
  toString: { timeoutMs: 5_000, idempotent: true },
  later: { timeoutMs: 5_000, idempotent: true },
})
const patientGateway = defineGateway<{ never(request: object): Promise<never> }>('Echo', { never: { timeoutMs: 60_000, idempotent: true } })

const first: Epoch = { incarnation: 0, czxid: '0000000000000001' }
const second: Epoch = { incarnation: 0, czxid: '0000000000000002' }

class Echo {
  connections: RpcConnection[] = []
  async echo(request: unknown, context: CallContext): Promise<unknown> {
    this.connections.push(context.connection)
    return request
  }
  async fail({ how }: { how: string }): Promise<never> {
    if (how === 'code') throw new FlottError('SLOT_NOT_AVAILABLE', 'slot 3 is taken', { cause: new Error('the reason') })
    throw new TypeError('not an operating error')
  }
  never(): Promise<never> {
    return new Promise(() => {})
  }
  async bounce({ text }: { text: string }, { connection, epoch }: CallContext): Promise<string> {
    return `${await connection.gateway(echoGateway, { epoch: () => epoch }).echo(text)} and back`
  }
}

interface World {
  readonly server: RpcNetwork
  readonly client: RpcNetwork
  readonly address: string
  readonly free: string
  stop(): Promise<void>
}

async function loopback(): Promise<World> {
  const network = new LoopbackNetwork(systemClock)
  return {
    server: network.process('server:1'),
    client: network.process('client:1'),
    address: 'server:1',
    free: 'nobody:1',
    stop: async () => {},
  }
}

async function webSocket(): Promise<World> {
  const options = { clock: systemClock, logger: silentLogger }
  const endpoint = new InternalEndpoint()
  const server = new WsRpcNetwork(options)
  const client = new WsRpcNetwork(options)
  server.attach(endpoint)
  const port = await endpoint.start('127.0.0.1', 0)
  const other = new InternalEndpoint()
  const free = await other.start('127.0.0.1', 0)
  await other.stop()
  const stop = async () => {
    client.stop()
    server.stop()
    await endpoint.stop()
  }
  return { server, client, address: `127.0.0.1:${port}`, free: `127.0.0.1:${free}`, stop }
}

for (const [name, make] of Object.entries({ loopback, webSocket })) {
  const rpc = (title: string, body: (t: ExecutionContext, world: World) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => {
      const world = await make()
      try {
        await body(t, world)
      } finally {
        await world.stop()
      }
    })

  rpc('a request and its answer arrive as they were sent', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    const connection = await client.dial(address)
    const echo = connection.gateway(echoGateway, { epoch: () => first })
    const payload = {
      text: 'ünï 🚲',
      absent: undefined,
      nothing: null,
      list: [1, undefined, -2.5, 2 ** 53, Number.NaN],
      big: 2n ** 90n,
      small: 7n,
      bytes: new Uint8Array([0, 1, 255]),
      doubles: new Float64Array([1.5, -2]),
      map: new Map([['a', { b: 1 }]]),
      set: new Set(['x']),
      date: new Date(5),
    }
    const answer = (await echo.echo(payload)) as typeof payload
    t.deepEqual(answer, payload)
    t.true(Object.hasOwn(answer, 'absent'))
    t.is(Object.getPrototypeOf(answer.bytes), Uint8Array.prototype)
    t.is(await echo.echo(undefined), undefined)
    connection.close()
  })

  rpc('calls go both ways over one connection', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    client.endpoints.register(echoGateway, new Echo())
    const connection = await client.dial(address)
    t.is(await connection.gateway(echoGateway, { epoch: () => first }).bounce({ text: 'there' }), 'there and back')
  })

  rpc('an error keeps its code, message and cause; what has no code is INTERNAL', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    const echo = (await client.dial(address)).gateway(echoGateway, { epoch: () => first })
    const coded = await t.throwsAsync(echo.fail({ how: 'code' }), {
      instanceOf: FlottError,
      message: 'SLOT_NOT_AVAILABLE: slot 3 is taken',
    })
    t.true(isFlottError(coded, 'SLOT_NOT_AVAILABLE'))
    t.is((coded!.cause as Error).message, 'the reason')
    const uncoded = await t.throwsAsync(echo.fail({ how: 'bug' }), { instanceOf: FlottError, code: 'INTERNAL' })
    t.is((uncoded!.cause as Error).name, 'TypeError')
  })

  rpc('a lower epoch is refused, a higher one adopted', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    const connection = await client.dial(address)
    const older = connection.gateway(echoGateway, { epoch: () => first })
    const newer = connection.gateway(echoGateway, { epoch: () => second })
    t.is(await older.echo(1), 1)
    t.is(await newer.echo(2), 2)
    t.deepEqual(server.seen.value, second)
    await t.throwsAsync(older.echo(3), { code: 'NOT_LEADER' })
    const garbage = connection.gateway(echoGateway, { epoch: () => ({ incarnation: 0, czxid: 'zzzz' }) })
    await t.throwsAsync(garbage.echo(4), { code: 'BAD_REQUEST' })
    t.deepEqual(server.seen.value, second)
  })

  rpc('methods and endpoints that are not there', async (t, { server, client, address }) => {
    const connection = await client.dial(address)
    const epoch = () => first
    await t.throwsAsync(connection.gateway(echoGateway, { epoch }).echo(1), { code: 'NOT_LEADER' })
    await t.throwsAsync(connection.gateway(echoGateway, { epoch, target: 'job' }).echo(1), { code: 'JOB_NOT_FOUND' })
    const remove = server.endpoints.register(echoGateway, new Echo())
    server.endpoints.register(echoGateway, new Echo(), 'job')
    t.is(await connection.gateway(echoGateway, { epoch, target: 'job' }).echo(1), 1)
    await t.throwsAsync(connection.gateway(newerGateway, { epoch }).later({}), { code: 'UNKNOWN_METHOD' })
    await t.throwsAsync(connection.gateway(newerGateway, { epoch }).toString({}), { code: 'UNKNOWN_METHOD' })
    remove()
    await t.throwsAsync(connection.gateway(echoGateway, { epoch }).echo(1), { code: 'NOT_LEADER' })
  })

  rpc('a call without answer times out', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    const connection = await client.dial(address)
    await t.throwsAsync(connection.gateway(echoGateway, { epoch: () => first }).never({}), { code: 'RPC_TIMEOUT' })
    t.is(await connection.gateway(echoGateway, { epoch: () => first }).echo('still there'), 'still there')
  })

  for (const closer of ['caller', 'callee'] as const)
    rpc(`closing by the ${closer} ends pending calls and is seen by both`, async (t, { server, client, address }) => {
      const endpoint = new Echo()
      server.endpoints.register(echoGateway, endpoint)
      const connection = await client.dial(address)
      await connection.gateway(echoGateway, { epoch: () => first }).echo(1)
      const served = endpoint.connections[0]!
      const seenByPeer = Promise.all(
        [connection, served].map((end) => new Promise((resolve) => end.closed.addEventListener('abort', resolve))),
      )
      const pending = connection.gateway(patientGateway, { epoch: () => first }).never({})
      const [closing] = closer === 'caller' ? [connection] : [served]
      closing.close('enough')
      await t.throwsAsync(pending, { code: 'CONNECTION_LOST', message: /enough/ })
      await seenByPeer
      t.true(isFlottError(served.closed.reason, 'CONNECTION_LOST'))
      t.regex((served.closed.reason as Error).message, /enough/)
      await t.throwsAsync(connection.gateway(echoGateway, { epoch: () => first }).echo(1), { code: 'CONNECTION_LOST' })
    })

  rpc('dialling nobody is refused', async (t, { client, free }) => {
    await t.throwsAsync(client.dial(free), { code: 'CONNECTION_REFUSED' })
    await t.throwsAsync(client.dial(free, { signal: AbortSignal.abort(new Error('given up')) }), { message: 'given up' })
  })

  rpc('a request that can not be sent fails alone', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    const echo = (await client.dial(address)).gateway(echoGateway, { epoch: () => first })
    await t.throwsAsync(echo.echo({ symbol: Symbol('x') }), { code: 'INTERNAL' })
    t.is(await echo.echo(1), 1)
  })

  rpc('answers may come in any order, many calls may be in flight', async (t, { server, client, address }) => {
    server.endpoints.register(echoGateway, new Echo())
    const echo = (await client.dial(address)).gateway(echoGateway, { epoch: () => first })
    const sent = Array.from({ length: 1_000 }, (_, i) => i)
    t.deepEqual(await Promise.all(sent.map((i) => echo.echo(i))), sent)
  })
}

test('webSocket: messages and calls in flight are bounded', async (t) => {
  const options = { clock: systemClock, logger: silentLogger, messageBytesMax: 10_000, limits: { callsInFlightMax: 2 } }
  const endpoint = new InternalEndpoint()
  const server = new WsRpcNetwork(options)
  const client = new WsRpcNetwork({ ...options, seen: new HighestEpoch() })
  server.attach(endpoint)
  server.endpoints.register(echoGateway, new Echo())
  const connection = await client.dial(`127.0.0.1:${await endpoint.start('127.0.0.1', 0)}`)
  const echo = connection.gateway(echoGateway, { epoch: () => first })
  await t.throwsAsync(echo.echo('x'.repeat(20_000)), { code: 'PAYLOAD_TOO_LARGE' })
  const patient = connection.gateway(patientGateway, { epoch: () => first })
  const pending = [patient.never({}), patient.never({})]
  await t.throwsAsync(echo.echo(1), { code: 'RPC_OVERLOADED' })
  client.stop()
  for (const call of pending) await t.throwsAsync(call, { code: 'CONNECTION_LOST' })
  await endpoint.stop()
})

test('webSocket: garbage closes the connection, not the process', async (t) => {
  const { WebSocket } = await import('ws')
  const endpoint = new InternalEndpoint()
  const server = new WsRpcNetwork({ clock: systemClock, logger: silentLogger })
  server.attach(endpoint)
  const port = await endpoint.start('127.0.0.1', 0)
  for (const garbage of [Buffer.from([0xc1, 0xff]), Buffer.from('"text"'), Buffer.from([0x80])]) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/rpc`)
    await new Promise((resolve) => socket.on('open', resolve))
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.send(garbage)
    await closed
  }
  server.endpoints.register(echoGateway, new Echo())
  const client = new WsRpcNetwork({ clock: systemClock, logger: silentLogger })
  const connection = await client.dial(`127.0.0.1:${port}`)
  t.is(await connection.gateway(echoGateway, { epoch: () => first }).echo(1), 1)
  client.stop()
  await endpoint.stop()
})
