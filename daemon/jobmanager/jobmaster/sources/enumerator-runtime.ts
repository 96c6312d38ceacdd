/**
 * One enumerator and the context that it sees. It decides which reader gets a split that the enumerator gave to nobody in particular, and
 * swallows assignments of splits that a reader, adopted after a takeover, is known to hold already.
 */
import { type Clock, every, type Timer } from '#core/clock.js'
import { millis } from '#core/duration.js'
import { FlottError } from '#core/errors.js'
import type { Source, SourceSplit, SplitEnumerator, SplitEnumeratorContext } from '#core/functions/source.js'
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import type { EnumeratorStart, FromEnumerators, Registration } from './enumerator-host.js'

/** How long splits for nobody in particular wait for the other readers once the first has registered. */
const GATHERING_MS = 200

type AnySource = Source<unknown, SourceSplit, unknown>

interface RegisteredReader {
  readonly registration: number
  /** Splits ever given to it. */
  load: number
  noMoreSplits: boolean
}
interface Waiting {
  readonly split: SourceSplit
  /** undefined: any. */
  readonly reader?: number
}
/** What a snapshot holds: the enumerator's own state, and what is promised but not done. */
interface EnumeratorSnapshot {
  readonly state: unknown
  readonly waiting: readonly Waiting[]
  readonly held: readonly string[]
  readonly returned: readonly string[]
  readonly allSignalled: boolean
}

export class EnumeratorRuntime {
  readonly #readers = new Map<number, RegisteredReader>()
  /** Assigned, but no reader has registered to take them. */
  #waiting: readonly Waiting[] = []
  /** Splits that readers hold although the enumerator, restored from before, has not handed them out yet. */
  readonly #held = new Set<string>()
  /** Splits that went back to the enumerator and were not assigned again. */
  readonly #returned = new Set<string>()
  /** Readers whose request has not been answered. */
  readonly #requests = new Set<number>()
  #allSignalled = false
  #gathering: Timer | undefined
  readonly #closed = new AbortController()
  readonly #timers = new Set<Timer>()
  #enumerator: SplitEnumerator<SourceSplit, unknown> | undefined

  constructor(
    private readonly start: EnumeratorStart,
    private readonly source: AnySource,
    private readonly clock: Clock,
    private readonly emit: (message: FromEnumerators) => void,
    private readonly onFailure: (cause: Error) => void,
  ) {}

