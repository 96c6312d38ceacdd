/**
 * Records from one thread to another through a result partition, a ring and an input gate, with doorbells; within a slot; and, to
 * compare, arrays of objects by postMessage. Run: node dist/test/bench/exchange.bench.js
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { systemClock } from '#core/clock.js'
import { seededRandom } from '#core/random.js'
import type { JobEdge } from '#protocol/graph/job-graph.js'
import { createDoorbell, Doorbell } from '#taskmanager/exchange/doorbell.js'
import type { ChannelDescriptor, InputGate, ResultPartition } from '#taskmanager/exchange/exchange.js'
import { SlotExchangeFactory } from '#taskmanager/exchange/exchange-factory.js'
import { createRing } from '#taskmanager/exchange/ring.js'
import { exchangePair } from '../support/exchange-pair.js'
import { cpuMs, median, report } from './measure.js'

interface Job {
  readonly ring: SharedArrayBuffer
  readonly bells: readonly [SharedArrayBuffer, SharedArrayBuffer]
  readonly records: number
}
const edge: JobEdge = {
  id: 'e',
  source: 'a',
  sourceOperator: 'a',
  target: 'b',
  targetOperator: 'b',
  partitioner: 'hash',
  targetInput: 0,
}
const ends = { edgeId: 'e', producerAttempt: 'p', producerSubtask: 0, consumerAttempt: 'c', consumerSubtask: 0 }
const pool = Array.from({ length: 32_768 }, (_, i) => ({
  user: `u${10_000 + (i % 50_000)}`,
  price: i % 1000,
  ts: 1.7e12 + i,
  url: `https://shop.example/item/${1000 + (i % 9000)}`,
}))
/** Records or frames between two looks at the event loop. */
const TURN = 1024

async function produce({ ring, bells, records }: Job): Promise<void> {
  const doorbell = new Doorbell(bells[0])
  const channels: ChannelDescriptor[] = [{ ...ends, ring, peerDoorbell: bells[1] }]
  const factory = new SlotExchangeFactory({ random: seededRandom(1) })
  const functions = { key: { field: 'user' } }
  const partition = factory.resultPartition({
    edge,
    channels,
    consumers: 1,
    maxParallelism: 128,
    functions,
    attemptId: 'p',
    subtaskIndex: 0,
  })
  for (let sent = 0; sent < records; ) {
    for (let i = 0; i < TURN && sent < records && !partition.isBackPressured; i++) partition.emit(pool[sent++ & 32_767], Number.NaN)
    while (!partition.drain()) await doorbell.sleepUntilRung(() => partition.drain())
  }
  partition.broadcastEvent({ kind: 'end-of-partition' })
  while (!partition.drain()) await doorbell.sleepUntilRung(() => partition.drain())
}

/** Rates: records a second, and a CPU second of both threads. */
async function acrossThreads(records: number): Promise<{ perSecond: number; perCpuSecond: number }> {
  const job: Job = { ring: createRing(), bells: [createDoorbell(), createDoorbell()], records }
  const doorbell = new Doorbell(job.bells[1])
  const channels: ChannelDescriptor[] = [{ ...ends, ring: job.ring, peerDoorbell: job.bells[0] }]
  const gate = new SlotExchangeFactory({ random: seededRandom(1) }).inputGate({ edges: [{ edge, channels }], attemptId: 'c' })
  const worker = new Worker(new URL(import.meta.url), { workerData: job, resourceLimits: { maxYoungGenerationSizeMb: 64 } })
  await once(worker, 'message')
  const start = systemClock.monotonicMs()
  const cpu = cpuMs()
  worker.postMessage('go')
  await consume(gate, doorbell, records)
  const seconds = (systemClock.monotonicMs() - start) / 1000
  const cpuSeconds = (cpuMs() - cpu) / 1000
  await worker.terminate()
  return { perSecond: records / seconds, perCpuSecond: records / cpuSeconds }
}

async function consume(gate: InputGate, doorbell: Doorbell, records: number): Promise<void> {
  for (let count = 0, sum = 0; ; ) {
    const polled = gate.poll()
    if (!polled) await doorbell.sleepUntilRung(() => gate.hasInput)
    else if (polled.kind === 'event') {
      if (count === records && sum > 0) return
      throw new Error(`${count} of ${records} records came`)
    } else {
      const { values, count: n } = polled.batch
      for (let i = 0; i < n; i++) sum += (values[i] as { price: number }).price
      count += n
    }
  }
}

function withinSlot(records: number): number {
  const { partitions, gates } = exchangePair({ partitioner: 'hash', functions: { key: { field: 'user' } } })
  const partition: ResultPartition = partitions[0]!
  const start = cpuMs()
  let sum = 0
  for (let sent = 0; sent < records; ) {
    for (let i = 0; i < TURN; i++) partition.emit(pool[sent++ & 32_767], Number.NaN)
    for (let polled = gates[0]!.poll(); polled; polled = gates[0]!.poll())
      if (polled.kind === 'records') for (let i = 0; i < polled.batch.count; i++) sum += (polled.batch.values[i] as { price: number }).price
  }
  if (sum === 0) throw new Error('nothing came')
  return (records / (cpuMs() - start)) * 1000
}

async function byPostMessage(records: number): Promise<number> {
  const cpu = cpuMs()
  const worker = new Worker(new URL(import.meta.url), { workerData: { posts: records } })
  let count = 0
  worker.on('message', (batch: unknown[]) => (count += batch.length))
  await once(worker, 'exit')
  if (count < records) throw new Error(`${count} of ${records} records came`)
  return (records / (cpuMs() - cpu)) * 1000
}

if (isMainThread) {
  const rings: { perSecond: number; perCpuSecond: number }[] = []
  const posts: number[] = []
  const slots: number[] = []
  for (let round = 0; round < 5; round++) {
    rings.push(await acrossThreads(2_000_000))
    posts.push(await byPostMessage(300_000))
    slots.push(withinSlot(2_000_000))
  }
  report('exchange', {
    unit: 'M records per CPU second of both threads, medians',
    ring: round(median(rings.map((r) => r.perCpuSecond))),
    ringPerSecond: round(median(rings.map((r) => r.perSecond))),
    withinSlot: round(median(slots)),
    postMessage: round(median(posts)),
  })
} else if ('posts' in workerData) {
  const { posts } = workerData as { posts: number }
  for (let sent = 0; sent < posts; sent += 400) parentPort?.postMessage(pool.slice(sent % 32_000, (sent % 32_000) + 400))
} else {
  parentPort?.postMessage('ready')
  parentPort?.once('message', () => void produce(workerData as Job))
  parentPort?.on('message', () => undefined) // Keeps the loop alive while it sleeps on the doorbell.
}

function round(figure: number): number {
  return Math.round(figure / 1e4) / 100
}
