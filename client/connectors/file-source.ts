import { resolve } from 'node:path'
import { type Duration, millis } from '#core/duration.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { Source, SourceReader, SourceReaderContext, SourceSplit, SplitEnumeratorContext } from '#core/functions/source.js'
import { FileEnumerator, type FileEnumeratorState, type FileSplit } from './file-enumerator.js'
import { type Format, type LineFormat, lineFormat } from './formats.js'
import { LineReader } from './line-reader.js'
import { RateLimiter } from './rate-limiter.js'
import { SplitQueue } from './split-queue.js'

const LINES_PER_POLL = 256
const SPLIT_BYTES = 16 * 1024 * 1024

export interface FileSourceOptions {
  /** Looks for new files this often, for ever; absent: what is there at the start, once. */
  readonly monitorInterval?: Duration
  /** Files are cut into ranges of this many bytes, which subtasks read at the same time. */
  readonly splitBytes?: number
  /** Lines a second, over all subtasks; absent: as fast as they are taken. */
  readonly ratePerSecond?: number
}

class FileSource<T> implements Source<T, FileSplit, FileEnumeratorState> {
  readonly boundedness: 'bounded' | 'continuous-unbounded'
  constructor(
    private readonly path: string,
    private readonly format: LineFormat<T>,
    private readonly options: FileSourceOptions,
  ) {
    this.boundedness = options.monitorInterval === undefined ? 'bounded' : 'continuous-unbounded'
  }
  createEnumerator(ctx: SplitEnumeratorContext<FileSplit>, restored: FileEnumeratorState | undefined): FileEnumerator {
    const { monitorInterval, splitBytes = SPLIT_BYTES } = this.options
    return new FileEnumerator(ctx, { path: this.path, splitBytes, ...(monitorInterval === undefined ? {} : { monitorInterval }) }, restored)
  }
  createReader(ctx: SourceReaderContext): SourceReader<T, FileSplit> {
    const { ratePerSecond } = this.options
    const perSubtask = ratePerSecond === undefined ? undefined : ratePerSecond / ctx.runtime.taskInfo.numberOfParallelSubtasks
    return new FileSourceReader(ctx, this.format, perSubtask === undefined ? undefined : new RateLimiter(ctx.clock, perSubtask))
  }
}

class FileSourceReader<T> implements SourceReader<T, FileSplit> {
  readonly #queue: SplitQueue<FileSplit>
  #lines: LineReader | undefined
  #limited = false
  constructor(
    ctx: SourceReaderContext,
    private readonly format: LineFormat<T>,
    private readonly limiter: RateLimiter | undefined,
  ) {
    this.#queue = new SplitQueue(ctx)
  }
  pollNext(out: { collect: (record: T, timestamp?: number) => void }): 'more-available' | 'nothing-available' | 'end-of-input' {
    const split = this.#queue.current
    if (!split) return this.#queue.empty()
    const permits = this.limiter ? this.limiter.take(LINES_PER_POLL) : LINES_PER_POLL
    this.#limited = permits === 0
    if (this.#limited) return 'nothing-available'
    this.#lines ??= new LineReader(split)
    const { format } = this
    const take = format.plain ? (line: string) => out.collect(line as T) : (line: string) => out.collect(this.#decode(line))
    if (!this.#lines.read(permits, take)) {
      this.#lines.close()
      this.#lines = undefined
      this.#queue.finishCurrent()
    }
    return 'more-available'
  }
  isAvailable(): Promise<void> {
    if (!this.#limited) return this.#queue.available()
    const woken = this.#queue.untilWoken()
    this.limiter!.onPermit(() => this.#queue.wake())
    return woken
  }
  addSplits(splits: readonly FileSplit[]): void {
    this.#queue.add(splits)
  }
  notifyNoMoreSplits(): void {
    this.#queue.noMore()
  }
  snapshotState(): readonly FileSplit[] {
    const [, ...others] = this.#queue.all
    return this.#lines ? [this.#lines.position(), ...others] : [...this.#queue.all]
  }
  close(): void {
    this.limiter?.close()
    this.#lines?.close()
    this.#lines = undefined
  }
  #decode(line: string): T {
    try {
      return this.format.decode(line)
    } catch (error) {
      const { path, offset } = this.#lines!.position()
      if (!isFlottError(error)) throw error
      throw new FlottError(error.code, `${path}, behind byte ${offset}: ${error.message}`, { cause: error })
    }
  }
}

/**
 * Lines of text files, one record each: of one file, of a directory with those below it, or of all that match a pattern. Big files are
 * read by several subtasks at once, and a restore goes on at the byte where the checkpoint stood. Relative paths are the client's.
 * Files must not change once they are there; move them into a watched directory when they are complete.
 */
export function fileSource<T>(path: string, format: Format<T>, options: FileSourceOptions = {}): Source<T, SourceSplit, unknown> {
  const { monitorInterval, splitBytes, ratePerSecond } = options
  if (monitorInterval !== undefined && !(millis(monitorInterval) > 0))
    throw new FlottError('INVALID_ARGUMENT', `monitorInterval ${monitorInterval}: above 0`)
  if (splitBytes !== undefined && !(Number.isSafeInteger(splitBytes) && splitBytes > 0))
    throw new FlottError('INVALID_ARGUMENT', `splitBytes ${splitBytes}: above 0`)
  if (ratePerSecond !== undefined && !(ratePerSecond > 0))
    throw new FlottError('INVALID_ARGUMENT', `${ratePerSecond} lines a second: above 0`)
  const source = new FileSource(resolve(process.cwd(), path), lineFormat(format), options)
  return source as unknown as Source<T, SourceSplit, unknown>
}
