/** A snapshot on its way: walks table after table in turns of some thousand entries, between which records are processed. */
import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import { type Block, BlockKind } from './chunk-format.js'
import { ChunkWriter, type ChunkWriterOptions } from './chunk-writer.js'
import { Rows } from './rows.js'
import { BLOCK_ENTRIES, TableWalk, type WalkPosition } from './table-walk.js'
import type { VersionedTable } from './versioned-table.js'

/** Records wait for so long at most; the sooner the walk is over, the fewer entries change before it has come to them. */
const TURN_MS = 4

export interface SnapshotWalkOptions extends Omit<ChunkWriterOptions, 'onFailure' | 'onRoom'> {
  readonly clock: Clock
}

export class SnapshotWalk {
  readonly #writer: ChunkWriter
  readonly #walks: TableWalk[] = []
  readonly #rows = new Rows(BLOCK_ENTRIES)
  #next = 0
  #isWaiting = false
  #isSettled = false
  #resolve!: (chunks: readonly ChunkRef[]) => void
  #reject!: (cause: unknown) => void
  /** The chunks, all durable. */
  readonly done: Promise<readonly ChunkRef[]>

  constructor(private readonly options: SnapshotWalkOptions) {
    this.#writer = new ChunkWriter({ ...options, onFailure: (cause) => this.drop(cause), onRoom: () => this.#resume() })
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.done.catch(() => {}) // Who asked may have lost interest.
  }
  addTable(table: VersionedTable, position: WalkPosition): void {
    this.#walks.push(new TableWalk(table, position, (block) => this.#emit(block)))
  }
  addDrop(state: number, namespace: number): void {
    this.#emit({ kind: BlockKind.Drop, state, namespace, count: 0, hashes: [], keys: [], values: undefined })
  }
  start(): void {
    this.options.clock.defer(() => this.#turn())
  }
  drop(cause: unknown): void {
    if (this.#isSettled) return
    this.#isSettled = true
    for (let i = this.#next; i < this.#walks.length; i++) this.#walks[i]!.abandon()
    this.#reject(cause)
  }
  #turn(): void {
    if (this.#isSettled) return
    if (this.#writer.isCongested) {
      this.#isWaiting = true
      return
    }
    try {
      this.#walkSome()
    } catch (cause) {
      this.drop(cause)
      return
    }
    if (this.#next < this.#walks.length) this.options.clock.defer(() => this.#turn())
    else void this.#finish()
  }
  #walkSome(): void {
    const { clock } = this.options
    const until = clock.monotonicMs() + TURN_MS
    while (this.#next < this.#walks.length) {
      const walk = this.#walks[this.#next]!
      walk.step(this.#rows)
      if (walk.isDone) this.#next++
      if (clock.monotonicMs() >= until) return
    }
  }
  #resume(): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.options.clock.defer(() => this.#turn())
  }
  async #finish(): Promise<void> {
    try {
      const chunks = await this.#writer.finish()
      if (this.#isSettled) return
      this.#isSettled = true
      this.#resolve(chunks)
    } catch (cause) {
      this.drop(cause)
    }
  }
  /** Never throws: it may be called from within an update of the user's. */
  #emit(block: Block): void {
    if (this.#isSettled) return
    try {
      this.#writer.add(block)
    } catch (cause) {
      this.drop(new FlottError('CHECKPOINT_FAILED', 'state can not be encoded', { cause }))
    }
  }
}
