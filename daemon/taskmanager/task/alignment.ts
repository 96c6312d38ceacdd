import { type Barrier, type BarrierId, compareBarriers } from './barrier-aligner.js'

export interface AlignmentMeasure {
  readonly durationMs: number
  /** Of records from channels whose barrier had not come yet, between the first barrier and the last. */
  readonly processedBytes: number
}

/** Measures alignments. Each begins with the first barrier above all earlier ones; a late barrier begins none. */
export class Alignment {
  #barrier: BarrierId | undefined
  #startMs = 0
  #startBytes = 0

  constructor(
    private readonly monotonicMs: () => number,
    /** Bytes of records that the task has taken so far. */
    private readonly recordBytes: () => number,
  ) {}
  /** To be told before the channel is held back. */
  barrierCame(barrier: Barrier): void {
    if (this.#barrier && compareBarriers(barrier, this.#barrier) <= 0) return
    this.#barrier = barrier
    this.#startMs = this.monotonicMs()
    this.#startBytes = this.recordBytes()
  }
  soFar(): AlignmentMeasure {
    return { durationMs: this.monotonicMs() - this.#startMs, processedBytes: this.recordBytes() - this.#startBytes }
  }
}
