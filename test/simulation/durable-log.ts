import { between, type Random } from '#core/random.js'
import type { LevelOperation } from '#storage/level-database.js'

interface Record {
  readonly operations: readonly LevelOperation[]
  readonly segment: number
  durable: boolean
}

/**
 * What of a Level's writes a loss of power can take. They go to a log, and a synced one takes all before it in the same log along. Now
 * and then a new log is begun; what the last one holds without a sync is safe only when its table is written, which is before the one
 * after. Of a log that power cut short a part from its beginning is left; the record that is torn there is none.
 */
export class DurableLog {
  readonly #base = new Map<string, Buffer>()
  /** Those behind the first that is not durable. */
  #records: Record[] = []
  #segment = 0

  constructor(private readonly random: Random) {}

  /** The operations are visible from now on. Returns what a sync does. */
  add(operations: readonly LevelOperation[]): () => void {
    if (this.random.next() < 1 / 16) this.#rotate()
    const record = { operations, segment: this.#segment, durable: false }
    this.#records.push(record)
    return () => this.#synced(record)
  }
  /** LevelDB writes all that its logs hold into a table when it is opened. */
  opened(): void {
    for (const record of this.#records) record.durable = true
    this.#fold()
  }
  powerFails(): void {
    const survivors: Record[] = []
    for (const segment of [this.#segment - 1, this.#segment]) {
      const records = this.#records.filter((record) => record.segment === segment)
      const safe = records.filter(({ durable }) => durable).length // The first ones.
      survivors.push(...records.slice(0, between(this.random, safe, records.length + 1)))
    }
    this.#records = survivors
    this.opened()
  }
  /** As it will be found, whatever happens. */
  get(key: Buffer): Buffer | undefined {
    const name = nameOf(key)
    for (const { operations, durable } of [...this.#records].reverse()) {
      const last = durable ? operations.findLast((operation) => nameOf(operation.key) === name) : undefined
      if (last) return last.type === 'put' ? last.value : undefined
    }
    return this.#base.get(name)
  }
  /** Once it was opened. */
  entries(): LevelOperation[] {
    return [...this.#base].map(([name, value]) => ({ type: 'put', key: Buffer.from(name, 'latin1'), value }))
  }

  #rotate(): void {
    for (const record of this.#records) if (record.segment < this.#segment) record.durable = true
    this.#segment++
    this.#fold()
  }
  #synced(synced: Record): void {
    for (const record of this.#records) {
      if (record.segment === synced.segment) record.durable = true
      if (record === synced) break
    }
    this.#fold()
  }
  #fold(): void {
    while (this.#records[0]?.durable)
      for (const operation of this.#records.shift()!.operations)
        if (operation.type === 'put') this.#base.set(nameOf(operation.key), operation.value)
        else this.#base.delete(nameOf(operation.key))
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}
