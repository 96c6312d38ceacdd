/**
 * Copies of the chunks that this TaskManager's tasks have put, so that a task that comes back to it restores without the network.
 *
 * They are files, not memory: the memory of a TaskManager is its slots', and a copy of all their state beside it would be bounded by what
 * slots leave over. What was written a moment ago is read from the page cache as fast, and gives way to whoever needs the memory. Nothing
 * is synced, nothing is waited for: a copy that is missing, damaged or does not fit is fetched from the leader.
 */
import { crc32 } from 'node:zlib'
import type { Clock, Timer } from '#core/clock.js'
import type { Logger } from '#core/logger.js'
import type { ChunkRef, SubtaskSnapshot } from '#protocol/checkpoint/manifest.js'
import { bytesOf, type CopiesEvent, jobOf, type LocalCopies, NO_COPIES, stepCopies } from './local-copies.js'

/** Bytes on their way to the files; what comes above that is not kept. */
const WRITING_BYTES_MAX = 64 * 1024 * 1024
/** A job without a slot here may come back after its TaskManager was out of the leader's reach for a while. */
const KEPT_WITHOUT_SLOT_MS = 60_000

/** Where copies are. Names are never used twice. */
export interface ChunkFiles {
  write(name: string, bytes: Uint8Array): Promise<void>
  /** The bytes are the caller's. */
  read(name: string): Promise<Uint8Array>
  remove(name: string): Promise<void>
  /** With all that is left. */
  close(): Promise<void>
}

export interface LocalBackupOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly files: ChunkFiles
  /** Of all jobs together. */
  readonly maxBytes: number
}

interface StoredCopy {
  readonly file: string
  readonly written: Promise<void>
}

export class LocalBackup {
  readonly #jobs = new Map<string, LocalCopies>()
  readonly #stored = new Map<string, StoredCopy>()
  readonly #leaving = new Map<string, Timer>()
  #writingBytes = 0
  #serial = 0

  constructor(private readonly options: LocalBackupOptions) {}

  put(blob: string, bytes: Uint8Array): void {
    const jobId = jobOf(blob)
    if (this.#stored.has(blob) || this.#writingBytes + bytes.length > WRITING_BYTES_MAX) return
    const room = this.options.maxBytes - [...this.#jobs.values()].reduce((sum, copies) => sum + bytesOf(copies), 0)
    this.#step(jobId, { kind: 'chunk-put', blob, bytes: bytes.length, room })
    if (this.#jobs.get(jobId)?.copies.has(blob)) this.#write(blob, bytes)
  }
  /** The chunk, checked; undefined where there is no good copy of it. */
  async get({ blob, bytes: size, crc32: checksum }: ChunkRef): Promise<Uint8Array | undefined> {
    const stored = this.#stored.get(blob)
    if (!stored || !this.#jobs.get(jobOf(blob))?.copies.has(blob)) return undefined
    try {
      await stored.written
      const bytes = await this.options.files.read(stored.file)
      if (bytes.length === size && crc32(bytes) === checksum) return bytes
      this.options.logger.warn('the local copy of a chunk is damaged', { blob })
    } catch (error) {
      this.options.logger.warn('the local copy of a chunk can not be read', { blob, error })
    }
    this.#step(jobOf(blob), { kind: 'copy-lost', blob })
    return undefined
  }

  acknowledged(jobId: string, checkpointId: number, snapshot: SubtaskSnapshot): void {
    this.#step(jobId, { kind: 'snapshot-acknowledged', checkpointId, snapshot })
  }
  completed(jobId: string, checkpointId: number): void {
    this.#step(jobId, { kind: 'checkpoint-completed', checkpointId })
  }
  aborted(jobId: string, checkpointId: number): void {
    this.#step(jobId, { kind: 'checkpoint-aborted', checkpointId })
  }
  /** The job has a slot here. */
  jobCame(jobId: string): void {
    this.#leaving.get(jobId)?.cancel()
    this.#leaving.delete(jobId)
  }
  /** It has none any more. */
  jobLeft(jobId: string): void {
    if (!this.#jobs.has(jobId)) return
    this.jobCame(jobId)
    this.#leaving.set(
      jobId,
      this.options.clock.setTimer(KEPT_WITHOUT_SLOT_MS, () => this.#forget(jobId), { unref: true }),
    )
  }
  async stop(): Promise<void> {
    for (const timer of this.#leaving.values()) timer.cancel()
    await Promise.all([...this.#stored.values()].map(({ written }) => written.catch(() => {})))
    await this.options.files.close()
  }

  #step(jobId: string, event: CopiesEvent): void {
    const before = this.#jobs.get(jobId) ?? NO_COPIES
    const after = stepCopies(before, event)
    if (after === before) return
    this.#jobs.set(jobId, after)
    for (const blob of before.copies.keys()) if (!after.copies.has(blob)) this.#remove(blob)
  }
  #forget(jobId: string): void {
    this.#leaving.delete(jobId)
    for (const blob of this.#jobs.get(jobId)?.copies.keys() ?? []) this.#remove(blob)
    this.#jobs.delete(jobId)
  }
  #write(blob: string, bytes: Uint8Array): void {
    const file = String(++this.#serial)
    this.#writingBytes += bytes.length
    const written = this.options.files.write(file, bytes).finally(() => {
      this.#writingBytes -= bytes.length
    })
    this.#stored.set(blob, { file, written })
    written.catch((error: unknown) => {
      this.options.logger.warn('a chunk has no local copy', { blob, error })
      this.#step(jobOf(blob), { kind: 'copy-lost', blob })
    })
  }
  #remove(blob: string): void {
    const stored = this.#stored.get(blob)
    if (!stored) return
    this.#stored.delete(blob)
    stored.written
      .catch(() => {})
      .then(() => this.options.files.remove(stored.file))
      .catch((error: unknown) => this.options.logger.debug('the local copy of a chunk is left', { blob, error }))
  }
}
