import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32 } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { type Clock, systemClock } from '#core/clock.js'
import { HighestEpoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import type { BlobInfo, BlobStore, BlobTransfer } from '#protocol/ha/blobs.js'
import { BlobServer } from '#rpc/blob-server.js'
import { BYTES_HEADER, CRC_HEADER, HttpBlobTransfer } from '#rpc/blob-transfer.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import { PLAIN_HEADER } from '#rpc/plain-get.js'
import { FakeClock } from '../../support/fake-clock.js'

const epoch = { incarnation: 0, czxid: '0000000000000002' }
const older = { incarnation: 0, czxid: '0000000000000001' }
const BLOCK = 64 * 1024
const STALL_MS = 30_000

/** Blocks of a blob in memory; `taken` is called for each block before the next is asked for. */
class BlocksInMemory implements BlobStore {
  readonly blobs = new Map<string, Uint8Array[]>()
  taken: (bytes: number) => Promise<void> = async () => {}
  corruptAfter = Number.POSITIVE_INFINITY

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    const blocks: Uint8Array[] = []
    for await (const block of content instanceof Uint8Array ? [content] : content) {
      blocks.push(Uint8Array.from(block))
      await this.taken(block.length)
    }
    this.blobs.set(name, blocks)
    return (await this.info(name))!
  }
  async get(name: string): Promise<Uint8Array> {
    return Buffer.concat(this.blobs.get(name)!)
  }
  async *read(name: string): AsyncIterable<Uint8Array> {
    let count = 0
    for (const block of this.blobs.get(name) ?? []) {
      if (count++ >= this.corruptAfter) throw new FlottError('BLOB_CORRUPT', `${name}: block ${count}`)
      yield block
    }
  }
  async info(name: string): Promise<BlobInfo | undefined> {
    const blocks = this.blobs.get(name)
    if (!blocks) return undefined
    const bytes = blocks.reduce((sum, block) => sum + block.length, 0)
    return { name, bytes, crc32: blocks.reduce((crc, block) => crc32(block, crc), 0) }
  }
  async delete(): Promise<void> {}
  async *list(): AsyncIterable<BlobInfo> {}
}

interface World {
  readonly store: BlocksInMemory
  readonly transfer: BlobTransfer
  readonly address: string
  stop(): Promise<void>
}

async function loopback(): Promise<World> {
  const network = new LoopbackNetwork(systemClock)
  const store = new BlocksInMemory()
  network.process('server:1').serveBlobs(store)
  return { store, transfer: network.process('client:1').blobTransfer(), address: 'server:1', stop: async () => {} }
}

async function http(clock: Clock = systemClock): Promise<World> {
  const endpoint = new InternalEndpoint()
  const store = new BlocksInMemory()
  new BlobServer({ store: () => store, seen: new HighestEpoch(), logger: silentLogger }).attach(endpoint)
  const address = `127.0.0.1:${await endpoint.start('127.0.0.1', 0)}`
  const transfer = new HttpBlobTransfer({ clock, stallMs: STALL_MS })
  const stop = async () => {
    transfer.stop()
    await endpoint.stop()
  }
  return { store, transfer, address, stop }
}

async function* blocksOf(count: number): AsyncIterable<Uint8Array> {
  for (let i = 0; i < count; i++) yield Buffer.alloc(BLOCK, i)
}

// Each block that arrives moves the clock on.
test('http: a big blob that moves slowly all the time is no stall', async (t) => {
  const clock = new FakeClock()
  const { store, transfer, address, stop } = await http(clock)
  try {
    const content = Buffer.alloc(BLOCK * 1_000, 'flott')
    store.taken = (bytes) => clock.advance((bytes / content.length) * 2 * STALL_MS)
    const info = await transfer.put(address, 'big', content, epoch)
    t.is(info.bytes, content.length)
    t.true(clock.monotonicMs() > 1.5 * STALL_MS)
  } finally {
    await stop()
  }
})

