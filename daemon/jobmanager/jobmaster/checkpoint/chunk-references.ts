/**
 * Which chunks may be deleted. Deltas share chunks with earlier checkpoints, so a chunk is kept while any retained manifest names it, and
 * also while a later delta could: a task writes its delta since the newest checkpoint whose completion it was *told*, which may be one
 * that is not retained any more. Each acknowledgement says which that was, and it only rises.
 */
export class ChunkReferences {
  /** Completed checkpoints, oldest first: those in the job's fact, and older ones that a delta may refer to. */
  readonly #completed = new Map<number, ReadonlySet<string>>()
  #retained: ReadonlySet<number> = new Set()
  /** False until all that may be referred to is known. */
  #known = true

  /** A manifest that the fact names, found at a takeover. `undefined`: it can't be read, so that nothing is deleted while it is retained. */
  found(id: number, chunks: ReadonlySet<string> | undefined): void {
    if (chunks) this.#completed.set(id, chunks)
    else this.#known = false
    this.#retained = new Set([...this.#retained, id])
  }
  completed(id: number, chunks: ReadonlySet<string>, retained: readonly number[]): void {
    this.#completed.set(id, chunks)
    this.#retained = new Set(retained)
    if (retained.every((kept) => this.#completed.has(kept))) this.#known = true
  }
  /** Whether a chunk of an earlier checkpoint is certainly still there. */
  holds(chunk: string): boolean {
    for (const chunks of this.#completed.values()) if (chunks.has(chunk)) return true
    return false
  }
  /**
   * Those of `listed` that nothing refers to, or will. `upTo`: newer checkpoints may be going on. `told`: the lowest id that a running
   * attempt was told complete (0: it may be none).
   */
  unreferenced(listed: readonly string[], upTo: number, told: number): readonly string[] {
    const ids = [...this.#completed.keys()].sort((a, b) => a - b)
    const oldest = ids[0]
    // An attempt may build on a checkpoint that was dropped before we knew of it.
    if (!this.#known || (oldest !== undefined && told !== 0 && told < oldest)) return []
    const base = ids.findLast((id) => id <= told)
    for (const id of ids) if (!this.#retained.has(id) && base !== undefined && id < base) this.#completed.delete(id)
    return listed.filter((chunk) => checkpointOfChunk(chunk) <= upTo && !this.holds(chunk))
  }
}

/** chunk/<job>/<checkpoint>/<attempt>/<operator id>-<part> */
export function checkpointOfChunk(blob: string): number {
  return Number(blob.split('/')[2])
}
