import { FlottError } from '#core/errors.js'
import type { FactStore } from '#protocol/ha/facts.js'
import { decodeFactKey, decodeFactValue, encodeFactKey, encodeFactValue, factRange } from '#storage/keys.js'
import { type LevelDatabase, SYNC, storageError } from '#storage/level-database.js'
import { type FactFolder, type FactName, type FactNodes, NodeFactStore } from '../node-fact-store.js'

/** Facts in the one Level of a JobManager without high availability: the same versions, and no other writer. */
export function levelFactStore(db: LevelDatabase): FactStore {
  return new NodeFactStore(new LevelFactNodes(db))
}

class LevelFactNodes implements FactNodes {
  /** Read, compare and write are one step: writers take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly db: LevelDatabase) {}

  sync(): Promise<void> {
    return Promise.resolve()
  }

  async list(folder: FactFolder): Promise<readonly string[]> {
    const names: string[] = []
    for await (const key of this.db.keys(factRange(`${folder}/`))) names.push(decodeFactKey(key).slice(folder.length + 1))
    return names
  }

  async read(node: FactName): Promise<{ bytes: Buffer; version: number } | undefined> {
    try {
      const value = await this.db.get(encodeFactKey(node))
      return value && decodeFactValue(value)
    } catch (error) {
      throw storageError(error, `read of ${node}`)
    }
  }

  create(node: FactName, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      if (await this.read(node)) throw new FlottError('FACT_EXISTS', node)
      await this.#write(node, 0, bytes)
    })
  }

  set(node: FactName, bytes: Uint8Array, version: number): Promise<number> {
    return this.#inTurn(async () => {
      const found = await this.read(node)
      if (!found) throw new FlottError('FACT_NOT_FOUND', node)
      assertVersion(node, found.version, version)
      await this.#write(node, version + 1, bytes)
      return version + 1
    })
  }

  remove(node: FactName, version: number): Promise<void> {
    return this.#inTurn(async () => {
      const found = await this.read(node)
      if (!found) return
      assertVersion(node, found.version, version)
      try {
        await this.db.batch([{ type: 'del', key: encodeFactKey(node) }], SYNC)
      } catch (error) {
        throw storageError(error, `removal of ${node}`)
      }
    })
  }

  async #write(node: FactName, version: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.db.put(encodeFactKey(node), encodeFactValue(version, bytes), SYNC)
    } catch (error) {
      throw storageError(error, `write of ${node}`)
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }
}

function assertVersion(node: string, found: number, wanted: number): void {
  if (found !== wanted) throw new FlottError('FACT_CONFLICT', `${node} has version ${found}, not ${wanted}`)
}
