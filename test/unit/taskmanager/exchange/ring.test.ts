import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { Bell, createDoorbell, Doorbell } from '#taskmanager/exchange/doorbell.js'
import { createRing, RingConsumer, RingProducer } from '#taskmanager/exchange/ring.js'

test('frames come out in order, and slots are credits', (t) => {
  const ring = createRing({ slots: 4, slotBytes: 256 })
  const producer = new RingProducer(ring)
  const consumer = new RingConsumer(ring)
  t.is(consumer.peek(), undefined)
  for (let i = 0; i < 4; i++) t.true(producer.offer(Buffer.from(`frame ${i}`)))
  t.false(producer.offer(Buffer.from('no slot')))
  t.is(producer.freeSlots, 0)
  t.is(consumer.available, 4)
  t.is(consumer.peek(2)?.toString(), 'frame 2')
  t.is(consumer.peek(4), undefined)
  t.is(consumer.peek()?.toString(), 'frame 0')
  consumer.release(2)
  t.is(consumer.sequence, 2)
  t.is(consumer.peek()?.toString(), 'frame 2')
  const slot = producer.acquire()!
  slot.write('written in place')
  producer.publish(16)
  t.is(producer.sequence, 5)
  t.is(consumer.peek(2)?.toString(), 'written in place')
})

test('both ends go on where the ring is', (t) => {
  const ring = createRing({ slots: 2, slotBytes: 256 })
  for (let i = 0; i < 10; i++) {
    t.true(new RingProducer(ring).offer(Buffer.from([i])))
    const consumer = new RingConsumer(ring)
    t.is(consumer.peek()![0], i)
    consumer.release()
  }
})

test('a ring refuses what it can not be', (t) => {
  for (const options of [{ slots: 3 }, { slots: 1 }, { slotBytes: 100 }, { slotBytes: 1001 }])
    t.throws(() => createRing(options), { instanceOf: RangeError })
  t.throws(() => new RingProducer(createRing({ slots: 2, slotBytes: 256 })).offer(Buffer.alloc(249)), { instanceOf: RangeError })
  t.throws(() => new RingProducer(new SharedArrayBuffer(64)), { message: 'not a ring' })
})

test('a doorbell in one thread', async (t) => {
  const doorbell = new Doorbell(createDoorbell(), { oneThread: true })
  const bell = new Bell(doorbell.shared)
  await doorbell.sleepUntilRung(() => true) // There is work: no sleep.
  bell.ring() // Awake: nothing happens.
  let woken = 0
  const sleep = doorbell.sleepUntilRung(() => false).then(() => woken++)
  t.true(doorbell.isSleeping)
  t.throws(() => void doorbell.sleepUntilRung(() => false))
  bell.ring()
  bell.ring()
  await sleep
  t.is(woken, 1)
  t.false(doorbell.isSleeping)
  const again = doorbell.sleepUntilRung(() => false)
  doorbell.wake()
  await again
  t.pass()
})

/** A bell whose owner always sleeps, and what rang it. */
function sleeper(): { bell: Bell; rings: number } {
  const counter = { rings: 0, bell: undefined as unknown as Bell }
  counter.bell = { isOwnerSleeping: true, ring: () => counter.rings++ } as unknown as Bell
  return counter
}

test('a full ring rings its producer when half of it is free', (t) => {
  const ring = createRing({ slots: 4, slotBytes: 256 })
  const sleeping = sleeper()
  const consumer = new RingConsumer(ring, sleeping.bell)
  const producer = new RingProducer(ring)
  for (let i = 0; i < 4; i++) producer.offer(Buffer.from([i]))
  t.false(producer.offer(Buffer.from([9])))
  consumer.release()
  t.is(sleeping.rings, 0)
  consumer.release()
  t.is(sleeping.rings, 1)
  t.true(producer.offer(Buffer.from([4])))
  consumer.release()
  t.is(sleeping.rings, 1, 'it does not wait any more')
})

test('a sleeping consumer is rung when half of the ring is full, or the turn ends', async (t) => {
  const sleeping = sleeper()
  const producer = new RingProducer(createRing({ slots: 4, slotBytes: 256 }), sleeping.bell)
  producer.offer(Buffer.from([1]))
  t.is(sleeping.rings, 0)
  producer.offer(Buffer.from([2]))
  t.is(sleeping.rings, 1)
  await Promise.resolve()
  t.is(sleeping.rings, 2)
  await Promise.resolve()
  t.is(sleeping.rings, 2)
})

// Each thread is producer of one ring and consumer of the other, sleeps whenever it is stuck, and now and then takes a seeded nap.
const PARTY = `
  const { workerData, parentPort } = require('node:worker_threads')
  Promise.all([import(workerData.ringModule), import(workerData.doorbellModule), import(workerData.randomModule)]).then(async ([r, d, { seededRandom }]) => {
    const { out, into, own, peer, frames, seed } = workerData
    const doorbell = new d.Doorbell(own), bell = new d.Bell(peer), random = seededRandom(seed)
    const producer = new r.RingProducer(out, bell), consumer = new r.RingConsumer(into, bell)
    const keepAlive = setInterval(() => {}, 60_000)
    const frame = Buffer.alloc(8)
    let sent = 0, got = 0, sleeps = 0
    while (sent < frames || got < frames) {
      let moved = false
      for (let burst = random.next() * 20; burst > 0 && sent < frames; burst--) {
        frame.writeUInt32LE(sent)
        if (!producer.offer(frame)) break
        sent++
        moved = true
      }
      for (let burst = random.next() * 20; burst > 0 && consumer.available > 0; burst--) {
        const number = consumer.peek().readUInt32LE()
        if (number !== got) throw new Error('frame ' + number + ' in place of ' + got)
        consumer.release()
        got++
        moved = true
      }
      if (random.next() < 0.001) await new Promise((resolve) => setImmediate(resolve))
      if (moved) continue
      sleeps++
      await doorbell.sleepUntilRung(() => consumer.available > 0 || (sent < frames && producer.freeSlots > 0))
    }
    clearInterval(keepAlive)
    parentPort.postMessage({ sent, got, sleeps })
  })
`

test('two threads lose no frame and no wake-up', async (t) => {
  const rings = [createRing({ slots: 2, slotBytes: 256 }), createRing({ slots: 4, slotBytes: 256 })]
  const bells = [createDoorbell(), createDoorbell()]
  const modules = {
    ringModule: import.meta.resolve('#taskmanager/exchange/ring.js'),
    doorbellModule: import.meta.resolve('#taskmanager/exchange/doorbell.js'),
    randomModule: import.meta.resolve('#core/random.js'),
  }
  const frames = 30_000
  const workers = [0, 1].map((i) => {
    const workerData = { ...modules, out: rings[i], into: rings[1 - i], own: bells[i], peer: bells[1 - i], frames, seed: i + 1 }
    return new Worker(PARTY, { eval: true, workerData })
  })
  for (const [{ sent, got, sleeps }] of await Promise.all(workers.map((worker) => once(worker, 'message')))) {
    t.is(sent, frames)
    t.is(got, frames)
    t.true(sleeps > 0, 'the test must make them sleep')
  }
})
