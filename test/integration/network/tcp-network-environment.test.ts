import { connect, createServer, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { Bell } from '#taskmanager/exchange/doorbell.js'
import type { ChannelDescriptor } from '#taskmanager/exchange/exchange.js'
import { createRing, RingConsumer, RingProducer } from '#taskmanager/exchange/ring.js'
import { TcpNetworkEnvironment } from '#taskmanager/network/tcp-network-environment.js'

const turn = () => new Promise<void>((resolve) => systemClock.defer(resolve))
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

class World {
  readonly producers = new TcpNetworkEnvironment({ taskManagerId: 'producers', clock: systemClock, logger: silentLogger })
  readonly consumers = new TcpNetworkEnvironment({ taskManagerId: 'consumers', clock: systemClock, logger: silentLogger })
  port = 0
  async start(): Promise<this> {
    this.port = await this.producers.start('127.0.0.1', 0)
    await this.consumers.start('127.0.0.1', 0)
    return this
  }
  async stop(): Promise<void> {
    await this.consumers.stop()
    await this.producers.stop()
  }
  channel(producer: string, consumer: string): Omit<ChannelDescriptor, 'ring'> {
    return { edgeId: 'a->b#0', producerAttempt: producer, producerSubtask: 0, consumerAttempt: consumer, consumerSubtask: 0 }
  }
  /** The task's end of an output channel. */
  output(producer: string, consumer: string, open = true): { ring: RingProducer; open(): void } {
    const shared = createRing({ slotBytes: 4096 })
    const openOutput = () => this.producers.openOutput({ ...this.channel(producer, consumer), ring: shared })
    if (open) openOutput()
    return { ring: new RingProducer(shared, new Bell(this.producers.doorbell)), open: openOutput }
  }
  /** The task's end of an input channel. */
  input(producer: string, consumer: string, broken: (cause: Error) => void, port = this.port): RingConsumer {
    const shared = createRing({ slotBytes: 4096 })
    this.consumers.openInput({ ...this.channel(producer, consumer), ring: shared }, { host: '127.0.0.1', port }, broken)
    return new RingConsumer(shared, new Bell(this.consumers.doorbell))
  }
}

function frameOf(n: number): Buffer {
  const frame = Buffer.alloc(8 + ((n * 131) % 4000), n & 0xff)
  frame.writeDoubleLE(n)
  return frame
}

async function produce(ring: RingProducer, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const frame = frameOf(n)
    while (!ring.offer(frame)) await turn()
  }
}

/** Reads frames until `count` are there, each compared with what was sent. `pause`: turns between two. */
async function consume(t: ExecutionContext, ring: RingConsumer, count: number, pause: (n: number) => number = () => 0): Promise<void> {
  for (let n = 0; n < count; n++) {
    await until(() => ring.available > 0)
    if (ring.available > ring.memory.slots) return t.fail('more frames than slots')
    if (!ring.peek()!.equals(frameOf(n))) return t.fail(`frame ${n} is another: ${ring.peek()!.readDoubleLE()}`)
    ring.release()
    for (let i = pause(n); i > 0; i--) await turn()
  }
  t.pass()
}

function network(title: string, body: (t: ExecutionContext, world: World) => Promise<void>): void {
  test(title, async (t) => {
    const world = await new World().start()
    try {
      await body(t, world)
    } finally {
      await world.stop()
    }
  })
}
const unbroken = (t: ExecutionContext) => (cause: Error) => t.fail(cause.message)

network('10,000 frames arrive in order, once', async (t, world) => {
  const input = world.input('p', 'c', unbroken(t))
  const output = world.output('p', 'c')
  await Promise.all([produce(output.ring, 10_000), consume(t, input, 10_000)])
  t.is(input.available, 0)
})

network('many channels share the connection; a slow consumer holds back only its own', async (t, world) => {
  const channels = Array.from({ length: 8 }, (_, i) => ({
    output: world.output(`p${i}`, 'c'),
    input: world.input(`p${i}`, 'c', unbroken(t)),
  }))
  const [stuck, ...fast] = channels
  const blocked = produce(stuck!.output.ring, 100)
  await Promise.all(fast.map(({ output, input }) => Promise.all([produce(output.ring, 500), consume(t, input, 500)])))
  t.true(stuck!.input.available <= stuck!.input.memory.slots)
  t.is(stuck!.output.ring.freeSlots, 0)
  await Promise.all([blocked, consume(t, stuck!.input, 100)])
})

network('a consumer that pauses at random loses nothing', async (t, world) => {
  const input = world.input('p', 'c', unbroken(t))
  const output = world.output('p', 'c')
  await Promise.all([produce(output.ring, 2_000), consume(t, input, 2_000, (n) => (n * 7919) % 5)])
})

network('a consumer may ask before its producer is deployed', async (t, world) => {
  const input = world.input('p', 'c', unbroken(t))
  const output = world.output('p', 'c', false)
  await produce(output.ring, 3)
  for (let i = 0; i < 50; i++) await turn()
  t.is(input.available, 0)
  output.open()
  await consume(t, input, 3)
})

