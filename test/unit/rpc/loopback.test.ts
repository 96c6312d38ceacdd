import test from 'ava'
import type { Epoch } from '#core/epoch.js'
import { between, seededRandom } from '#core/random.js'
import { defineGateway } from '#protocol/gateway.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import type { RpcConnection } from '#rpc/rpc.js'
import { FakeClock } from '../../support/fake-clock.js'

interface NoteGateway {
  note(request: { n: number }): Promise<number>
}
const noteGateway = defineGateway<NoteGateway>('Note', { note: { timeoutMs: 10_000, idempotent: true } })
const epoch: Epoch = { incarnation: 0, czxid: '0000000000000001' }

function world(options: { seed?: number; dropRate?: number; delayMs?: readonly [number, number] } = {}) {
  const { seed = 1, dropRate = 0, delayMs = [1, 50] } = options
  const clock = new FakeClock()
  const random = seededRandom(seed)
  const network = new LoopbackNetwork(clock, {
    delayMs: () => between(random, delayMs[0], delayMs[1]),
    drops: () => random.next() < dropRate,
  })
  const noted: string[] = []
  const server = network.process('server')
  server.endpoints.register(noteGateway, {
    note: async ({ n }) => {
      noted.push(`${n}@${clock.monotonicMs()}`)
      return n
    },
  })
  return { clock, network, noted, client: network.process('client') }
}

async function dial({ clock, client }: ReturnType<typeof world>): Promise<RpcConnection> {
  const dialled = client.dial('server')
  await clock.advance(100)
  return dialled
}

test('messages keep their order whatever the delays, and one seed is one history', async (t) => {
  const run = async () => {
    const w = world({ seed: 7 })
    const notes = (await dial(w)).gateway(noteGateway, { epoch: () => epoch })
    const answers = Promise.all(Array.from({ length: 50 }, (_, n) => notes.note({ n })))
    await w.clock.advance(5_000)
    t.deepEqual(
      await answers,
      Array.from({ length: 50 }, (_, n) => n),
    )
    return w.noted
  }
  const first = await run()
  t.deepEqual(
    first.map((line) => Number(line.split('@')[0])),
    Array.from({ length: 50 }, (_, n) => n),
  )
  t.deepEqual(await run(), first)
})

test('a lost message breaks the connection for both', async (t) => {
  const w = world({ dropRate: 0.2 })
  const connection = await dial(w)
  const notes = connection.gateway(noteGateway, { epoch: () => epoch })
  const results = Promise.allSettled(Array.from({ length: 50 }, (_, n) => notes.note({ n })))
  await w.clock.advance(1_000)
  const settled = await results
  t.true(connection.closed.aborted)
  const lost = settled.filter((result) => result.status === 'rejected')
  t.true(lost.length > 0)
  t.true(lost.every((result) => (result as PromiseRejectedResult).reason.code === 'CONNECTION_LOST'))
})

test('a crash closes the connections of the process; its successor can be dialled', async (t) => {
  const w = world()
  const connection = await dial(w)
  const pending = connection.gateway(noteGateway, { epoch: () => epoch }).note({ n: 1 })
  w.network.crash('server')
  const lost = t.throwsAsync(pending, { code: 'CONNECTION_LOST' })
  await w.clock.advance(100)
  await lost
  t.deepEqual(w.noted, [])
  const refused = t.throwsAsync(w.client.dial('server'), { code: 'CONNECTION_REFUSED' })
  await w.clock.advance(100)
  await refused
  w.network.process('server')
  t.false((await dial(w)).closed.aborted)
})

test('a cut is silence; when it is healed the connection breaks, since it has lost something', async (t) => {
  const w = world()
  const connection = await dial(w)
  w.network.cut('client', 'server')
  const timedOut = t.throwsAsync(connection.gateway(noteGateway, { epoch: () => epoch }).note({ n: 1 }), { code: 'RPC_TIMEOUT' })
  const noAnswer = t.throwsAsync(w.client.dial('server', { timeoutMs: 1_000 }), { code: 'RPC_TIMEOUT' })
  await w.clock.advance(20_000)
  await timedOut
  await noAnswer
  t.false(connection.closed.aborted)
  w.network.heal('client', 'server')
  await w.clock.advance(100)
  t.true(connection.closed.aborted)
  t.false((await dial(w)).closed.aborted)
})
