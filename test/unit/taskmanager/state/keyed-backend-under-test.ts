/** A backend with a store in memory and a clock whose turns the test takes. */
import { crc32 } from 'node:zlib'
import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import type { ChunkStore, KeyedStateBackendOptions } from '#taskmanager/state/keyed-state-backend.js'

export class TurnClock implements Clock {
  readonly #deferred: (() => void)[] = []
  time = 0
  #looks = 0
  now(): number {
    return this.time
  }
  /** A millisecond more at each look, so that a walk has some steps a turn, not all. */
  monotonicMs(): number {
    return this.time + ++this.#looks
  }
  setTimer(): never {
    throw new Error('no timers here')
  }
  defer(fire: () => void): void {
    this.#deferred.push(fire)
  }
  /** Takes one turn; false when there is none. */
  turn(): boolean {
    const fire = this.#deferred.shift()
    fire?.()
    return fire !== undefined
  }
}

export class MemoryChunks implements ChunkStore {
  readonly blobs = new Map<string, Uint8Array>()
  fails = false
  async put(blob: string, bytes: Uint8Array): Promise<void> {
    if (this.fails) throw new FlottError('STORAGE_FULL', 'no space')
    if (this.blobs.has(blob)) throw new Error(`${blob} is written twice`)
    this.blobs.set(blob, bytes)
  }
  async get(ref: ChunkRef): Promise<Uint8Array> {
    const bytes = this.blobs.get(ref.blob)
    if (!bytes) throw new FlottError('BLOB_NOT_FOUND', ref.blob)
    if (bytes.length !== ref.bytes || crc32(bytes) !== ref.crc32) throw new FlottError('BLOB_CORRUPT', ref.blob)
    return bytes
  }
}

export const MAX_PARALLELISM = 128

export function backendOptions(overrides: Partial<KeyedStateBackendOptions> = {}): KeyedStateBackendOptions & { clock: Clock } {
  return {
    jobId: 'job',
    operatorId: 'op',
    attemptId: 'attempt',
    subtaskIndex: 0,
    keyGroups: [0, MAX_PARALLELISM],
    maxParallelism: MAX_PARALLELISM,
    clock: new TurnClock(),
    chunks: new MemoryChunks(),
    memory: { reserve() {} },
    fail(error) {
      throw error
    },
    ...overrides,
  }
}

export const subtaskState = (keyed: readonly ChunkRef[]): SubtaskState => ({ subtaskIndex: 0, keyed })

export async function restoredBackend(chunks: ChunkStore, keyed: readonly ChunkRef[], overrides: Partial<KeyedStateBackendOptions> = {}) {
  const backend = createKeyedStateBackend(backendOptions({ chunks, ...overrides }))
  await backend.restore([subtaskState(keyed)])
  return backend
}

/** Lets the walk and its uploads end. */
export async function settle(clock: TurnClock): Promise<void> {
  for (let idle = 0; idle < 20; ) {
    idle = clock.turn() ? 0 : idle + 1
    await Promise.resolve()
  }
}