network('a finished producer is delivered to the end, and its end is no break', async (t, world) => {
  const input = world.input('p', 'c', unbroken(t))
  const output = world.output('p', 'c')
  await produce(output.ring, 8)
  world.producers.closeAttempt('p', { finished: true })
  await consume(t, input, 8)
  for (let i = 0; i < 50; i++) await turn()
  world.producers.closeAttempt('p')
  for (let i = 0; i < 50; i++) await turn()
  t.is(input.available, 0)
})

network('a producer that ends early breaks its channels, and only those', async (t, world) => {
  const broken = new Promise<Error>((resolve) => void world.input('p', 'c', resolve))
  const other = world.input('q', 'c', unbroken(t))
  world.output('p', 'c')
  const otherOutput = world.output('q', 'c')
  world.producers.closeAttempt('p')
  t.true(isFlottError(await broken, 'CHANNEL_BROKEN'))
  const late = new Promise<Error>((resolve) => void world.input('p', 'd', resolve))
  t.true(isFlottError(await late, 'CHANNEL_BROKEN'))
  await Promise.all([produce(otherOutput.ring, 50), consume(t, other, 50)])
})

network('a consumer attempt that is closed frees its channel; the next attempt has its own', async (t, world) => {
  const first = world.output('p', 'c1')
  const input = world.input('p', 'c1', unbroken(t))
  await Promise.all([produce(first.ring, 5), consume(t, input, 5)])
  world.consumers.closeAttempt('c1')
  const second = world.output('p', 'c2')
  const next = world.input('p', 'c2', unbroken(t))
  await Promise.all([produce(second.ring, 100), consume(t, next, 100)])
})

/** Stands between consumer and producer; connections can be cut, in the middle of a frame too. */
async function proxyTo(port: number) {
  const sockets = new Set<Socket>()
  let accepted = 0
  let turnedAway = 0
  const server = createServer((client) => {
    if (turnedAway > 0) {
      turnedAway--
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    accepted++
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    get accepted() {
      return accepted
    },
    /** `attempts`: so many connections are not let through afterwards. */
    cut: (attempts = 0) => {
      turnedAway = attempts
      for (const socket of sockets) socket.resetAndDestroy()
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

network('connections are killed again and again: nothing is lost or doubled', async (t, world) => {
  const proxy = await proxyTo(world.port)
  const channels = ['p', 'q', 'r'].map((p) => ({ output: world.output(p, 'c'), input: world.input(p, 'c', unbroken(t), proxy.port) }))
  const cuts = (n: number) => {
    if (n % 500 === 499) proxy.cut()
    return 0
  }
  await Promise.all(
    channels.map(({ output, input }, i) =>
      Promise.all([produce(output.ring, 3_000), consume(t, input, 3_000, i === 0 ? cuts : undefined)]),
    ),
  )
  t.true(proxy.accepted > 3)
  await proxy.close()
})

network('a link that is down for a while breaks nothing', async (t, world) => {
  const proxy = await proxyTo(world.port)
  const input = world.input('p', 'c', unbroken(t), proxy.port)
  const output = world.output('p', 'c')
  const cutOnce = (n: number) => {
    if (n === 500) proxy.cut(4)
    return 0
  }
  await Promise.all([produce(output.ring, 1_000), consume(t, input, 1_000, cutOnce)])
  t.is(proxy.accepted, 2)
  await proxy.close()
})

network('a producer TaskManager that is gone breaks the channels', async (t, world) => {
  const proxy = await proxyTo(world.port)
  let input: RingConsumer | undefined
  const broken = new Promise<Error>((resolve) => {
    input = world.input('p', 'c', resolve, proxy.port)
  })
  const output = world.output('p', 'c')
  await Promise.all([produce(output.ring, 10), consume(t, input!, 10)])
  await proxy.close()
  t.true(isFlottError(await broken, 'CHANNEL_BROKEN'))
})

network('a peer that sends garbage is disconnected; the others go on', async (t, world) => {
  const input = world.input('p', 'c', unbroken(t))
  const output = world.output('p', 'c')
  const garbage = [
    'GET / HTTP/1.1\r\n\r\n',
    Buffer.alloc(64),
    Buffer.alloc(64, 0xff),
    Buffer.from([6, 0, 0, 0, 1, 1, 2, 3, 4, 5]),
    Buffer.from([5, 0, 0, 0, 3, 0, 0, 0, 0]),
  ]
  for (const bytes of garbage) {
    const socket = connect(world.port, '127.0.0.1')
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.write(bytes)
    await closed
  }
  await Promise.all([produce(output.ring, 100), consume(t, input, 100)])
})

test('a consumer that is answered with garbage breaks its channels, not the process', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const world = await new World().start()
  const { port } = server.address() as { port: number }
  const broken = await new Promise<Error>((resolve) => void world.input('p', 'c', resolve, port))
  t.true(isFlottError(broken, 'CHANNEL_BROKEN'))
  await world.stop()
  server.close()
})
