import { connect, type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { FlottError } from '#core/errors.js'
import type { Source, SourceReader, SourceReaderContext, SourceSplit, SplitEnumeratorContext } from '#core/functions/source.js'
import { type Format, formats, type LineFormat, lineFormat } from './formats.js'
import { fixedSplits } from './split-pool.js'
import { SplitQueue } from './split-queue.js'

const LINES_MAX = 4096 // Beyond this the socket is not read.
const LINES_PER_POLL = 256

interface SocketSplit {
  readonly splitId: string
}

class SocketSource<T> implements Source<T, SocketSplit, readonly SocketSplit[]> {
  readonly boundedness = 'continuous-unbounded'
  constructor(
    private readonly host: string,
    private readonly port: number,
    private readonly format: LineFormat<T>,
  ) {}
  createEnumerator(ctx: SplitEnumeratorContext<SocketSplit>, restored: readonly SocketSplit[] | undefined) {
    return fixedSplits(ctx, restored, () => [{ splitId: `${this.host}:${this.port}` }])
  }
  createReader(ctx: SourceReaderContext): SourceReader<T, SocketSplit> {
    return new SocketReader(ctx, () => connect({ host: this.host, port: this.port }), this.format)
  }
}

class SocketReader<T> implements SourceReader<T, SocketSplit> {
  readonly #queue: SplitQueue<SocketSplit>
  readonly #lines: string[] = []
  readonly #decoder = new StringDecoder('utf8')
  #socket: Socket | undefined
  #rest = ''
  #ended = false
  #error: Error | undefined
  constructor(
    ctx: SourceReaderContext,
    private readonly open: () => Socket,
    private readonly format: LineFormat<T>,
  ) {
    this.#queue = new SplitQueue(ctx)
  }
  pollNext(out: { collect: (record: T) => void }): 'more-available' | 'nothing-available' | 'end-of-input' {
    if (!this.#queue.current) return this.#queue.empty()
    this.#socket ??= this.#connect()
    if (this.#error) throw this.#error
    for (const line of this.#lines.splice(0, LINES_PER_POLL))
      out.collect(this.format.decode(line.endsWith('\r') ? line.slice(0, -1) : line))
    if (this.#lines.length > 0) return 'more-available'
    if (this.#ended) {
      this.#queue.finishCurrent()
      return 'more-available'
    }
    this.#socket.resume()
    return 'nothing-available'
  }
  isAvailable(): Promise<void> {
    if (!this.#socket) return this.#queue.available()
    return this.#lines.length > 0 || this.#ended || this.#error ? Promise.resolve() : this.#queue.untilWoken()
  }
  addSplits(splits: readonly SocketSplit[]): void {
    this.#queue.add(splits)
  }
  notifyNoMoreSplits(): void {
    this.#queue.noMore()
  }
  snapshotState(): readonly SocketSplit[] {
    return [...this.#queue.all]
  }
  close(): void {
    this.#socket?.destroy()
  }
  #connect(): Socket {
    const socket = this.open()
    socket.on('data', (chunk: Buffer) => this.#take(this.#decoder.write(chunk)))
    socket.on('end', () => {
      this.#take(this.#decoder.end())
      if (this.#rest !== '') this.#lines.push(this.#rest)
      this.#rest = ''
      this.#ended = true
      this.#queue.wake()
    })
    socket.on('error', (cause) => {
      this.#error = new FlottError('CONNECTION_LOST', `the text socket failed: ${cause.message}`, { cause })
      this.#queue.wake()
    })
    return socket
  }
  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) this.#lines.push(line)
    if (this.#lines.length >= LINES_MAX) this.#socket?.pause()
    if (this.#lines.length > 0) this.#queue.wake()
  }
}

/**
 * Lines from a TCP server, until it closes the connection. One subtask reads. At most once: a socket can not be read again, so that
 * after a failure what was on its way is lost; use it for trying things out. A connection that fails, fails the task.
 */
export function socketSource(host: string, port: number): Source<string, SourceSplit, unknown>
export function socketSource<T>(host: string, port: number, format: Format<T>): Source<T, SourceSplit, unknown>
export function socketSource(
  host: string,
  port: number,
  format: Format<unknown> = formats.lines as Format<unknown>,
): Source<unknown, SourceSplit, unknown> {
  return new SocketSource(host, port, lineFormat(format)) as unknown as Source<unknown, SourceSplit, unknown>
}
