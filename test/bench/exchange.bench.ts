/**
 * Records from one slot to another: between threads through a ring, between processes through rings and the TaskManagers' own TCP
 * connection, within a slot; and, to compare, arrays of objects by postMessage. Run: node dist/test/bench/exchange.bench.js [records]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { createDoorbell } from '#taskmanager/exchange/doorbell.js'
import type { ResultPartition } from '#taskmanager/exchange/exchange.js'
import { createRing } from '#taskmanager/exchange/ring.js'
import { exchangePair } from '../support/exchange-pair.js'
import { EndWorker, type Measured, pool, type Role, TURN } from './exchange-end.js'
import { cpuMs, hundredths, median, ratio, report } from './measure.js'

const ROUNDS = 5
const TASK_MANAGER = fileURLToPath(new URL('exchange-task-manager.js', import.meta.url))

async function betweenThreads(records: number): Promise<Measured> {
  const ring = createRing()
  const bell = createDoorbell()
  const consumer = new EndWorker('consume', ring, bell, records)
  const producer = new EndWorker('produce', ring, consumer.bell, records, bell)
  await Promise.all([consumer.ready(), producer.ready()])
  const [measured] = await Promise.all([consumer.run(), producer.run()])
  await Promise.all([consumer.stop(), producer.stop()])
  return measured
}

async function betweenProcesses(records: number): Promise<Measured> {
  const start = (role: Role) => fork(TASK_MANAGER, [role, String(records)])
  const [producer, consumer] = [start('produce'), start('consume')]
  const [{ port }] = await Promise.all([said<{ port: number }>(producer), said(consumer)])
  consumer.send({ port })
  await said(consumer)
  const results = Promise.all([said<Measured>(consumer), said<Measured>(producer)])
  for (const taskManager of [consumer, producer]) taskManager.send('go')
  const [received, sent] = await results
  await end(consumer)
  await end(producer)
  return { ...received, cpuSeconds: received.cpuSeconds + sent.cpuSeconds }
}
async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.send('end')
  const [code] = await exit
  if (code !== 0) throw new Error(`a TaskManager ended with ${code}`)
}
async function said<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, 'message')) as [T]
  return message
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
  const records = Number(process.argv[2] ?? 4_000_000)
  const threads: Measured[] = []
  const processes: Measured[] = []
  const posts: number[] = []
  const slots: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    threads.push(await betweenThreads(records))
    processes.push(await betweenProcesses(records))
    posts.push(await byPostMessage(records / 10))
    slots.push(withinSlot(records))
  }
  const perCpuSecond = ({ records, cpuSeconds }: Measured) => records / cpuSeconds
  const perSecond = ({ records, seconds }: Measured) => records / seconds
  const figures = (measured: readonly Measured[]) => ({
    recordsPerSecond: millions(median(measured.map(perSecond))),
    bytesPerSecond: millions(median(measured.map(({ bytes, seconds }) => bytes / seconds))),
    recordsPerCpuSecond: millions(median(measured.map(perCpuSecond))),
  })
  report('exchange', {
    unit: 'millions, medians; a CPU second of both ends',
    records,
    betweenThreads: figures(threads),
    betweenProcesses: figures(processes),
    /** Round by round. */
    processesOverThreads: {
      recordsPerSecond: hundredths(ratio(processes.map(perSecond), threads.map(perSecond))),
      recordsPerCpuSecond: hundredths(ratio(processes.map(perCpuSecond), threads.map(perCpuSecond))),
    },
    withinSlotPerCpuSecond: millions(median(slots)),
    postMessagePerCpuSecond: millions(median(posts)),
  })
} else {
  const { posts } = workerData as { posts: number }
  for (let sent = 0; sent < posts; sent += 400) parentPort?.postMessage(pool.slice(sent % 32_000, (sent % 32_000) + 400))
}

function millions(figure: number): number {
  return hundredths(figure / 1e6)
}
