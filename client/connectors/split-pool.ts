import type { SplitEnumerator, SplitEnumeratorContext } from '#core/functions/source.js'

/** The other side of SplitQueue: splits that wait for a reader, and readers that wait for a split. */
export class SplitPool<S> {
  readonly #pending: S[]
  readonly #waiting = new Set<number>()
  #complete: boolean
  constructor(
    private readonly ctx: SplitEnumeratorContext<S>,
    pending: readonly S[],
    complete: boolean,
  ) {
    this.#pending = [...pending]
    this.#complete = complete
  }
  get pending(): readonly S[] {
    return this.#pending
  }
  add(splits: readonly S[]): void {
    this.#pending.push(...splits)
    this.#serve()
  }
  /** Of a reader that is gone: they come first, and it waits no more. */
  addBack(splits: readonly S[], reader: number): void {
    this.#waiting.delete(reader)
    this.#pending.unshift(...splits)
    this.#serve()
  }
  /** No others will come. */
  complete(): void {
    this.#complete = true
    this.#serve()
  }
  request(reader: number): void {
    this.#waiting.add(reader)
    this.#serve()
  }
  /** A reader registers: a new attempt of it has asked for nothing yet. */
  forget(reader: number): void {
    this.#waiting.delete(reader)
  }
  #serve(): void {
    const registered = this.ctx.registeredReaders()
    for (const reader of [...this.#waiting]) {
      if (!registered.includes(reader)) {
        this.#waiting.delete(reader) // Lost since it asked; its next attempt asks again.
        continue
      }
      const split = this.#pending.shift()
      if (split === undefined && !this.#complete) return
      this.#waiting.delete(reader)
      if (split === undefined) this.ctx.signalNoMoreSplits(reader)
      else this.ctx.assignSplit(split, reader)
    }
  }
}

/** For sources that know all their splits at the start. A snapshot is what has not been assigned. */
export function fixedSplits<S>(
  ctx: SplitEnumeratorContext<S>,
  restored: readonly S[] | undefined,
  make: (parallelism: number) => readonly S[],
): SplitEnumerator<S, readonly S[]> {
  const pool = new SplitPool(ctx, restored ?? make(ctx.parallelism), true)
  return {
    start() {},
    addReader: (reader) => pool.forget(reader),
    handleSplitRequest: (reader) => pool.request(reader),
    addSplitsBack: (splits, reader) => pool.addBack(splits, reader),
    snapshotState: () => [...pool.pending],
  }
}
