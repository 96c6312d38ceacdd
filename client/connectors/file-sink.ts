/**
 * Exactly once into files. A part is written under a hidden name that holds its attempt, so that no attempt opens another's file; at
 * the barrier it is synced and closed before the checkpoint is acknowledged (pending); once the checkpoint is complete it is linked to
 * its final name (committed). A commit that comes again finds the link and does nothing.
 */
import { closeSync, fstatSync, fsync, openSync, writeSync } from 'node:fs'
import { link, mkdir, open, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { FlottError } from '#core/errors.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import type { CommitRequest, Committer, CommittingWriter, TwoPhaseSink } from '#core/functions/sink.js'
import { stableId } from '#core/ids.js'
import { type Format, type LineFormat, lineFormat } from './formats.js'

const BUFFER_CHARS = 64 * 1024

/** A part that is complete on disk and waits for its checkpoint. The inode tells it from any other file of the name. */
export interface PendingPart {
  readonly from: string
  readonly to: string
  readonly inode: string
}

class FileSink<T> implements TwoPhaseSink<T, PendingPart> {
  constructor(
    private readonly directory: string,
    private readonly format: LineFormat<T>,
  ) {}
  async createWriter(ctx: RuntimeContext): Promise<CommittingWriter<T, PendingPart>> {
    await makeDirectory(this.directory)
    return new PartWriter(this.directory, this.format, ctx)
  }
  createCommitter(): Committer<PendingPart> {
    return { commit: (requests) => commitParts(this.directory, requests) }
  }
}

/** Two sinks of one task may write into one directory: parts of an attempt are numbered together. */
const partNumbers = new Map<string, { next: number; writers: number }>()

class PartWriter<T> implements CommittingWriter<T, PendingPart> {
  readonly #prefix: string
  readonly #numbers: { next: number; writers: number }
  #part: { readonly fd: number; readonly from: string; readonly to: string } | undefined
  #text = ''
  #closed = false
  constructor(
    private readonly directory: string,
    private readonly format: LineFormat<T>,
    ctx: RuntimeContext,
  ) {
    const { indexOfThisSubtask, attemptNumber, attemptId } = ctx.taskInfo
    // The numbers are for people; what tells attempts of all jobs apart is long.
    this.#prefix = `part-${indexOfThisSubtask}-${attemptNumber}-${stableId(attemptId).slice(0, 16)}`
    const numbers = partNumbers.get(this.#key) ?? { next: 0, writers: 0 }
    partNumbers.set(this.#key, numbers)
    numbers.writers++
    this.#numbers = numbers
  }
  get #key(): string {
    return join(this.directory, this.#prefix)
  }
  write(record: T): void {
    this.#text += `${this.format.encode(record)}\n`
    if (this.#text.length >= BUFFER_CHARS) this.#spill()
  }
  flush(): void {}
  async prepareCommit(): Promise<readonly PendingPart[]> {
    this.#spill()
    const part = this.#part
    if (!part) return []
    this.#part = undefined // Before the wait: what is written meanwhile belongs to the next checkpoint.
    try {
      await promisify(fsync)(part.fd)
      const inode = String(fstatSync(part.fd, { bigint: true }).ino)
      await syncDirectory(this.directory)
      return [{ from: part.from, to: part.to, inode }]
    } finally {
      closeSync(part.fd)
    }
  }
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#part) closeSync(this.#part.fd) // Never committed: the records are written again by the next attempt.
    this.#part = undefined
    if (--this.#numbers.writers === 0) partNumbers.delete(this.#key)
  }
  #spill(): void {
    if (this.#text === '') return
    this.#part ??= this.#open()
    const bytes = Buffer.from(this.#text)
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#part.fd, bytes, at)
    this.#text = ''
  }
  #open() {
    const name = `${this.#prefix}-${this.#numbers.next++}`
    const from = join(this.directory, `.${name}.inprogress`)
    return { fd: openSync(from, 'wx'), from, to: join(this.directory, name) }
  }
}

async function commitParts(directory: string, requests: readonly CommitRequest<PendingPart>[]): Promise<void> {
  for (const request of requests) await commitPart(request)
  if (requests.length > 0) await syncDirectory(directory)
}
/** Why a link fails now and may not in a moment. A file system without links, or one that forbids them, is not of this kind. */
const PASSING = new Set(['EIO', 'ENOSPC', 'EDQUOT', 'ESTALE', 'ETIMEDOUT', 'EAGAIN', 'EBUSY', 'EINTR', 'ENOMEM', 'EMFILE', 'ENFILE'])
async function commitPart(request: CommitRequest<PendingPart>): Promise<void> {
  const { from, to, inode } = request.committable
  const linked = await codeOf(link(from, to))
  if (linked !== undefined && linked !== 'EEXIST' && linked !== 'ENOENT') {
    if (PASSING.has(linked)) return request.retryLater()
    return request.signalFailed(new FlottError('STORAGE_FAILED', `${from} can not be linked to ${to}: ${linked}`))
  }
  const there = await inodeOf(to)
  if (there === inode) {
    await codeOf(unlink(from)) // Gone already, when the process died between this and the record of it.
    if (linked !== undefined) request.signalAlreadyCommitted()
  } else if (there === undefined) request.signalFailed(new FlottError('STORAGE_FAILED', `${from}, which a checkpoint holds, is gone`))
  else request.signalFailed(new FlottError('STORAGE_FAILED', `${to} is another file than ${from}`))
}
async function codeOf(action: Promise<void>): Promise<string | undefined> {
  try {
    await action
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EIO'
  }
}
async function inodeOf(path: string): Promise<string | undefined> {
  try {
    return String((await stat(path, { bigint: true })).ino)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error // It may be there.
  }
}
/** Also on disk: each new directory is a name in the one above it. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made))
}
/** A new name is on disk once its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * One file a subtask and checkpoint. Every TaskManager must see the same directory (relative: below the client's working directory),
 * since a restarted task commits what the lost one wrote.
 * Names that begin with a dot are not committed yet, or never will be. Without checkpoints, files appear when the input ends.
 */
export function fileSink<T>(directory: string, format: Format<T>): TwoPhaseSink<T, unknown, unknown> {
  return new FileSink(resolve(process.cwd(), directory), lineFormat(format)) as unknown as TwoPhaseSink<T, unknown, unknown>
}