test('http: whole blobs come over few connections, asked for once each; where one breaks off, the ordinary way goes on', async (t) => {
  const content = Buffer.alloc(3_000_000, 'flott')
  const asked: (string | undefined)[] = []
  const connections = new Set<unknown>()
  const server = createServer((request, response) => {
    asked.push(request.headers[PLAIN_HEADER] as string | undefined)
    connections.add(request.socket)
    const breaks = request.url!.endsWith('broken') && asked.at(-1) !== undefined
    const length = asked.at(-1) === undefined ? {} : { 'content-length': content.length }
    response.writeHead(200, { ...length, [BYTES_HEADER]: content.length, [CRC_HEADER]: crc32(content) })
    if (breaks) response.write(content.subarray(0, 1_000), () => response.destroy())
    else response.end(content)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const transfer = new HttpBlobTransfer({ clock: systemClock })
  for (let i = 0; i < 5; i++) t.true(content.equals(await transfer.get(address, `${i}`)))
  t.deepEqual([asked, connections.size], [Array(5).fill('1'), 1])
  t.true(content.equals(await transfer.get(address, 'broken')))
  t.deepEqual(asked.slice(5), ['1', undefined])
  transfer.stop()
  server.closeAllConnections()
  server.close()
})

test('http: a server that says nothing is given up', async (t) => {
  const clock = new FakeClock()
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const asked = once(server, 'request')
  const transfer = new HttpBlobTransfer({ clock, stallMs: STALL_MS })
  const refused = t.throwsAsync(transfer.get(`127.0.0.1:${(server.address() as AddressInfo).port}`, 'x'), { code: 'RPC_TIMEOUT' })
  await asked
  await clock.advance(STALL_MS)
  await refused
  transfer.stop()
  server.closeAllConnections()
  server.close()
})

test('http: a get under way ends when transfers are stopped', async (t) => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': 1_000_000, [BYTES_HEADER]: 1_000_000, [CRC_HEADER]: 0 })
    response.write(Buffer.alloc(1_000))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const asked = once(server, 'request')
  const transfer = new HttpBlobTransfer({ clock: systemClock })
  const refused = t.throwsAsync(transfer.get(`127.0.0.1:${(server.address() as AddressInfo).port}`, 'x'), { code: 'CONNECTION_LOST' })
  await asked
  transfer.stop()
  await refused
  server.closeAllConnections()
  server.close()
})

for (const [name, make] of Object.entries({ loopback, http: () => http() })) {
  const blobs = (title: string, body: (t: ExecutionContext, world: World) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => {
      const world = await make()
      try {
        await body(t, world)
      } finally {
        await world.stop()
      }
    })

  blobs('a blob goes there and back', async (t, { store, transfer, address }) => {
    const content = Buffer.from('some bytes, ünï')
    const info = await transfer.put(address, 'chunk/job/1/a_0_1/op-0', content, epoch)
    t.deepEqual(info, { name: 'chunk/job/1/a_0_1/op-0', bytes: content.length, crc32: crc32(content) })
    t.deepEqual([...store.blobs.keys()], ['chunk/job/1/a_0_1/op-0'])
    t.deepEqual(Buffer.from(await transfer.get(address, 'chunk/job/1/a_0_1/op-0')), content)
    await transfer.put(address, 'empty %2F ?#', new Uint8Array(0), epoch)
    t.is((await transfer.get(address, 'empty %2F ?#')).length, 0)
  })

  blobs('a big stream there and back', async (t, { transfer, address }) => {
    const info = await transfer.put(address, 'big', blocksOf(300), epoch)
    t.is(info.bytes, 300 * BLOCK)
    let crc = 0
    for await (const part of transfer.read(address, 'big')) crc = crc32(part, crc)
    t.is(crc, info.crc32)
  })

  blobs('a lower epoch is refused, also in the middle of a long stream', async (t, { store, transfer, address }) => {
    await transfer.put(address, 'a', Buffer.from('a'), epoch)
    await t.throwsAsync(transfer.put(address, 'b', Buffer.from('b'), older), { code: 'NOT_LEADER' })
    await t.throwsAsync(transfer.put(address, 'c', blocksOf(500), older), { code: 'NOT_LEADER' })
    t.deepEqual([...store.blobs.keys()], ['a'])
  })

  blobs('what is not there, what is corrupt', async (t, { store, transfer, address }) => {
    await t.throwsAsync(transfer.get(address, 'absent'), { code: 'BLOB_NOT_FOUND' })
    const { bytes, crc32 } = await transfer.put(address, 'big', blocksOf(50), epoch)
    t.is((await transfer.get(address, 'big', { bytes, crc32 })).length, bytes)
    await t.throwsAsync(transfer.get(address, 'big', { bytes: bytes + 1, crc32 }), { code: 'BLOB_CORRUPT' })
    await t.throwsAsync(transfer.get(address, 'big', { bytes, crc32: crc32 ^ 1 }), { code: 'BLOB_CORRUPT' })
    store.corruptAfter = 3
    await t.throwsAsync(transfer.get(address, 'big'), { code: 'BLOB_CORRUPT', message: /block 4/ })
  })

  blobs('a source that fails leaves nothing', async (t, { store, transfer, address }) => {
    const failing = async function* () {
      yield Buffer.alloc(BLOCK)
      throw new FlottError('STORAGE_FAILED', 'the source')
    }
    await t.throwsAsync(transfer.put(address, 'half', failing(), epoch), { code: 'STORAGE_FAILED' })
    t.is(store.blobs.size, 0)
  })

  blobs('a receiver that fails half-way tells why', async (t, { store, transfer, address }) => {
    let taken = 0
    store.taken = async (bytes) => {
      taken += bytes
      if (taken > 10 * BLOCK) throw new FlottError('STORAGE_FULL', 'no space')
    }
    await t.throwsAsync(transfer.put(address, 'big', blocksOf(1_000), epoch), { code: 'STORAGE_FULL' })
  })

  blobs('a slow receiver holds the sender back', async (t, { store, transfer, address }) => {
    let sent = 0
    let open: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let stopped: () => void = () => {}
    const first = new Promise<void>((resolve) => {
      stopped = resolve
    })
    store.taken = () => {
      stopped()
      return gate
    }
    const source = async function* () {
      for await (const block of blocksOf(2_000)) {
        sent += block.length
        yield block
      }
    }
    const put = transfer.put(address, 'big', source(), epoch)
    await first
    // What the sender may have pushed into buffers by the time it stands still: look until two looks, 20 turns apart, agree.
    let before = -1
    while (before !== sent) {
      before = sent
      for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => systemClock.defer(resolve))
    }
    t.true(sent < 1_000 * BLOCK, `${sent} bytes left the source while the receiver had taken one block`)
    store.taken = async () => {}
    open()
    t.is((await put).bytes, 2_000 * BLOCK)
  })

  blobs('a reader that leaves early ends the transfer', async (t, { transfer, address }) => {
    await transfer.put(address, 'big', blocksOf(300), epoch)
    for await (const part of transfer.read(address, 'big')) {
      t.true(part.length > 0)
      break
    }
    t.is((await transfer.get(address, 'big')).length, 300 * BLOCK)
  })

  blobs('nobody at the address', async (t, { transfer }) => {
    const address = name === 'http' ? '127.0.0.1:1' : 'nobody:1'
    await t.throwsAsync(transfer.put(address, 'a', Buffer.from('a'), epoch), { code: 'CONNECTION_REFUSED' })
    await t.throwsAsync(transfer.get(address, 'a'), { code: 'CONNECTION_REFUSED' })
  })
}
