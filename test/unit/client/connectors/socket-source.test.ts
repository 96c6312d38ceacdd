import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import test from 'ava'
import { formats } from '#client/connectors/formats.js'
import { socketSource } from '#client/connectors/socket-source.js'
import { systemClock } from '#core/clock.js'
import { types } from '#core/serialization/declared-types.js'
import { SourceDriver } from '../../../support/source-driver.js'

async function serving(): Promise<{ server: Server; port: number; connection: Promise<Socket> }> {
  const server = createServer()
  const connection = once(server, 'connection').then(([socket]) => socket as Socket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, connection }
}
async function until(run: SourceDriver<unknown>, done: () => boolean): Promise<void> {
  while (!done()) {
    if (run.poll(0) === 'nothing-available') await run.available(0)
  }
}

test('lines as they come, cut anywhere; the end of the connection is the end of input', async (t) => {
  const { server, port, connection } = await serving()
  const run = new SourceDriver(socketSource('127.0.0.1', port), { parallelism: 1, clock: systemClock })
  run.poll(0) // Asks for the split.
  run.poll(0)
  const socket = await connection
  const bytes = Buffer.from('one\r\ngrüße\n\nlast')
  for (const at of bytes.keys()) {
    socket.write(bytes.subarray(at, at + 1))
    await new Promise(setImmediate)
  }
  socket.end()
  await until(run, () => run.done)
  t.deepEqual(run.records, ['one', 'grüße', '', 'last'])
  run.close()
  server.close()
})

test('more lines than are taken hold the sender back, and none is lost', async (t) => {
  const { server, port, connection } = await serving()
  const run = new SourceDriver(socketSource('127.0.0.1', port, formats.json(types.row({ n: types.int }))), {
    parallelism: 1,
    clock: systemClock,
  })
  run.poll(0)
  run.poll(0)
  const socket = await connection
  const count = 50_000
  socket.end(Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join(''))
  await until(run, () => run.done)
  t.is(run.records.length, count)
  t.deepEqual(run.records.at(-1), { n: count - 1 })
  run.close()
  server.close()
})

test('a connection that fails, fails the task', async (t) => {
  const { server, port } = await serving()
  server.close()
  await once(server, 'close')
  const run = new SourceDriver(socketSource('127.0.0.1', port), { parallelism: 1, clock: systemClock })
  const failing = until(run, () => run.done)
  await t.throwsAsync(failing, { code: 'CONNECTION_LOST' })
  run.close()
})
