/** What a snapshot holds for this subtask, state by state, until the operator declares the state that it belongs to. */
import { crc32 } from 'node:zlib'
import { FlottError, isTransient } from '#core/errors.js'
import { keyGroupOf } from '#core/serialization/key-hash.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import { BlockKind, type ChunkHeader, type DecodedBlock, decodeBlock, decodeChunk } from './chunk-format.js'
import type { KeyedStateBackendOptions } from './keyed-state-backend.js'

/** Chunks asked for ahead of the one that is being decoded. */
const AHEAD = 8

interface RestoredState {
  readonly kind: string
  readonly blocks: DecodedBlock[]
}

export class RestoredStates {
  readonly #states = new Map<string, RestoredState>()

  constructor(private readonly options: KeyedStateBackendOptions) {}

  async load(states: readonly SubtaskState[]): Promise<void> {
    for (const { keyed } of states) await this.#loadChain(keyed.filter((ref) => this.#concerns(ref)))
  }
  /** The blocks of a state in the order in which they apply, with the keys of this subtask only. */
  *claim(name: string, kind: string): Generator<DecodedBlock> {
    const restored = this.#states.get(name)
    if (restored === undefined) return
    if (restored.kind !== kind)
      throw new FlottError(
        'STATE_INCOMPATIBLE',
        `state '${name}' of operator ${this.options.operatorId} is declared as ${kind} state, the snapshot has it as ${restored.kind} state`,
      )
    this.#states.delete(name)
    yield* restored.blocks
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
  /** Base, then deltas. Chunks of one checkpoint belong together: in it drops come first, then tombstones, then puts. */
  async #loadChain(refs: readonly ChunkRef[]): Promise<void> {
    let checkpointId: number | undefined
    let parts: ParsedBlock[] = []
    for await (const { header, blocks } of this.#readAll(refs)) {
      if (header.checkpointId !== checkpointId) {
        this.#append(parts)
        parts = []
      }
      checkpointId = header.checkpointId
      for (const block of blocks) parts.push({ block, header })
    }
    this.#append(parts)
  }
  #append(parts: readonly ParsedBlock[]): void {
    for (const kind of [BlockKind.Drop, BlockKind.Tombstone, BlockKind.Put])
      for (const { block, header } of parts) {
        if (block.kind !== kind) continue
        const { name, kind: stateKind } = header.states[block.state]!
        const restored = this.#states.get(name)
        if (restored === undefined) this.#states.set(name, { kind: stateKind, blocks: [block] })
        else restored.blocks.push(block)
      }
  }
  /** In their order. One is decoded while the next ones are on their way; its bytes are let go then. */
  async *#readAll(refs: readonly ChunkRef[]): AsyncGenerator<DecodedChunk> {
    const ahead: Promise<DecodedChunk>[] = []
    for (let next = 0; next < refs.length || ahead.length > 0; ) {
      while (ahead.length < AHEAD && next < refs.length) {
        const read = this.#read(refs[next++]!)
        read.catch(() => {}) // Told in its turn.
        ahead.push(read)
      }
      yield await ahead.shift()!
    }
  }
  async #read(ref: ChunkRef): Promise<DecodedChunk> {
    const fail = (why: string, cause?: unknown) =>
      new FlottError('CHECKPOINT_NOT_RESTORABLE', `${ref.blob}: ${why}`, cause === undefined ? {} : { cause })
    let bytes: Uint8Array
    try {
      bytes = await this.options.chunks.get(ref.blob)
    } catch (cause) {
      if (isTransient(cause)) throw cause
      throw fail('it can not be read', cause)
    }
    if (bytes.length !== ref.bytes) throw fail(`it has ${bytes.length} bytes instead of ${ref.bytes}`)
    if (crc32(bytes) !== ref.crc32) throw fail('its checksum does not match')
    try {
      const { header, blocks } = decodeChunk(bytes)
      return { header, blocks: Array.from(blocks, (block) => this.#ownKeys(decodeBlock(block))) }
    } catch (cause) {
      throw fail('it can not be decoded', cause)
    }
  }
  #ownKeys(block: DecodedBlock): DecodedBlock {
    const { hashes, keys, values } = block
    const [from, to] = this.options.keyGroups
    const isOwn = (hash: number) => {
      const group = keyGroupOf(hash, this.options.maxParallelism)
      return group >= from && group < to
    }
    if (hashes.every(isOwn)) return block
    const ownHashes = hashes.filter(isOwn)
    const filter = <T>(items: readonly T[]) => items.filter((_, i) => isOwn(hashes[i]!))
    return { ...block, count: ownHashes.length, hashes: ownHashes, keys: filter(keys), values: values && filter(values) }
  }
}

interface DecodedChunk {
  readonly header: ChunkHeader
  readonly blocks: readonly DecodedBlock[]
}
interface ParsedBlock {
  readonly block: DecodedBlock
  readonly header: ChunkHeader
}
