/** For each running attempt the newest checkpoint whose completion it certainly was told: what its deltas may refer to begins there. */
export class AttemptsTold {
  readonly #told = new Map<string, number>()
  /** Of attempts that this reign deployed: the checkpoint that they were restored from, 0 for none. Undefined: they are an earlier reign's. */
  #floor: number | undefined

  constructor(floor: number | undefined) {
    this.#floor = floor
  }
  restoredFrom(checkpointId: number): void {
    this.#floor = checkpointId
  }
  told(attemptId: string, checkpointId: number): void {
    this.#told.set(attemptId, Math.max(checkpointId, this.#told.get(attemptId) ?? 0))
  }
  /** The lowest of all of them; undefined while it is unknown of one. Forgets attempts that are not among `running`. */
  lowest(running: readonly string[]): number | undefined {
    for (const attempt of this.#told.keys()) if (!running.includes(attempt)) this.#told.delete(attempt)
    let lowest = Number.MAX_SAFE_INTEGER
    for (const attempt of running) {
      const told = this.#told.get(attempt) ?? this.#floor
      if (told === undefined) return undefined
      lowest = Math.min(lowest, told)
    }
    return lowest
  }
}
