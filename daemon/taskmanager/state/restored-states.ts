/** What a snapshot holds for this subtask, state by state and in its bytes, until the operator declares the state that it belongs to. */
import { FlottError, isTransient } from '#core/errors.js'
import { keyGroupOf } from '#core/serialization/key-hash.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import { BlockKind, type ChunkHeader, type DecodedBlock, decodeChunk, UndecodedBlock } from './chunk-format.js'
import type { KeyedStateBackendOptions } from './keyed-state-backend.js'

interface RestoredState {
  readonly kind: string
  readonly blocks: RestoredBlock[]
}

/** The checksum of its chunk was right; if it can not be decoded for all that, CHECKPOINT_NOT_RESTORABLE names the chunk. */
export class RestoredBlock {
  constructor(
    private readonly block: UndecodedBlock,
    private readonly blob: string,
  ) {}
  get kind(): BlockKind {
    return this.block.kind
  }
  get namespace(): number {
    return this.block.namespace
  }
  get count(): number {
    return this.block.count
  }
  readHashes(into?: Int32Array<ArrayBuffer>, at?: number): Int32Array {
    return this.block.readHashes(into, at)
  }
  keyAt(index: number): unknown {
    try {
      return this.block.keys.at(index)
    } catch (cause) {
      throw notRestorable(this.blob, NOT_DECODABLE, cause)
    }
  }
  /** Of a put. */
  valueAt(index: number): unknown {
    try {
      return this.block.values!.at(index)
    } catch (cause) {
      throw notRestorable(this.blob, NOT_DECODABLE, cause)
    }
  }
  /** Cheaper than one by one, where most are needed. */
  decodeAll(): { readonly keys: readonly unknown[]; readonly values: readonly unknown[] | undefined } {
    try {
      return { keys: this.block.keys.all(), values: this.block.values?.all() }
    } catch (cause) {
      throw notRestorable(this.blob, NOT_DECODABLE, cause)
    }
  }
}

export class RestoredStates {
  readonly #states = new Map<string, RestoredState>()

  constructor(private readonly options: KeyedStateBackendOptions) {}

  async load(states: readonly SubtaskState[]): Promise<void> {
    const chains = states.map(({ keyed }) => keyed.filter((ref) => this.#concerns(ref)))
    // All are asked for at once: who fetches them has its own bounds.
    const loaded = await Promise.all(chains.map((refs) => Promise.all(refs.map((ref) => this.#read(ref)))))
    for (const chain of loaded) this.#addChain(chain)
  }
  /** The blocks of a state in the order in which they apply, with keys of other subtasks among them. */
  claim(name: string, kind: string): readonly RestoredBlock[] {
    const restored = this.#states.get(name)
    if (restored === undefined) return []
    if (restored.kind !== kind)
      throw new FlottError(
        'STATE_INCOMPATIBLE',
        `state '${name}' of operator ${this.options.operatorId} is declared as ${kind} state, the snapshot has it as ${restored.kind} state`,
      )
    this.#states.delete(name)
    return restored.blocks
  }
  /** The same, decoded, with the keys of this subtask only. */
  *claimDecoded(name: string, kind: string): Generator<Omit<DecodedBlock, 'state'>> {
    for (const block of this.claim(name, kind)) yield this.#ownKeys(block)
  }
  /** States that nobody claimed. */
  get unclaimed(): readonly string[] {
    return [...this.#states.keys()]
  }
  clear(): void {
    this.#states.clear()
  }
  #concerns({ keyGroups }: ChunkRef): boolean {
    const [from, to] = this.options.keyGroups
    return keyGroups === undefined || (keyGroups[0] < to && from < keyGroups[1])
  }
  /**
   * Base, then deltas. Chunks of one checkpoint belong together: in it drops come first, then tombstones, then puts. A drop takes away what
   * its own chain had in the namespace; other subtasks' entries are none of its business.
   */
  #addChain(chain: readonly Chunk[]): void {
    const states = new Map<string, RestoredState>()
    let checkpointId: number | undefined
    let parts: ChunkBlock[] = []
    for (const { header, blocks } of chain) {
      if (header.checkpointId !== checkpointId) {
        append(states, parts)
        parts = []
      }
      checkpointId = header.checkpointId
      parts.push(...blocks)
    }
    append(states, parts)
    for (const [name, { kind, blocks }] of states) {
      const before = this.#states.get(name)?.blocks ?? []
      this.#states.set(name, { kind, blocks: [...before, ...blocks] })
    }
  }
  async #read(ref: ChunkRef): Promise<Chunk> {
    const { blob } = ref
    let bytes: Uint8Array
    try {
      bytes = await this.options.chunks.get(ref)
    } catch (cause) {
      if (isTransient(cause)) throw cause
      throw notRestorable(blob, 'it can not be read', cause)
    }
    try {
      const { header, blocks } = decodeChunk(bytes)
      const inBlock = (part: Buffer): ChunkBlock => {
        const block = new UndecodedBlock(part)
        const state = header.states[block.state]
        if (state === undefined) throw new Error(`there is no state ${block.state}`)
        return { block: new RestoredBlock(block, blob), state }
      }
      return { header, blocks: Array.from(blocks, inBlock) }
    } catch (cause) {
      throw notRestorable(blob, NOT_DECODABLE, cause)
    }
  }
  #ownKeys(block: RestoredBlock): Omit<DecodedBlock, 'state'> {
    const { kind, namespace } = block
    const { keys, values } = block.decodeAll()
    const hashes = block.readHashes()
    const [from, to] = this.options.keyGroups
    const isOwn = (hash: number) => {
      const group = keyGroupOf(hash, this.options.maxParallelism)
      return group >= from && group < to
    }
    if (hashes.every(isOwn)) return { kind, namespace, count: hashes.length, hashes, keys, values }
    const ownHashes = hashes.filter(isOwn)
    const filter = <T>(items: readonly T[]) => items.filter((_, i) => isOwn(hashes[i]!))
    return { kind, namespace, count: ownHashes.length, hashes: ownHashes, keys: filter(keys), values: values && filter(values) }
  }
}

interface ChunkBlock {
  readonly block: RestoredBlock
  readonly state: ChunkHeader['states'][number]
}
interface Chunk {
  readonly header: ChunkHeader
  readonly blocks: readonly ChunkBlock[]
}

function append(states: Map<string, RestoredState>, parts: readonly ChunkBlock[]): void {
  for (const applied of [BlockKind.Drop, BlockKind.Tombstone, BlockKind.Put])
    for (const { block, state } of parts) {
      if (block.kind !== applied) continue
      const { name, kind } = state
      const before = states.get(name)?.blocks ?? []
      if (applied === BlockKind.Drop) states.set(name, { kind, blocks: before.filter(({ namespace }) => namespace !== block.namespace) })
      else if (before.length === 0) states.set(name, { kind, blocks: [block] })
      else before.push(block)
    }
}

const NOT_DECODABLE = 'it can not be decoded'

function notRestorable(blob: string, why: string, cause?: unknown): FlottError {
  return new FlottError('CHECKPOINT_NOT_RESTORABLE', `${blob}: ${why}`, cause === undefined ? {} : { cause })
}
