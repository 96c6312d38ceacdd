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
  /** Full: every write fails. */
  failing = false
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
      get: (key) => content.get(key),
      put: (key, value, options) => write(() => content.put(key, value, options)),
      batch: (operations: LevelOperation[], options) => write(() => content.batch(operations, options)),
      clear: (range) => write(() => content.clear(range)),
      iterator: (range) => content.iterator(range),
      keys: (range) => content.keys(range),
    }
  }
  async #write<T>(clock: Clock, apply: () => Promise<T>): Promise<T> {
    const [from, to] = this.writeMs
    const pause = () => new Promise<void>((resolve) => void clock.setTimer(between(this.random, from, to + 1), resolve))
    const late = this.random.next() < 0.5
    if (late) await pause()
    if (this.failing) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const result = await apply()
    if (!late) await pause()
    return result
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
