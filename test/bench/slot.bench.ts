/**
 * A whole slot, all tasks in one thread: source -> map -> by key -> rolling sum -> sink, records per second.
 * Run: node dist/test/bench/slot.bench.js [records] [keys]
 */
import { systemClock } from '#core/clock.js'
import { attemptIdOf, stableId } from '#core/ids.js'
import { systemRandom } from '#core/random.js'
import { Doorbell } from '#taskmanager/exchange/doorbell.js'
import { SlotExchangeFactory } from '#taskmanager/exchange/exchange-factory.js'
import { createWindowOperator } from '#taskmanager/operators/window.js'
import type { FromSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { SlotWorker } from '#taskmanager/slotworker/slot-worker.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { listSource } from '../support/list-source.js'
import { sketchJob } from '../support/slot-job.js'
import { report } from './measure.js'

const RECORDS = Number(process.argv[2] ?? 2_000_000)
const KEYS = Number(process.argv[3] ?? 1_000)

const names = Array.from({ length: KEYS }, (_, i) => `user-${i}`)
const sketch = sketchJob(
  [
    {
      name: 'source',
      operators: [
        { uid: 'numbers', kind: 'source', source: listSource({ recordsPerPoll: 256 }) },
        { uid: 'events', kind: 'map', f: (n: number) => ({ user: names[(n * 7919) % KEYS]!, cents: n & 127 }) },
      ],
    },
    {
      name: 'count',
      operators: [
        { uid: 'sum', kind: 'rollingAggregate', key: { field: 'user' }, aggregate: 'sum', field: 'cents' },
        { uid: 'sink', kind: 'sink', sink: { createWriter: () => ({ write() {}, flush() {} }) } },
      ],
    },
  ],
  [{ from: 'events', to: 'sum', partitioner: 'hash', functions: { key: { field: 'user' } } }],
)

const attempts = sketch.jobGraph.vertices.map((v) => attemptIdOf(sketch.jobGraph.jobId, v.id, 0, 0))
const [edge] = sketch.jobGraph.edges
const channel = { edgeId: edge!.id, producerAttempt: attempts[0]!, producerSubtask: 0, consumerAttempt: attempts[1]!, consumerSubtask: 0 }
let finished = 0
let started = 0
const doorbell = new Doorbell()
const worker = new SlotWorker({
  data: { slotIndex: 0, taskManagerId: 'tm', memoryBytes: 2 ** 31, doorbell: doorbell.shared, logLevel: 'info' },
  clock: systemClock,
  doorbell,
  exchange: new SlotExchangeFactory({ random: systemRandom }),
  loader: { load: async () => sketch.program },
  memory: { usedBytes: () => 0 },
  createKeyedState: createKeyedStateBackend,
  createWindowOperator,
  post: heard,
})
function heard(message: FromSlotWorker): void {
  if (message.kind !== 'task-state') return
  if (message.state === 'FAILED') throw new Error(message.error?.stack)
  if (message.state === 'RUNNING' && message.attemptId === attempts[0]) {
    started = systemClock.monotonicMs()
    const splits = [{ splitId: 's', from: 0, to: RECORDS }]
    worker.handle({
      kind: 'operator-events',
      attemptId: attempts[0]!,
      operatorId: stableId('numbers'),
      events: [
        { number: 1, event: { kind: 'splits-assigned', splits } },
        { number: 2, event: { kind: 'no-more-splits' } },
      ],
    })
  }
  if (message.state !== 'FINISHED' || ++finished < 2) return
  const opsPerSecond = Math.round((RECORDS / (systemClock.monotonicMs() - started)) * 1_000)
  report('slot', { records: RECORDS, keys: KEYS, opsPerSecond })
  worker.stop()
}
worker.handle({
  kind: 'deploy',
  job: { jobGraph: sketch.jobGraph },
  tasks: sketch.jobGraph.vertices.map((vertex, i) => ({
    descriptor: { attemptId: attempts[i]!, vertexId: vertex.id, subtaskIndex: 0, attemptNumber: 0, allocationId: 'a', slotIndex: 0 },
    inputs: i === 1 ? [channel] : [],
    outputs: i === 0 ? [channel] : [],
  })),
})
