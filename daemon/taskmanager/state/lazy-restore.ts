/**
 * Brings restored states into their tables while records are processed already: a hash that becomes current at once, all others in turns
 * of some milliseconds. A snapshot that begins meanwhile is walked afterwards; it is a base, since none has completed before.
 *
 * States: running, over (all is in the tables), failed (a row can not be decoded, or a table can not grow), closed.
 *   added       of a state that was declared: running
 *   turn        some blocks are applied; then another turn, or over: those who wait for that go on. After a turn that one large block has
 *               made long, the task gets as much time before the next: its records come first
 *   key set     its hash is applied in all states
 *   failure     in a turn: the task is failed; with a key: thrown. The state is not whole, so from then on no key can be set, and who
 *               waits for the end waits until the task is closed
 *   closed      no more turns
 */
import type { Clock } from '#core/clock.js'
import type { PendingRows } from './pending-rows.js'

/** Records wait for so long at most, or for one block. */
const TURN_MS = 4

export interface LazyRestoreOptions {
  readonly clock: Clock
  fail(error: unknown): void
  /** Called before those who wait for it. */
  over(): void
}

export class LazyRestore {
  readonly #pending: PendingRows[] = []
  readonly #waiting: (() => void)[] = []
  #isClosed = false
  #failure: { readonly error: unknown } | undefined

  constructor(private readonly options: LazyRestoreOptions) {
    this.#plan()
  }
  add(rows: PendingRows): void {
    this.#pending.push(rows)
  }
  apply(hash: number): void {
    if (this.#failure !== undefined) throw this.#failure.error
    try {
      for (const rows of this.#pending) rows.apply(hash)
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }
  get hashCount(): number {
    return this.#pending.reduce((sum, rows) => sum + rows.hashCount, 0)
  }
  /** In the turn in which all is in the tables. */
  whenOver(call: () => void): void {
    this.#waiting.push(call)
  }
  close(): void {
    this.#isClosed = true
  }
  #plan(tookMs = 0): void {
    const { clock } = this.options
    if (tookMs <= 2 * TURN_MS) clock.defer(() => this.#turn())
    else clock.setTimer(tookMs, () => this.#turn(), { unref: true })
  }
  #turn(): void {
    if (this.#isClosed || this.#failure !== undefined) return
    const { clock } = this.options
    const beganMs = clock.monotonicMs()
    try {
      this.#walkSome()
    } catch (error) {
      this.#failure = { error }
      this.options.fail(error)
      return
    }
    if (this.#pending.length > 0) {
      this.#plan(clock.monotonicMs() - beganMs)
      return
    }
    this.options.over()
    for (const call of this.#waiting) call()
  }
  #walkSome(): void {
    const { clock } = this.options
    const until = clock.monotonicMs() + TURN_MS
    for (let rows = this.#pending.at(-1); rows !== undefined; rows = this.#pending.at(-1)) {
      rows.step()
      if (rows.hashCount === 0) this.#pending.pop()
      if (clock.monotonicMs() >= until) return
    }
  }
}
