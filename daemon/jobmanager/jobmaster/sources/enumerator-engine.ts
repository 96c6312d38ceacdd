import { type Clock, sleep } from '#core/clock.js'
import { FlottError, serializeError } from '#core/errors.js'
import { accumulatorMerge } from '#core/functions/accumulator.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { Source, SourceSplit } from '#core/functions/source.js'
import type { EnumeratorStart, FromEnumerators, ToEnumerators } from './enumerator-host.js'
import { EnumeratorRuntime } from './enumerator-runtime.js'

/** How long enumerators that are replaced may take to close. */
const CLOSE_WAIT_MS = 5_000

/** All enumerators of one job, in whatever thread: one message after the other, each to its end. */
export class EnumeratorEngine {
  readonly #runtimes = new Map<string, EnumeratorRuntime>()
  #failed = false

  constructor(
    private readonly program: BuiltProgram,
    private readonly clock: Clock,
    private readonly emit: (message: FromEnumerators) => void,
  ) {}

  handle(message: ToEnumerators): void {
    if (this.#failed) return
    try {
      this.#dispatch(message)
    } catch (error) {
      this.#fail(error)
    }
  }
  async close(): Promise<void> {
    this.#failed = true // Says nothing more.
    await Promise.allSettled([...this.#runtimes.values()].map((runtime) => runtime.close()))
  }

  #dispatch(message: ToEnumerators): void {
    switch (message.kind) {
      case 'start':
        this.#startAll(message)
        break
      case 'reader-registered':
        this.#runtimes.get(message.operatorId)?.readerRegistered(message)
        break
      case 'reader-lost':
        this.#runtimes.get(message.operatorId)?.readerLost(message.reader)
        break
      case 'splits-back':
        this.#runtimes.get(message.operatorId)?.splitsBack(message.reader, message.splits)
        break
      case 'split-requested':
        this.#runtimes.get(message.operatorId)?.splitRequested(message.reader)
        break
      case 'snapshot': {
        const states = [...this.#runtimes].map(([operatorId, runtime]) => [operatorId, runtime.snapshot(message.checkpointId)])
        this.emit({ kind: 'snapshot', request: message.request, states: Object.fromEntries(states) })
        break
      }
      case 'merge-accumulators':
        this.#merge(message.request, message.values)
        break
      case 'ping':
        this.emit({ kind: 'pong' })
    }
  }

  /** Those of an earlier start may hold what their successors need, so they are closed first; from now on they say nothing more. */
  #startAll({ request, enumerators }: Extract<ToEnumerators, { kind: 'start' }>): void {
    const start = () => {
      for (const enumerator of enumerators) this.#start(enumerator)
      this.emit({ kind: 'started', request })
    }
    const before = [...this.#runtimes.values()]
    this.#runtimes.clear()
    if (before.length === 0) {
      start()
      return
    }
    const closed = new AbortController()
    void Promise.allSettled(before.map((runtime) => runtime.close())).then(() => closed.abort())
    const begin = () => {
      if (this.#failed || this.#runtimes.size > 0) return
      try {
        start()
      } catch (error) {
        this.#fail(error)
      }
    }
    sleep(this.clock, CLOSE_WAIT_MS, closed.signal).then(begin, begin)
  }
  #start(start: EnumeratorStart): void {
    const { operatorId, uid } = start.operator
    const definition = this.program.operators.get(uid)
    if (definition?.kind !== 'source') throw new FlottError('GRAPH_NOT_DETERMINISTIC', `the program has no source '${uid}'`)
    const runtime = new EnumeratorRuntime(
      start,
      definition.source as Source<unknown, SourceSplit, unknown>,
      this.clock,
      (message) => {
        if (!this.#failed && this.#runtimes.get(operatorId) === runtime) this.emit(message)
      },
      (cause) => this.#fail(cause),
    )
    this.#runtimes.set(operatorId, runtime)
    runtime.open()
  }

  #merge(request: number, values: Readonly<Record<string, readonly unknown[]>>): void {
    try {
      const merged: Record<string, unknown> = {}
      for (const [name, parts] of Object.entries(values)) {
        const merge = accumulatorMerge(name)
        if (merge && parts.length > 0) merged[name] = parts.reduce((a, b) => merge(a, b))
      }
      this.emit({ kind: 'merged', request, values: merged })
    } catch (error) {
      this.emit({ kind: 'merged', request, values: {}, error: serializeError(error) })
    }
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.emit({ kind: 'failed', error: serializeError(error) })
  }
}
