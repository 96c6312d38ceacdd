import { type Clock, sleep } from '#core/clock.js'
import { type Epoch, formatEpoch } from '#core/epoch.js'
import { FlottError, isTransient, serializeError } from '#core/errors.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import type { TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import type { LocalBackup } from './localbackup/local-backup.js'
import type { ToSlotWorker } from './slotworker/protocol.js'

const IN_FLIGHT_MAX = 8
/** Bytes of chunks that wait here; above it they are refused, and their checkpoint is declined. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024
/** Bytes of chunks that were fetched ahead and not asked for yet. */
const AHEAD_BYTES_MAX = 256 * 1024 * 1024
/** How long one leader may leave a get unanswered: longer than a dead one is taken for the leader. */
const GET_PATIENCE_MS = 120_000
const GET_RETRY_MS = 100
const GET_RETRY_MAX_MS = 1_000

export interface ChunkTransferOptions {
  readonly blobs: BlobTransfer
  readonly clock: Clock
  /** Copies of what was put, to be asked first. */
  readonly local?: LocalBackup
  leader(): { readonly address: string; readonly epoch: Epoch } | undefined
}

/** A chunk that a task will ask for. */
interface Expected {
  readonly attemptId: string
  readonly ref: ChunkRef
  /** Being fetched, or there. */
  fetched?: Promise<Uint8Array>
  /** Nobody will ask. */
  isOver: boolean
}

/**
 * Moves chunks of snapshots between slot workers and the leader. A chunk that can not be stored declines its checkpoint: it is not
 * repeated. A task that is restored has nothing else to do than to wait for its chunks: a get is repeated, and outlives leaders. What is
 * got is checked against the manifest, here and nowhere else. What tasks will ask for is fetched ahead, while their program is loaded.
 */
export class ChunkTransfer {
  readonly #puts = new Lane()
  readonly #gets = new Lane()
  readonly #closing = new AbortController()
  #waitingBytes = 0
  readonly #expected = new Map<string, Expected>()
  #aheadBytes = 0

  constructor(private readonly options: ChunkTransferOptions) {}

