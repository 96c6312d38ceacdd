/** A slot worker as a thread: binds SlotWorker to the thread's port, clock and memory. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '#core/clock.js'
import { systemRandom } from '#core/random.js'
import { watchThreadMemory } from '#metrics/thread-memory.js'
import { ArtifactLoader } from '#usercode/program-loader.js'
import { Doorbell } from '../exchange/doorbell.js'
import { SlotExchangeFactory } from '../exchange/exchange-factory.js'
import { createWindowOperator } from '../operators/window.js'
import { createKeyedStateBackend } from '../state/heap-keyed-state-backend.js'
import type { MemoryProbe } from './memory-guard.js'
import type { SlotWorkerData, ToSlotWorker } from './protocol.js'
import { SlotWorker } from './slot-worker.js'

function threadMemory(): MemoryProbe {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  return {
    describe: watchThreadMemory(),
    collectGarbage: () => collectGarbage(),
    usedBytes() {
      const { used_heap_size, external_memory } = getHeapStatistics()
      return used_heap_size + external_memory // Array buffers are part of external memory.
    },
  }
}

const port = parentPort
if (!port) throw new Error('the entry of a slot worker runs in a thread')
const data = workerData as SlotWorkerData
const worker = new SlotWorker({
  data,
  clock: systemClock,
  doorbell: new Doorbell(data.doorbell),
  exchange: new SlotExchangeFactory({ random: systemRandom }),
  loader: new ArtifactLoader(systemClock),
  memory: threadMemory(),
  createKeyedState: createKeyedStateBackend,
  createWindowOperator,
  post: (message, transfer) => port.postMessage(message, transfer ?? []),
})
port.on('message', (message: ToSlotWorker) => worker.handle(message))
worker.start()
// What every program imports. A spare that has loaded it saves a deployment the time; a failure is the program's to tell.
void import(import.meta.resolve('flott')).catch(() => {})
