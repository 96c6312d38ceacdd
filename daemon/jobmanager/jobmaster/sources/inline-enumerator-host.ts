import type { Clock } from '#core/clock.js'
import { deserializeError } from '#core/errors.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { EnumeratorEngine } from './enumerator-engine.js'
import type { EnumeratorHost, EnumeratorSession, FromEnumerators, ToEnumerators } from './enumerator-host.js'

/** In this very thread, a turn a message: for simulations, and clusters inside of the user's own process. */
export class InlineEnumeratorHost implements EnumeratorHost {
  constructor(
    private readonly load: (jobGraph: JobGraph) => Promise<BuiltProgram>,
    private readonly clock: Clock,
  ) {}

  open(jobGraph: JobGraph, handlers: Parameters<EnumeratorHost['open']>[1]): EnumeratorSession {
    let closed = false
    let engine: EnumeratorEngine | undefined
    const early: ToEnumerators[] = []
    const fail = (cause: Error) => {
      if (closed) return
      closed = true
      handlers.onFailure(cause)
    }
    const emit = (message: FromEnumerators) => {
      if (closed) return
      if (message.kind === 'failed') fail(deserializeError(message.error))
      else handlers.onMessage(message)
    }
    const deliver = (message: ToEnumerators) => this.clock.defer(() => closed || engine?.handle(message))
    this.load(jobGraph).then(
      (program) => {
        engine = new EnumeratorEngine(program, this.clock, emit)
        for (const message of early) deliver(message)
      },
      (cause: unknown) => fail(cause instanceof Error ? cause : new Error(String(cause))),
    )
    return {
      post: (message) => {
        if (engine) deliver(message)
        else early.push(message)
      },
      close: async () => {
        closed = true
        await engine?.close()
      },
    }
  }
}
