import { type Clock, sleep } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { ERRORS, FlottError, isFlottError, serializeError } from '#core/errors.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import type { ToSlotWorker } from './slotworker/protocol.js'

const IN_FLIGHT_MAX = 8
/** Bytes of chunks that wait here; above it they are refused, and their checkpoint is declined. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024
const GET_TRIES = 6
const GET_RETRY_MS = 200

export interface ChunkTransferOptions {
  readonly blobs: BlobTransfer
  readonly clock: Clock
  leader(): { readonly address: string; readonly epoch: Epoch } | undefined
}

/** Moves chunks of snapshots between slot workers and the leader. A chunk that can not be stored declines its checkpoint: it is not repeated. */
export class ChunkTransfer {
  readonly #waiting: (() => Promise<void>)[] = []
  #inFlight = 0
  #waitingBytes = 0

  constructor(private readonly options: ChunkTransferOptions) {}

  put(request: number, blob: string, bytes: Uint8Array, answer: (message: ToSlotWorker) => void): void {
    if (this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      const error = serializeError(new FlottError('CHECKPOINT_FAILED', `${this.#waitingBytes} bytes of chunks wait for the leader already`))
      return void answer({ kind: 'chunk-stored', request, error })
    }
    this.#waitingBytes += bytes.length
    this.#enqueue(async () => {
      const error = await this.#put(blob, bytes).then(() => undefined, serializeError)
      this.#waitingBytes -= bytes.length
      answer({ kind: 'chunk-stored', request, ...(error ? { error } : {}) })
    })
  }
  get(request: number, blob: string, answer: (message: ToSlotWorker, transfer?: readonly ArrayBuffer[]) => void): void {
    this.#enqueue(async () => {
      try {
        const bytes = Uint8Array.from(await this.#get(blob)) // In a buffer of its own, which can be handed over.
        answer({ kind: 'chunk', request, bytes }, [bytes.buffer])
      } catch (error) {
        answer({ kind: 'chunk', request, error: serializeError(error) })
      }
    })
  }

  async #put(blob: string, bytes: Uint8Array): Promise<void> {
    const { address, epoch } = this.#leader(blob)
    await this.options.blobs.put(address, blob, bytes, epoch)
  }
  /** A task that is restored has nothing else to do than to try again for a while. */
  async #get(blob: string): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.options.blobs.get(this.#leader(blob).address, blob)
      } catch (error) {
        if (tries === GET_TRIES || !isFlottError(error) || !ERRORS[error.code].retry) throw error
        await sleep(this.options.clock, GET_RETRY_MS * 2 ** (tries - 1))
      }
    }
  }
  #leader(blob: string): { readonly address: string; readonly epoch: Epoch } {
    const leader = this.options.leader()
    if (!leader) throw new FlottError('LEADER_UNKNOWN', `no leader for ${blob}`)
    return leader
  }
  #enqueue(transfer: () => Promise<void>): void {
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
