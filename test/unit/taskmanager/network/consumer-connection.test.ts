import test, { type ExecutionContext } from 'ava'
import { isFlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { createRing } from '#taskmanager/exchange/ring.js'
import { ConsumerConnection } from '#taskmanager/network/consumer-connection.js'
import { InputChannel } from '#taskmanager/network/input-channel.js'
import { encodeFrameHeader } from '#taskmanager/network/message-format.js'
import type { DataSocket, DataTransport, SocketHandlers } from '#taskmanager/network/transport.js'
import { FakeClock } from '../../../support/fake-clock.js'

const RESET = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
const REFUSED = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })

/** A connection whose dials the test answers. */
class Dialled implements DataTransport {
  readonly clock = new FakeClock()
  readonly dials: { readonly atMs: number; readonly handlers: SocketHandlers; destroyed: boolean }[] = []
  readonly broken: Error[] = []
  readonly connection = new ConsumerConnection({
    transport: this,
    host: 'p',
    port: 1,
    taskManagerId: 'c',
    clock: this.clock,
    logger: silentLogger,
    wake() {},
    onIdle() {},
  })
  constructor() {
    const descriptor = { edgeId: 'e', producerAttempt: 'p1', producerSubtask: 0, consumerAttempt: 'c1', consumerSubtask: 0 }
    this.connection.open(new InputChannel(1, { ...descriptor, ring: createRing() }, (cause) => this.broken.push(cause)))
  }
  connect(_host: string, _port: number, handlers: SocketHandlers): DataSocket {
    const dial = { atMs: this.clock.monotonicMs(), handlers, destroyed: false }
    this.dials.push(dial)
    return {
      writable: true,
      bufferedBytes: 0,
      remoteAddress: 'p:1',
      write() {},
      cork() {},
      uncork() {},
      end() {},
      destroy(cause) {
        dial.destroyed = true
        handlers.onClose(cause)
      },
    }
  }
  async listen(): Promise<number> {
    return 0
  }
  async stop(): Promise<void> {}
  get newest(): SocketHandlers {
    return this.dials.at(-1)!.handlers
  }
  frame(sequence: number): void {
    this.newest.onBytes(Buffer.concat([encodeFrameHeader(1, sequence, 3), Buffer.from('abc')]))
  }
  /** Fails every dial so until nothing is dialled any more. */
  async failAll(cause: Error): Promise<void> {
    for (let seen = 0; seen < this.dials.length; await this.clock.advance(100)) {
      seen = this.dials.length
      this.newest.onClose(cause)
    }
  }
}
function isBroken(t: ExecutionContext, { broken, connection }: Dialled): void {
  t.true(isFlottError(broken[0], 'CHANNEL_BROKEN'))
  t.true(connection.isClosed)
}

test('a lost connection is dialled at once, then with pauses, for two seconds', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onConnect!()
  await dialled.clock.advance(5_000)
  const lostMs = dialled.clock.monotonicMs()
  await dialled.failAll(RESET)
  isBroken(t, dialled)
  const [, again, next] = dialled.dials
  t.deepEqual([again!.atMs, next!.atMs], [lostMs, lostMs + 200]) // The dial failed after 100 ms.
  t.is(dialled.dials.at(-1)!.atMs, lostMs + 2_000)
})

test('one that comes back in time goes on, and the next loss has the whole time', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onConnect!()
  for (let sequence = 0; sequence < 3; sequence++) {
    dialled.newest.onClose(RESET)
    for (let tries = 0; tries < 15; tries++) {
      dialled.newest.onClose(RESET)
      await dialled.clock.advance(100)
    }
    dialled.newest.onConnect!()
    dialled.frame(sequence)
  }
  t.deepEqual(dialled.broken, [])
})

test('connections that bring nothing do not renew the time', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onConnect!()
  for (let round = 0; round < 100 && !dialled.connection.isClosed; round++) {
    dialled.newest.onClose(RESET)
    await dialled.clock.advance(100)
    dialled.newest.onConnect!()
  }
  isBroken(t, dialled)
})

test('a way that swallows everything: each dial gives up, so that the next may find it whole', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onConnect!()
  dialled.newest.onClose(RESET)
  await dialled.clock.advance(1_500)
  t.deepEqual(
    dialled.dials.slice(1).map(({ destroyed }) => destroyed),
    [true, true, false],
  )
  t.deepEqual(dialled.broken, [])
  await dialled.clock.advance(5_000)
  isBroken(t, dialled)
})

test('refused after it was connected: the process is dead; before, it may be starting', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onClose(REFUSED)
  await dialled.clock.advance(100)
  t.is(dialled.dials.length, 2)
  dialled.newest.onConnect!()
  dialled.newest.onClose(RESET)
  t.deepEqual(dialled.broken, [])
  dialled.newest.onClose(REFUSED)
  isBroken(t, dialled)
  await dialled.clock.advance(10_000)
  t.is(dialled.dials.length, 3)
})

test('a first connection that never comes is given up', async (t) => {
  const dialled = new Dialled()
  await dialled.failAll(REFUSED)
  isBroken(t, dialled)
  t.is(dialled.dials.at(-1)!.atMs - dialled.dials[0]!.atMs, 10_000)
})

test('garbage: nobody is dialled again', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onConnect!()
  dialled.newest.onBytes(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  isBroken(t, dialled)
  t.true(dialled.dials[0]!.destroyed)
  await dialled.clock.advance(10_000)
  t.is(dialled.dials.length, 1)
})

test('a connection that nobody needs any more while it is down is not dialled', async (t) => {
  const dialled = new Dialled()
  dialled.newest.onConnect!()
  dialled.newest.onClose(RESET)
  dialled.newest.onClose(RESET)
  dialled.connection.destroy()
  await dialled.clock.advance(10_000)
  t.is(dialled.dials.length, 2)
  t.deepEqual(dialled.broken, [])
})
