/** Which snapshots were begun, and since which of them a delta may be taken: the newest whose completion was told. */
import { FlottError } from '#core/errors.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'

interface Begun {
  /** Ended by the barrier. */
  readonly epoch: number
  /** What it continues; undefined for a base. */
  readonly from: Confirmed | undefined
  /** Base and deltas in order, once all are durable. */
  chain: Chain | undefined
}
interface Chain {
  readonly refs: readonly ChunkRef[]
  readonly baseBytes: number
  readonly deltaBytes: number
  readonly deltas: number
}
interface Confirmed {
  readonly epoch: number
  readonly chain: Chain
}

/** Of the base's: writing more and reading less at a restore, or the other way round. */
const DELTA_BYTES_MAX = 2
/** Restoring reads them all, and each manifest names them all. */
const DELTAS_MAX = 100

export class SnapshotHistory {
  readonly #begun = new Map<number, Begun>()
  #confirmed: Confirmed | undefined
  newest: number | undefined

  /** What the snapshot is a delta to; undefined where it must be a base. */
  beginSnapshot(checkpointId: number, epoch: number, incompleteEpoch: number): { readonly epoch: number } | undefined {
    const confirmed = this.#confirmed
    const isUsable =
      confirmed !== undefined &&
      confirmed.epoch >= incompleteEpoch &&
      confirmed.chain.deltaBytes <= DELTA_BYTES_MAX * confirmed.chain.baseBytes &&
      confirmed.chain.deltas < DELTAS_MAX
    const from = isUsable ? confirmed : undefined
    this.#begun.set(checkpointId, { epoch, from, chain: undefined })
    this.newest = checkpointId
    return from
  }
  /** All its chunks are durable. Returns the chain that a restore applies. */
  completed(checkpointId: number, chunks: readonly ChunkRef[]): readonly ChunkRef[] {
    const begun = this.#begun.get(checkpointId)
    if (begun === undefined) throw new FlottError('CHECKPOINT_FAILED', `checkpoint ${checkpointId} was aborted`)
    const bytes = chunks.reduce((sum, ref) => sum + ref.bytes, 0)
    const before = begun.from?.chain
    begun.chain =
      before === undefined
        ? { refs: chunks, baseBytes: bytes, deltaBytes: 0, deltas: 0 }
        : {
            refs: [...before.refs, ...chunks],
            baseBytes: before.baseBytes,
            deltaBytes: before.deltaBytes + bytes,
            deltas: before.deltas + 1,
          }
    return begun.chain.refs
  }
  /** The epoch up to which changes are safe; undefined where this tells nothing new. */
  confirm(checkpointId: number): number | undefined {
    const begun = this.#begun.get(checkpointId)
    for (const id of [...this.#begun.keys()]) if (id <= checkpointId) this.#begun.delete(id)
    if (begun?.chain === undefined) return undefined
    if (this.#confirmed !== undefined && begun.epoch <= this.#confirmed.epoch) return undefined
    this.#confirmed = { epoch: begun.epoch, chain: begun.chain }
    return begun.epoch
  }
  abort(checkpointId: number): void {
    this.#begun.delete(checkpointId)
  }
}
