import { type ResourceLimits, Worker } from 'node:worker_threads'
import { FlottError } from '#core/errors.js'
import type { FromSlotWorker, SlotWorker, SlotWorkerData, SlotWorkerHost, ToSlotWorker } from './protocol.js'
import { stackOfWorker } from './worker-stack.js'

const MEGABYTE = 1024 * 1024
const YOUNG_GENERATION_MB = 64
/**
 * At its limit Node gives a heap 16 MB more, so that the collection under way can end and the worker after it. A larger young generation
 * may not fit, and then V8 aborts the process: seen on Node 22 in five of six small heaps, in none that were larger than this.
 */
const SMALL_HEAP_MB = 512
const SMALL_YOUNG_GENERATION_MB = 16
/** What a worker needs for itself, whatever its share. */
const OLD_GENERATION_MB_MIN = 128

/**
 * A slot worker as a thread. The share of memory is a soft limit that the worker checks by itself; V8's limit is twice as much, so that
 * it is met only by what grew between two checks.
 */
export class ThreadSlotWorkerHost implements SlotWorkerHost {
  /** `entry`: the module that the thread runs. */
  constructor(private readonly entry: URL = new URL('./entry.js', import.meta.url)) {}

  start(data: SlotWorkerData, handlers: { onMessage(message: FromSlotWorker): void; onExit(cause: Error | undefined): void }): SlotWorker {
    const worker = new Worker(this.entry, { workerData: data, resourceLimits: limitsOf(data.memoryBytes), name: 'slot worker' })
    let cause: Error | undefined
    let exited = false
    const ending = new AbortController()
    worker.on('message', (message: FromSlotWorker) => {
      if (!exited) handlers.onMessage(message)
    })
    worker.on('error', (error) => {
      cause = causeOf(error, data.memoryBytes)
    })
    worker.on('exit', (code) => {
      exited = true
      ending.abort()
      handlers.onExit(cause ?? (code === 0 ? undefined : new FlottError('TASK_LOST', `the slot worker exited with code ${code}`)))
    })
    return {
      post(message: ToSlotWorker, transfer: readonly ArrayBuffer[] = []) {
        worker.postMessage(message, transfer)
      },
      async terminate() {
        ending.abort() // A paused thread would never end.
        await worker.terminate()
      },
      stack: (signal) => stackOfWorker(worker.threadId, AbortSignal.any([signal, ending.signal])),
    }
  }
}

export function limitsOf(memoryBytes: number): ResourceLimits {
  const oldMb = Math.max(OLD_GENERATION_MB_MIN, Math.ceil((2 * memoryBytes) / MEGABYTE))
  return {
    maxOldGenerationSizeMb: oldMb,
    maxYoungGenerationSizeMb: oldMb < SMALL_HEAP_MB ? SMALL_YOUNG_GENERATION_MB : YOUNG_GENERATION_MB,
  }
}

function causeOf(error: Error, memoryBytes: number): FlottError {
  const outOfMemory = (error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY'
  const text = outOfMemory
    ? `the slot worker has outgrown twice its share of ${memoryBytes} bytes`
    : `the slot worker died: ${error.message}`
  return new FlottError(outOfMemory ? 'MEMORY_EXCEEDED' : 'TASK_LOST', text, { cause: error })
}
