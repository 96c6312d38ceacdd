/**
 * One end of the exchange that is measured, in a worker as a slot is one: it sends records through a result partition, or takes them
 * from an input gate. What it says at the end is of the steady part: the first quarter warms up.
 */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { systemClock } from '#core/clock.js'
import { seededRandom } from '#core/random.js'
import type { JobEdge } from '#protocol/graph/job-graph.js'
import { createDoorbell, Doorbell } from '#taskmanager/exchange/doorbell.js'
import type { ChannelDescriptor } from '#taskmanager/exchange/exchange.js'
import { SlotExchangeFactory } from '#taskmanager/exchange/exchange-factory.js'
import { limitsOf } from '#taskmanager/slotworker/slot-worker-host.js'
import { cpuMs } from './measure.js'

const edge: JobEdge = {
  id: 'e',
  source: 'a',
  sourceOperator: 'a',
  target: 'b',
  targetOperator: 'b',
  partitioner: 'hash',
  targetInput: 0,
}
export const CHANNEL = { edgeId: 'e', producerAttempt: 'p', producerSubtask: 0, consumerAttempt: 'c', consumerSubtask: 0 }
export const pool = Array.from({ length: 32_768 }, (_, i) => ({
  user: `u${10_000 + (i % 50_000)}`,
  price: i % 1000,
  ts: 1.7e12 + i,
  url: `https://shop.example/item/${1000 + (i % 9000)}`,
}))
/** Records between two looks at the event loop. */
export const TURN = 1024
export type Role = 'produce' | 'consume'
/** CPU time is of the whole process: both ends, where both are in it. */
export interface Measured {
  readonly records: number
  readonly bytes: number
  readonly seconds: number
  readonly cpuSeconds: number
}
interface End {
  readonly role: Role
  readonly ring: SharedArrayBuffer
  readonly bell: SharedArrayBuffer
  readonly peerBell: SharedArrayBuffer
  readonly records: number
}

/** A thread with one end, ready to begin. */
export class EndWorker {
  readonly bell: SharedArrayBuffer
  readonly #worker: Worker
  readonly #ready: Promise<unknown>
  constructor(role: Role, ring: SharedArrayBuffer, peerBell: SharedArrayBuffer, records: number, bell = createDoorbell()) {
    this.bell = bell
    const end: End = { role, ring, bell, peerBell, records }
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { end }, resourceLimits: limitsOf(2 ** 29) })
    this.#ready = once(this.#worker, 'message')
  }
  async ready(): Promise<void> {
    await this.#ready
  }
  async run(): Promise<Measured> {
    this.#worker.postMessage('go')
    const [measured] = (await once(this.#worker, 'message')) as [Measured]
    return measured
  }
  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** From the call on: for what comes after the first quarter. */
function steadyPart(): (done: { records: number; bytes: number }, before: { records: number; bytes: number }) => Measured {
  const [start, cpu] = [systemClock.monotonicMs(), cpuMs()]
  return (done, before) => ({
    records: done.records - before.records,
    bytes: done.bytes - before.bytes,
    seconds: (systemClock.monotonicMs() - start) / 1000,
    cpuSeconds: (cpuMs() - cpu) / 1000,
  })
}

async function produce({ ring, bell, peerBell, records }: End): Promise<Measured> {
  const doorbell = new Doorbell(bell)
  const channels: ChannelDescriptor[] = [{ ...CHANNEL, ring, peerDoorbell: peerBell }]
  const partition = new SlotExchangeFactory({ random: seededRandom(1) }).resultPartition({
    edge,
    channels,
    consumers: 1,
    maxParallelism: 128,
    functions: { key: { field: 'user' } },
    attemptId: 'p',
    subtaskIndex: 0,
  })
  const send = async (from: number, to: number) => {
    for (let sent = from; sent < to; ) {
      for (let i = 0; i < TURN && sent < to && !partition.isBackPressured; i++) partition.emit(pool[sent++ & 32_767], Number.NaN)
      while (!partition.drain()) await doorbell.sleepUntilRung(() => partition.drain())
    }
  }
  await send(0, records / 4)
  const measure = steadyPart()
  const before = { records: records / 4, bytes: partition.numBytesOut }
  await send(records / 4, records)
  partition.broadcastEvent({ kind: 'end-of-partition' })
  while (!partition.drain()) await doorbell.sleepUntilRung(() => partition.drain())
  return measure({ records, bytes: partition.numBytesOut }, before)
}

async function consume({ ring, bell, peerBell, records }: End): Promise<Measured> {
  const doorbell = new Doorbell(bell)
  const channels: ChannelDescriptor[] = [{ ...CHANNEL, ring, peerDoorbell: peerBell }]
  const gate = new SlotExchangeFactory({ random: seededRandom(1) }).inputGate({ edges: [{ edge, channels }], attemptId: 'c' })
  let measure: ReturnType<typeof steadyPart> | undefined
  let before = { records: 0, bytes: 0 }
  for (let count = 0, sum = 0; ; ) {
    const polled = gate.poll()
    if (!polled) await doorbell.sleepUntilRung(() => gate.hasInput)
    else if (polled.kind === 'event') {
      if (count === records && sum > 0 && measure) return measure({ records: count, bytes: gate.numBytesIn }, before)
      throw new Error(`${count} of ${records} records came`)
    } else {
      const { values, count: n } = polled.batch
      for (let i = 0; i < n; i++) sum += (values[i] as { price: number }).price
      count += n
      if (measure || count < records / 4) continue
      measure = steadyPart()
      before = { records: count, bytes: gate.numBytesIn }
    }
  }
}

const { end } = (workerData ?? {}) as { end?: End }
if (end) {
  parentPort!.postMessage('ready')
  parentPort!.on(
    'message',
    () => void (end.role === 'produce' ? produce(end) : consume(end)).then((measured) => parentPort!.postMessage(measured)),
  )
}