  put(request: number, blob: string, bytes: Uint8Array, answer: (message: ToSlotWorker) => void): void {
    if (this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      const error = serializeError(new FlottError('CHECKPOINT_FAILED', `${this.#waitingBytes} bytes of chunks wait for the leader already`))
      return void answer({ kind: 'chunk-stored', request, error })
    }
    this.#waitingBytes += bytes.length
    this.options.local?.put(blob, bytes)
    this.#puts.enqueue(async () => {
      const error = await this.#put(blob, bytes).then(() => undefined, serializeError)
      this.#waitingBytes -= bytes.length
      answer({ kind: 'chunk-stored', request, ...(error ? { error } : {}) })
    })
  }
  get(request: number, ref: ChunkRef, answer: (message: ToSlotWorker, transfer?: readonly ArrayBuffer[]) => void): void {
    const answered = async (fetched: Promise<Uint8Array>) => {
      try {
        const bytes = owned(await fetched)
        answer({ kind: 'chunk', request, bytes }, [bytes.buffer])
      } catch (error) {
        answer({ kind: 'chunk', request, error: serializeError(error) })
      }
    }
    const expected = this.#expected.get(ref.blob)
    if (expected) this.#forget(expected)
    if (expected?.fetched) void answered(expected.fetched)
    else this.#gets.enqueue(() => answered(this.#fetch(ref)))
    this.#fetchAhead()
  }
  /** These tasks were deployed. A chunk that several of them need is left to them: bytes are handed over to one. */
  expect(tasks: readonly TaskDeploymentDescriptor[]): void {
    const lists = tasks.map((task) => chunksOf(task).map((ref): Expected => ({ attemptId: task.attemptId, ref, isOver: false })))
    const counts = new Map<string, number>()
    for (const { ref } of lists.flat()) counts.set(ref.blob, (counts.get(ref.blob) ?? 0) + 1)
    const longest = Math.max(0, ...lists.map((list) => list.length))
    for (let i = 0; i < longest; i++)
      for (const expected of lists.flatMap((list) => list[i] ?? []))
        if (counts.get(expected.ref.blob) === 1) this.#expected.set(expected.ref.blob, expected)
    this.#fetchAhead()
  }
  /** It has all that it needs, or needs nothing any more. */
  expectNoMore(attemptId: string): void {
    for (const expected of [...this.#expected.values()]) {
      if (expected.attemptId !== attemptId) continue
      expected.isOver = true
      this.#forget(expected)
    }
    this.#fetchAhead()
  }
  /** Ends the gets that wait. */
  close(): void {
    this.#closing.abort(new FlottError('SHUTTING_DOWN', 'the TaskManager stops'))
  }

  #fetchAhead(): void {
    for (const expected of this.#expected.values()) {
      if (this.#aheadBytes >= AHEAD_BYTES_MAX) return
      if (expected.fetched) continue
      const { ref } = expected
      this.#aheadBytes += ref.bytes
      expected.fetched = new Promise((resolve, reject) => {
        this.#gets.enqueue(async () => {
          if (expected.isOver) return
          const fetching = this.#fetch(ref)
          fetching.then(resolve, reject)
          await fetching.catch(() => {})
        })
      })
      expected.fetched.catch(() => {}) // Told to who asks for it.
    }
  }
  #forget(expected: Expected): void {
    this.#expected.delete(expected.ref.blob)
    if (expected.fetched) this.#aheadBytes -= expected.ref.bytes
  }
  async #fetch(ref: ChunkRef): Promise<Uint8Array> {
    return (await this.options.local?.get(ref)) ?? (await this.#get(ref))
  }
  async #put(blob: string, bytes: Uint8Array): Promise<void> {
    const leader = this.options.leader()
    if (!leader) throw new FlottError('LEADER_UNKNOWN', `no leader for ${blob}`)
    await this.options.blobs.put(leader.address, blob, bytes, leader.epoch)
  }
  /** Fails when the chunk is missing or damaged, or when one leader does not answer for too long; without a leader it waits for one. */
  async #get(ref: ChunkRef): Promise<Uint8Array> {
    const { clock, blobs } = this.options
    const signal = this.#closing.signal
    let asked: string | undefined
    let giveUpAt = Number.POSITIVE_INFINITY
    for (let delayMs = GET_RETRY_MS; ; delayMs = Math.min(2 * delayMs, GET_RETRY_MAX_MS)) {
      const leader = this.options.leader()
      const reign = leader && formatEpoch(leader.epoch)
      if (reign !== asked) giveUpAt = reign === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + GET_PATIENCE_MS
      asked = reign
      try {
        if (leader) return await blobs.get(leader.address, ref.blob, ref)
      } catch (error) {
        if (!isTransient(error) || clock.monotonicMs() >= giveUpAt) throw error
      }
      await sleep(clock, delayMs, signal)
    }
  }
}

function chunksOf({ restore }: TaskDeploymentDescriptor): readonly ChunkRef[] {
  const states = Object.values(restore?.operators ?? {}).flat()
  return states.flatMap(({ keyed, operatorChunk }) => (operatorChunk ? [...keyed, operatorChunk] : keyed))
}
/** In a buffer of its own, which can be handed over. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
  return isWhole ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}

/** Some transfers at a time, the others in their order. */
class Lane {
  readonly #waiting: (() => Promise<void>)[] = []
  #inFlight = 0

  enqueue(transfer: () => Promise<void>): void {
    this.#waiting.push(transfer)
    this.#next()
  }
  #next(): void {
    if (this.#inFlight >= IN_FLIGHT_MAX) return
    const transfer = this.#waiting.shift()
    if (!transfer) return
    this.#inFlight++
    void transfer().finally(() => {
      this.#inFlight--
      this.#next()
    })
  }
}
