import { FlottError } from '#core/errors.js'
import type { LevelDatabase, LevelOperation } from './level-database.js'

/**
 * A LevelDB that outlives a full or failing disk. After a write that failed it is not to be trusted: its log may end in half a record,
 * behind which later ones could not be read back, and a compaction that failed refuses all further writes for good. So the next write
 * opens it anew first. Until the disk has room for that, writes fail and reads go on from what is there.
 */
export class ReopeningLevel implements LevelDatabase {
  /** The write that failed last, since it was opened. */
  #failure: { readonly error: unknown } | undefined
  #healing: Promise<void> | undefined
  #opened = 0
  readonly #writing = new Set<Promise<unknown>>()

  /** `hasRoom`: whether to open it now can succeed. While it is open it serves reads; once closed it may be lost to them, too. */
  constructor(
    private readonly db: LevelDatabase,
    private readonly hasRoom: () => Promise<boolean>,
  ) {}

  get status(): string {
    return this.db.status
  }
  open(): Promise<void> {
    return this.db.open()
  }
  async close(): Promise<void> {
    await this.#healing?.catch(() => {})
    await this.db.close()
  }
  async get(key: Buffer): Promise<Buffer | undefined> {
    for (;;) {
      const opened = await this.#readable()
      try {
        return await this.db.get(key)
      } catch (error) {
        if (!this.#closedSince(opened)) throw error
      }
    }
  }
  put(key: Buffer, value: Buffer, options?: object): Promise<void> {
    return this.#write(() => this.db.put(key, value, options))
  }
  batch(operations: LevelOperation[], options?: object): Promise<void> {
    return this.#write(() => this.db.batch(operations, options))
  }
  clear(range: object): Promise<void> {
    return this.#write(() => this.db.clear(range))
  }

  /** Goes on where it was when the database is opened anew in the middle. */
  iterator(range: object): AsyncIterable<[Buffer, Buffer]> {
    return this.#resumed<[Buffer, Buffer]>(
      range,
      (rest) => this.db.iterator(rest),
      ([key]) => key,
    )
  }
  keys(range: object): AsyncIterable<Buffer> {
    return this.#resumed<Buffer>(
      range,
      (rest) => this.db.keys(rest),
      (key) => key,
    )
  }

  async *#resumed<T>(range: Range, open: (rest: object) => AsyncIterable<T>, keyOf: (entry: T) => Buffer): AsyncIterable<T> {
    let rest = range
    for (;;) {
      const opened = await this.#readable()
      let last: T | undefined
      let count = 0
      try {
        for await (const entry of open(rest)) {
          last = entry
          count++
          yield entry
        }
        return
      } catch (error) {
        if (!this.#closedSince(opened)) throw error
        if (last !== undefined) rest = behind(rest, keyOf(last), count)
        if (rest.limit === 0) return
      }
    }
  }

  /** The number of the opening that reads now run on. */
  async #readable(): Promise<number> {
    await this.#healing?.catch(() => {}) // Without room for it, it is still open.
    if (this.#failure && this.db.status !== 'open') await this.#heal()
    return this.#opened
  }
  #closedSince(opened: number): boolean {
    return this.#opened !== opened || this.#healing !== undefined
  }

  /**
   * What was written while another write failed may lie behind the half of a record. So a write counts only when all that ran beside
   * it have ended well, too: LevelDB may have failed them before, and they have not told yet.
   */
  async #write(work: () => Promise<void>): Promise<void> {
    if (this.#failure) await this.#heal()
    const writing = work().catch((error: unknown) => {
      this.#failure ??= { error }
      throw error
    })
    this.#writing.add(writing)
    try {
      await writing
    } finally {
      this.#writing.delete(writing)
    }
    if (this.#writing.size > 0) await Promise.allSettled([...this.#writing])
    if (this.#failure) throw this.#failure.error
  }

  #heal(): Promise<void> {
    this.#healing ??= this.#openAnew().finally(() => {
      this.#healing = undefined
    })
    return this.#healing
  }
  async #openAnew(): Promise<void> {
    await Promise.allSettled([...this.#writing])
    if (!this.#failure) return
    const room = await this.hasRoom()
    if (!room && this.db.status === 'open') throw this.#failure.error
    if (!room) throw new FlottError('STORAGE_FULL', 'the disk has no room to open the database', { cause: this.#failure.error })
    await this.db.close()
    await this.db.open()
    this.#opened++
    this.#failure = undefined
  }
}

interface Range {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lte?: Buffer
  readonly lt?: Buffer
  readonly reverse?: boolean
  readonly limit?: number
}

/** What is left of a range after so many keys, of which this is the last. */
function behind(range: Range, key: Buffer, count: number): Range {
  const { gte, gt, lte, lt, ...rest } = range
  const limit = range.limit === undefined || range.limit < 0 ? {} : { limit: range.limit - count }
  const upper = { ...(lte === undefined ? {} : { lte }), ...(lt === undefined ? {} : { lt }) }
  const lower = { ...(gte === undefined ? {} : { gte }), ...(gt === undefined ? {} : { gt }) }
  return range.reverse ? { ...rest, ...lower, lt: key, ...limit } : { ...rest, ...upper, gt: key, ...limit }
}
