import test, { type ExecutionContext } from 'ava'
import { isFlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { between, seededRandom } from '#core/random.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import { Bell } from '#taskmanager/exchange/doorbell.js'
import { createRing, RingConsumer, RingProducer } from '#taskmanager/exchange/ring.js'
import { ChannelNetworkEnvironment } from '#taskmanager/network/channel-network-environment.js'
import { LoopbackDataPorts } from '#taskmanager/network/loopback-transport.js'
import { FakeClock } from '../../../support/fake-clock.js'

const FRAMES = 300

/** One producer, one consumer, frames and pauses, losses and delays from a seed. Returns what happened, and when. */
async function history(t: ExecutionContext, seed: number, faults: { dropRate: number; cuts?: boolean }): Promise<string[]> {
  const clock = new FakeClock()
  const random = seededRandom(seed)
  const network = new LoopbackNetwork(clock, {
    delayMs: () => between(random, 0, 20),
    drops: () => random.next() < faults.dropRate,
  })
  const ports = new LoopbackDataPorts(network)
  const environment = (name: string) =>
    new ChannelNetworkEnvironment({
      taskManagerId: name,
      clock,
      logger: silentLogger,
      transport: ports.transport(network.process(name)),
      oneThread: true,
    })
  const producers = environment('p')
  const consumers = environment('c')
  const port = await producers.start('p', 0)
  await consumers.start('c', 0)
  const log: string[] = []
  const channel = { edgeId: 'e', producerAttempt: 'p1', producerSubtask: 0, consumerAttempt: 'c1', consumerSubtask: 0 }
  const [from, to] = [createRing({ slotBytes: 256 }), createRing({ slotBytes: 256 })]
  let broken = false
  producers.openOutput({ ...channel, ring: from })
  consumers.openInput({ ...channel, ring: to }, { host: 'p', port }, (cause) => {
    t.true(isFlottError(cause, 'CHANNEL_BROKEN'))
    log.push(`${clock.monotonicMs()} broken`)
    broken = true
  })
  const output = new RingProducer(from, new Bell(producers.doorbell))
  const input = new RingConsumer(to, new Bell(consumers.doorbell))
  let sent = 0
  let received = 0
  const produce = () => {
    while (sent < FRAMES && output.offer(Buffer.from(`frame ${sent}`))) sent++
    if (sent < FRAMES) clock.setTimer(between(random, 1, 30), produce)
    else producers.closeAttempt('p1', { finished: true })
  }
  const consume = () => {
    for (let n = between(random, 0, 4); n > 0 && input.available > 0; n--) {
      t.is(input.peek()!.toString(), `frame ${received}`)
      log.push(`${clock.monotonicMs()} ${received++}`)
      input.release()
    }
    if (received < FRAMES && !broken) clock.setTimer(between(random, 1, 15), consume)
  }
  produce()
  consume()
  if (faults.cuts)
    for (let at = 500; at <= 1_500; at += 500) {
      clock.setTimer(at, () => network.cut('p', 'c'))
      clock.setTimer(at + 200, () => network.heal('p', 'c'))
    }
  await clock.runUntil(() => received === FRAMES || broken, { withinMs: 600_000 })
  const stopped = Promise.all([producers.stop(), consumers.stop()])
  await clock.advance(100)
  await stopped
  return log
}

test('frames arrive in order, once, whatever the delays; one seed is one history', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const first = await history(t, seed, { dropRate: 0 })
    t.is(first.length, FRAMES)
    t.deepEqual(await history(t, seed, { dropRate: 0 }), first)
  }
})

test('lost connections are resumed: nothing is lost or doubled, or the channel is broken', async (t) => {
  let complete = 0
  for (let seed = 1; seed <= 20; seed++) {
    const log = await history(t, seed, { dropRate: 0.02 })
    if (log.length === FRAMES) complete++
    else t.regex(log.at(-1)!, /broken/)
  }
  t.true(complete > 10, `${complete} of 20`)
})

test('a cut that heals is a lost connection', async (t) => {
  const log = await history(t, 3, { dropRate: 0, cuts: true })
  t.is(log.length, FRAMES)
})
