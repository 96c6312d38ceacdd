/** Keyed state as a task has it, and frames of records for it: keys are fresh strings, as after decoding, and their hashes come along. */
import { systemClock } from '#core/clock.js'
import { seededRandom } from '#core/random.js'
import { keyHash } from '#core/serialization/key-hash.js'
import { type ValueState, valueState } from '#core/state/state.js'
import { createKeyedStateBackend, type HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { specialize } from '#taskmanager/state/specialize.js'

export const FRAME = 512
const random = seededRandom(1)
let made = 0

/** What was put is gone, unless chunks are to be kept. */
export function newBackend(chunks?: Map<string, Uint8Array>): HeapKeyedStateBackend {
  return createKeyedStateBackend({
    jobId: 'job',
    operatorId: `operator ${made++}`,
    attemptId: 'attempt',
    subtaskIndex: 0,
    keyGroups: [0, 128],
    maxParallelism: 128,
    clock: systemClock,
    memory: { reserve() {} },
    fail(error) {
      throw error
    },
    chunks: {
      put: async (blob, bytes) => void chunks?.set(blob, bytes),
      get: async ({ blob }) => chunks?.get(blob) ?? new Uint8Array(),
    },
  })
}

export interface Frame {
  readonly keys: string[]
  readonly hashes: Int32Array
}
export const keyOf = (i: number) => `user-${i}`

/** Of `keyCount` keys, each the `step`th of all. */
export function frames(keyCount: number, count: number, step = 1): Frame[] {
  return Array.from({ length: count }, () => {
    const text = Array.from({ length: FRAME }, () => keyOf(step * Math.floor(random.next() * keyCount)))
    const heap = Buffer.from(text.join('')).toString('latin1')
    let at = 0
    const keys = text.map(({ length }) => {
      at += length
      return heap.substring(at - length, at)
    })
    return { keys, hashes: Int32Array.from(keys, (key) => keyHash(key)) }
  })
}

export interface Row {
  n: number
  sum: number
}
export const numbers = valueState('numbers', { initial: 0 })
export const rows = valueState<Row>('rows', { initial: () => ({ n: 0, sum: 0 }) })

/** A loop of its own for each measurement, as the task generates one for each operator. */
export function updateFrame<T>(
  backend: HeapKeyedStateBackend,
  state: ValueState<T>,
  update: (state: ValueState<T>) => void,
): (frame: Frame) => void {
  return specialize(`loop ${made++}`, makeLoop, { backend, state, update }) as (frame: Frame) => void
}
function makeLoop({ backend, state, update }: { backend: HeapKeyedStateBackend; state: unknown; update(state: never): void }) {
  return ({ keys, hashes }: Frame) => {
    backend.prefetch(hashes, keys.length)
    for (let i = 0; i < keys.length; i++) {
      backend.setCurrentKey(keys[i]!, hashes[i]!)
      update(state as never)
    }
  }
}

/** Returns the longest time that a thousand of the first updates took. */
export function fill<T>(
  backend: HeapKeyedStateBackend,
  state: ValueState<T>,
  keyCount: number,
  update: (state: ValueState<T>) => void,
): number {
  let worstMs = 0
  for (let i = 0; i < keyCount; ) {
    const start = systemClock.monotonicMs()
    for (const end = Math.min(keyCount, i + 1_000); i < end; i++) {
      const key = keyOf(i)
      backend.setCurrentKey(key, keyHash(key))
      update(state)
    }
    worstMs = Math.max(worstMs, systemClock.monotonicMs() - start)
  }
  return worstMs
}

export function newIncrement(): (state: ValueState<number>) => void {
  return specialize(`increment ${made++}`, makeIncrement, undefined)
}
function makeIncrement() {
  return (state: ValueState<number>) => {
    state.value++
  }
}
export function newEdit(): (state: ValueState<Row>) => void {
  return specialize(`edit ${made++}`, makeEdit, undefined)
}
function makeEdit() {
  return (state: ValueState<Row>) => {
    const row = state.edit()
    row.n++
    row.sum += 3
  }
}
