import type { SourceReaderContext } from '#core/functions/source.js'

/** What readers share: splits wait their turn, the next one is asked for when none is left, and whoever waits is woken. */
export class SplitQueue<S> {
  readonly #splits: S[] = []
  #requested = false
  #noMore = false
  #woken: Promise<void> | undefined
  #wake: (() => void) | undefined
  constructor(private readonly ctx: Pick<SourceReaderContext, 'sendSplitRequest'>) {}

  /** The split to read from; undefined when there is none now. */
  get current(): S | undefined {
    return this.#splits[0]
  }
  set current(split: S) {
    this.#splits[0] = split
  }
  get all(): readonly S[] {
    return this.#splits
  }
  add(splits: readonly S[]): void {
    this.#splits.push(...splits)
    this.#requested = false
    this.wake()
  }
  noMore(): void {
    this.#noMore = true
    this.wake()
  }
  finishCurrent(): void {
    this.#splits.shift()
  }
  /** What pollNext answers when there is no split; asks for one. */
  empty(): 'nothing-available' | 'end-of-input' {
    if (this.#noMore) return 'end-of-input'
    if (!this.#requested) {
      this.#requested = true
      this.ctx.sendSplitRequest()
    }
    return 'nothing-available'
  }
  /** Resolves at the next wake, at once when there is something to do. */
  available(): Promise<void> {
    if (this.#splits.length > 0 || this.#noMore) return Promise.resolve()
    return this.untilWoken()
  }
  /** However many ask, they wait for one promise. */
  untilWoken(): Promise<void> {
    this.#woken ??= new Promise((resolve) => {
      this.#wake = resolve
    })
    return this.#woken
  }
  wake(): void {
    this.#woken = undefined
    this.#wake?.()
  }
}