  open(): void {
    const restored = this.start.restored && (decodeValue(this.start.restored) as EnumeratorSnapshot)
    if (restored) {
      const isThere = ({ reader = 0 }: Waiting) => reader < this.start.operator.parallelism // There may have been more readers then.
      this.#waiting = restored.waiting.map((waiting) => (isThere(waiting) ? waiting : { split: waiting.split }))
      this.#allSignalled = restored.allSignalled
      for (const splitId of restored.held) this.#held.add(splitId)
      for (const splitId of restored.returned) this.#returned.add(splitId)
    }
    for (const { reader, registration, noMoreSplits, splits } of this.start.adopted) {
      this.#readers.set(reader, { registration, load: splits.length, noMoreSplits })
      for (const { splitId } of splits) this.#held.add(splitId)
    }
    this.#run('start', () => {
      this.#enumerator = this.source.createEnumerator(this.#context(), restored?.state)
      this.#enumerator.start()
    })
    for (const { reader } of this.start.adopted) this.#introduce(reader)
  }

  readerRegistered({ reader, registration, noMoreSplits }: Registration): void {
    this.#readers.set(reader, { registration, load: 0, noMoreSplits })
    this.#introduce(reader)
  }
  readerLost(reader: number): void {
    this.#readers.delete(reader)
    this.#requests.delete(reader)
  }
  splitsBack(reader: number, splits: readonly SourceSplit[]): void {
    // The enumerator still has those that it never handed out itself.
    const back = splits.filter(({ splitId }) => !this.#held.delete(splitId))
    if (back.length === 0) return
    for (const { splitId } of back) this.#returned.add(splitId)
    this.#run('addSplitsBack', () => this.#enumerator?.addSplitsBack(back, reader))
  }
  splitRequested(reader: number): void {
    if (!this.#readers.has(reader)) return
    this.#requests.add(reader)
    this.#run('handleSplitRequest', () => this.#enumerator?.handleSplitRequest?.(reader))
  }
  snapshot(checkpointId: number): Uint8Array {
    const snapshot: EnumeratorSnapshot = {
      state: this.#enumerator?.snapshotState(checkpointId),
      waiting: this.#waiting,
      held: [...this.#held],
      returned: [...this.#returned],
      allSignalled: this.#allSignalled,
    }
    return encodeValue(snapshot)
  }
  async close(): Promise<void> {
    this.#closed.abort()
    this.#gathering?.cancel()
    for (const timer of this.#timers) timer.cancel()
    await this.#enumerator?.close?.()
  }

  #context(): SplitEnumeratorContext<SourceSplit> {
    return {
      parallelism: this.start.operator.parallelism,
      registeredReaders: () => [...this.#readers.keys()].sort((a, b) => a - b),
      assignSplit: (split, reader) => this.#assign({ split, ...(reader === undefined ? {} : { reader }) }),
      signalNoMoreSplits: (reader) => this.#signal(reader),
      callAsync: (task, then, options) => this.#callAsync(task, then, options?.every === undefined ? undefined : millis(options.every)),
    }
  }

  #introduce(reader: number): void {
    this.#distribute()
    this.#run('addReader', () => this.#enumerator?.addReader?.(reader))
    this.#signalAll()
  }

  #assign(waiting: Waiting): void {
    const { reader } = waiting
    if (reader !== undefined && !(reader >= 0 && reader < this.start.operator.parallelism))
      throw new FlottError('INVALID_ARGUMENT', `assignSplit: there is no reader ${reader}`)
    this.#waiting = [...this.#waiting, waiting]
    this.#distribute()
    this.#signalAll()
  }

  /** Gives what waits to those who are there. */
  #distribute(): void {
    const open = this.#waiting
    this.#waiting = []
    for (const waiting of open) {
      if (this.#held.delete(waiting.split.splitId)) this.#swallowed(waiting)
      else {
        const reader = this.#takerOf(waiting)
        if (reader === undefined || !this.#readers.has(reader)) this.#waiting = [...this.#waiting, waiting]
        else this.#give(waiting.split, reader)
      }
    }
  }

  #give(split: SourceSplit, reader: number): void {
    const registered = this.#readers.get(reader)!
    registered.load++
    this.#returned.delete(split.splitId)
    this.#requests.delete(reader)
    this.emit({
      kind: 'splits-assigned',
      operatorId: this.start.operator.operatorId,
      reader,
      registration: registered.registration,
      splits: [split],
    })
  }

  /** A reader has the split already, so whoever asked for one still waits: the enumerator is asked again, each time for another split. */
  #swallowed({ split, reader }: Waiting): void {
    this.#returned.delete(split.splitId)
    const asking = reader === undefined ? [...this.#requests] : this.#requests.has(reader) ? [reader] : []
    for (const again of asking) this.#soon(() => this.#requests.has(again) && this.splitRequested(again))
  }

  /** A reader that has ended can't have it, whatever the enumerator says. */
  #takerOf({ reader }: Waiting): number | undefined {
    return reader === undefined || this.#readers.get(reader)?.noMoreSplits ? this.#leastLoaded() : reader
  }
  /** undefined: nobody can take it now. All readers are waited for a moment, so that the first to register does not get everything. */
  #leastLoaded(): number | undefined {
    if (this.#readers.size === 0) return undefined
    if (this.#readers.size < this.start.operator.parallelism && !this.#gathered()) return undefined
    let least: number | undefined
    for (const [reader, { load, noMoreSplits }] of [...this.#readers].sort(([a], [b]) => a - b))
      if (!noMoreSplits && (least === undefined || load < this.#readers.get(least)!.load)) least = reader
    return least
  }
  #gatheringEnded = false
  #gathered(): boolean {
    this.#gathering ??= this.clock.setTimer(GATHERING_MS, () => {
      this.#gatheringEnded = true
      this.#distribute()
      this.#signalAll()
    })
    return this.#gatheringEnded
  }

  #signal(reader: number | undefined): void {
    if (reader === undefined) {
      this.#allSignalled = true
      this.#signalAll()
    } else this.#tellNoMore(reader)
  }
  /** Only once all that went back or waits is assigned: its reader must not have ended before. */
  #signalAll(): void {
    if (!this.#allSignalled || this.#returned.size > 0 || this.#waiting.some(({ reader }) => reader === undefined)) return
    for (const reader of this.#readers.keys()) this.#tellNoMore(reader)
  }
  #tellNoMore(reader: number): void {
    const registered = this.#readers.get(reader)
    if (!registered || registered.noMoreSplits) return
    registered.noMoreSplits = true
    this.#requests.delete(reader)
    this.emit({ kind: 'no-more-splits', operatorId: this.start.operator.operatorId, reader, registration: registered.registration })
  }

  #callAsync<R>(task: (signal: AbortSignal) => Promise<R>, then: (result: R) => void, everyMs: number | undefined): void {
    let running = false
    const call = async () => {
      if (running) return // The last one takes longer than the period.
      running = true
      try {
        const result = await task(this.#closed.signal)
        if (!this.#closed.signal.aborted) this.#run('callAsync', () => then(result))
      } catch (cause) {
        this.#fail('callAsync', cause)
      } finally {
        running = false
      }
    }
    void call()
    if (everyMs !== undefined) this.#timers.add(every(this.clock, everyMs, () => void call()))
  }

  #soon(turn: () => void): void {
    this.clock.defer(() => {
      if (!this.#closed.signal.aborted) turn()
    })
  }
  #run(method: string, userCode: () => void): void {
    try {
      userCode()
    } catch (cause) {
      this.#fail(method, cause)
    }
  }
  #fail(method: string, cause: unknown): void {
    if (this.#closed.signal.aborted) return
    const { uid } = this.start.operator
    const text = `the enumerator of source '${uid}' failed in ${method}: ${cause instanceof Error ? cause.message : String(cause)}`
    this.onFailure(cause instanceof FlottError ? cause : new FlottError('USER_FUNCTION_FAILED', text, { cause, operator: uid }))
  }
}
