import { MemoryLevel } from 'memory-level'
import type { Clock } from '#core/clock.js'
import { between, type Random } from '#core/random.js'
import { decodeBlobValue, decodeBlockValue, encodeBlobKey, encodeBlockKey } from '#storage/keys.js'
import { BINARY, type LevelDatabase, type LevelOperation } from '#storage/level-database.js'

type Content = MemoryLevel<Buffer, Buffer>

/**
 * What a JobManager has on disk: it outlives the process. Writes take their time one after the other, and a process that dies in one
 * does not learn whether it was done. Checkers look at it from outside.
 */
export class SimulatedDisk {
  #content: Content | undefined
  /** Every write fails. */
  full = false
  /** Chance that a read or a write fails; such a write may have been done all the same. */
  failureRate = 0
  /** How long a write takes, in milliseconds. */
  writeMs: readonly [number, number] = [0, 2]

  constructor(private readonly random: Random) {}

  /** As the process with this clock sees it. */
  async open(clock: Clock): Promise<LevelDatabase> {
    if (!this.#content) {
      this.#content = new MemoryLevel<Buffer, Buffer>(BINARY)
      await this.#content.open()
    }
    const content = this.#content as unknown as LevelDatabase
    let last: Promise<unknown> = Promise.resolve()
    const write = <T>(apply: () => Promise<T>): Promise<T> => {
      const work = last.then(() => this.#write(clock, apply))
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
      put: (key, value, options) => write(() => content.put(key, value, options)),
      batch: (operations: LevelOperation[], options) => write(() => content.batch(operations, options)),
      clear: (range) => write(() => content.clear(range)),
      iterator: (range) => this.#readable(content.iterator(range)),
      keys: (range) => this.#readable(content.keys(range)),
    }
  }
  async #write<T>(clock: Clock, apply: () => Promise<T>): Promise<T> {
    const [from, to] = this.writeMs
    const pause = () => new Promise<void>((resolve) => void clock.setTimer(between(this.random, from, to + 1), resolve))
    const late = this.random.next() < 0.5
    if (late) await pause()
    if (this.full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const failing = this.#fails
    if (failing && this.random.next() < 0.5) throw inputOutputError()
    const result = await apply()
    if (failing) throw inputOutputError()
    if (!late) await pause()
    return result
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

  /** Another disk takes its place. */
  wipe(): void {
    this.#content = undefined
  }

  holds(blob: string): boolean {
    return this.#content?.getSync(encodeBlobKey(blob)) !== undefined
  }
  contentOf(blob: string): Buffer | undefined {
    const named = this.#content?.getSync(encodeBlobKey(blob))
    if (!named) return undefined
    const { serial } = decodeBlobValue(named)
    const blocks: Buffer[] = []
    for (;;) {
      const block = this.#content?.getSync(encodeBlockKey({ serial, block: blocks.length }))
      if (!block) return Buffer.concat(blocks)
      blocks.push(decodeBlockValue(block).bytes)
    }
  }
}

function inputOutputError(): Error {
  return Object.assign(new Error('input/output error'), { code: 'EIO' })
}
