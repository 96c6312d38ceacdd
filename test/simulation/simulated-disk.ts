import { MemoryLevel } from 'memory-level'
import type { Clock } from '#core/clock.js'
import { type Epoch, NO_EPOCH, parseEpoch } from '#core/epoch.js'
import { between, type Random } from '#core/random.js'
import { decodeBlobValue, decodeBlockValue, encodeBlobKey, encodeBlockKey, encodeMetaKey } from '#storage/keys.js'
import { BINARY, type LevelDatabase, type LevelOperation } from '#storage/level-database.js'
import { DurableLog } from './durable-log.js'

type Content = MemoryLevel<Buffer, Buffer>

/**
 * What a JobManager has on disk: it outlives the process. Writes take their time one after the other, and a process that dies in one
 * does not learn whether it was done. With its host it may lose what was not synced. Checkers look from outside at what is durable.
 */
export class SimulatedDisk {
  #log: DurableLog
  /** Of the process that has it open, or had it last. */
  #content: LevelDatabase | undefined
  /** Of writes that failed when they were in the log. */
  readonly #unseen: LevelOperation[] = []
  /** Every write fails. */
  full = false
  /** Chance that a read or a write fails; such a write may have been done all the same. */
  failureRate = 0
  /** How long a write takes, in milliseconds. */
  writeMs: readonly [number, number] = [0, 2]

  constructor(
    private readonly random: Random,
    /** Blobs are taken for stored before they are synced. */
    private readonly careless = false,
  ) {
    this.#log = new DurableLog(random)
  }

  /** As the process with this clock sees it. */
  async open(clock: Clock): Promise<LevelDatabase> {
    this.#log.opened()
    this.#unseen.length = 0
    const level: Content = new MemoryLevel<Buffer, Buffer>(BINARY)
    await level.open()
    await level.batch(this.#log.entries())
    const content = level as unknown as LevelDatabase
    this.#content = content
    let last: Promise<unknown> = Promise.resolve()
    const write = (operations: () => Promise<LevelOperation[]>, options: { readonly sync?: boolean } = {}): Promise<void> => {
      const work = last.then(() => this.#write(clock, content, operations, options))
      last = work.catch(() => {})
      return work
    }
    return {
      status: 'open',
      open: async () => {},
      close: async () => {},
      get: async (key) => {
        this.#checkReadable()
        return content.get(key)
      },
      put: (key, value, options) => write(async () => [{ type: 'put', key, value }], options),
      batch: (operations: LevelOperation[], options) => write(async () => operations, this.careless ? {} : options),
      clear: (range) => write(async () => deletions(content.keys(range))),
      iterator: (range) => this.#readable(content.iterator(range)),
      keys: (range) => this.#readable(content.keys(range)),
    }
  }
  async #write(
    clock: Clock,
    content: LevelDatabase,
    toOperations: () => Promise<LevelOperation[]>,
    options: { readonly sync?: boolean },
  ): Promise<void> {
    const [from, to] = this.writeMs
    const pause = () => new Promise<void>((resolve) => void clock.setTimer(between(this.random, from, to + 1), resolve))
    const late = this.random.next() < 0.5
    if (late) await pause()
    if (this.full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const failing = this.#fails
    if (failing && this.random.next() < 0.5) throw inputOutputError()
    await this.#reopen(content)
    const operations = await toOperations()
    const sync = this.#log.add(operations)
    if (failing) {
      this.#unseen.push(...operations)
      throw inputOutputError()
    }
    if (!late) await pause()
    if (options.sync) sync()
    await content.batch(operations) // LevelDB shows what it has synced, not before.
  }

  /** The next write opens LevelDB anew, and shows what the failed one has left. */
  async #reopen(content: LevelDatabase): Promise<void> {
    if (this.#unseen.length === 0) return
    this.#log.opened()
    await content.batch(this.#unseen.splice(0))
  }

  get #fails(): boolean {
    return this.failureRate > 0 && this.random.next() < this.failureRate
  }
  #checkReadable(): void {
    if (this.#fails) throw inputOutputError()
  }
  /** As good as new. */
  mend(): void {
    Object.assign(this, { full: false, failureRate: 0 })
  }
  async *#readable<T>(entries: AsyncIterable<T>): AsyncIterable<T> {
    this.#checkReadable()
    for await (const entry of entries) {
      yield entry
      this.#checkReadable()
    }
  }

  /** The host is off, and its process dead with it. */
  powerFails(): void {
    this.#log.powerFails()
  }
  /** Another disk takes its place. */
  wipe(): void {
    this.#log = new DurableLog(this.random)
  }

  /** The database has lost it. */
  async lose(blob: string): Promise<void> {
    const operations: LevelOperation[] = [{ type: 'del', key: encodeBlobKey(blob) }]
    this.#log.add(operations)()
    await this.#content?.batch(operations)
  }

  /** The highest that was persisted. */
  get epoch(): Epoch {
    const bytes = this.#log.get(encodeMetaKey('epoch'))
    return bytes ? parseEpoch(bytes.toString()) : NO_EPOCH
  }
  holds(blob: string): boolean {
    return this.#log.get(encodeBlobKey(blob)) !== undefined
  }
  contentOf(blob: string): Buffer | undefined {
    const named = this.#log.get(encodeBlobKey(blob))
    if (!named) return undefined
    const { serial } = decodeBlobValue(named)
    const blocks: Buffer[] = []
    for (;;) {
      const block = this.#log.get(encodeBlockKey({ serial, block: blocks.length }))
      if (!block) return Buffer.concat(blocks)
      blocks.push(decodeBlockValue(block).bytes)
    }
  }
}

async function deletions(keys: AsyncIterable<Buffer>): Promise<LevelOperation[]> {
  const operations: LevelOperation[] = []
  for await (const key of keys) operations.push({ type: 'del', key })
  return operations
}
function inputOutputError(): Error {
  return Object.assign(new Error('input/output error'), { code: 'EIO' })
}
