/** What runs in a slot, and forgets a rule. */
import type { StateDescriptor } from '#core/state/state.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import type { ToSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { createKeyedStateBackend, HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import type { KeyedSnapshot, KeyedStateBackend, KeyedStateBackendOptions } from '#taskmanager/state/keyed-state-backend.js'
import type { BrokenRule } from './broken-rules.js'

export function createState(broken: ReadonlySet<BrokenRule>): (options: KeyedStateBackendOptions) => KeyedStateBackend {
  if (broken.has('delta-since-any-snapshot')) return (options) => new DeltasOfAnySnapshot(options)
  if (broken.has('hand-out-untouched')) return (options) => new Untouched(options)
  return createKeyedStateBackend
}

/** The next delta holds what has changed since the last snapshot, complete or not; what was aborted is not referred to. */
class DeltasOfAnySnapshot extends HeapKeyedStateBackend {
  readonly #complete = new Set<number>()
  #aborted = -1

  override snapshot(checkpointId: number): KeyedSnapshot {
    const done = super.snapshot(checkpointId).done.then((taken) => {
      super.notifyCheckpointComplete(checkpointId)
      return { ...taken, chunks: taken.chunks.filter((chunk) => !this.#isAborted(chunk)) }
    })
    done.catch(() => {}) // Told to whoever asked for it.
    return { done }
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    this.#complete.add(checkpointId)
    super.notifyCheckpointComplete(checkpointId)
  }
  override notifyCheckpointAborted(checkpointId: number): void {
    this.#aborted = Math.max(this.#aborted, checkpointId)
    super.notifyCheckpointAborted(checkpointId)
  }
  #isAborted({ blob }: ChunkRef): boolean {
    const checkpointId = Number(blob.split('/')[2])
    return checkpointId <= this.#aborted && !this.#complete.has(checkpointId)
  }
}

interface Editable {
  value: unknown
  edit(): unknown
  clear(): void
}

/** A value that is handed out to be changed in place counts as unchanged. */
class Untouched extends HeapKeyedStateBackend {
  override state<S>(descriptor: StateDescriptor<S>): S {
    const real = super.state(descriptor) as unknown as Editable
    if (descriptor.kind !== 'value') return real as unknown as S
    const handle: Editable = {
      get value() {
        return real.value
      },
      set value(next) {
        real.value = next
      },
      edit: () => ((real.value as { n?: number } | undefined)?.n ? real.value : real.edit()),
      clear: () => real.clear(),
    }
    return handle as unknown as S
  }
}

/** The message to a worker as a careless TaskManager hands it on. */
export function changedMessage(message: ToSlotWorker, broken: ReadonlySet<BrokenRule>): ToSlotWorker {
  if (message.kind !== 'deploy') return message
  if (broken.has('forget-restored-state')) {
    const tasks = message.tasks.map(({ descriptor: { restore: _, ...descriptor }, ...task }) => ({ ...task, descriptor }))
    return { ...message, tasks }
  }
  if (!broken.has('end-with-one-marker')) return message
  // Without checkpoints a task ends with its data, and its sinks commit at once.
  const { job } = message
  const settings = { ...job.jobGraph.settings, 'execution.checkpointing.interval': '0' }
  return { ...message, job: { ...job, jobGraph: { ...job.jobGraph, settings } } }
}
