/**
 * Disposals that were asked for, as Flink's REST API has them: whoever asks gets a number, and asks for its outcome with that.
 *
 *   asked for, with a fact that names what is to go -> done, or failed -> forgotten after a while
 *
 * The number is told once the fact is there. A leader that finds one without an outcome goes on with it: what it does not find any more
 * was disposed of by the leader before.
 */
import type { Clock } from '#core/clock.js'
import { FlottError, isFlottError, isTransient, serializeError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { type CheckpointPath, parseCheckpointPath } from '#protocol/checkpoint/checkpoint-path.js'
import type { DisposalStatus } from '#protocol/gateways/dispatcher-gateway.js'
import type { DisposalFact } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'

/** How long an outcome is remembered, and how many are. */
const REMEMBERED_MS = 300_000
const REMEMBERED_MAX = 1_000

export interface DisposalsOptions {
  readonly reign: Reign
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** What there is of it, as paths. CHECKPOINT_NOT_FOUND, CHECKPOINT_IN_USE. */
  find(path: CheckpointPath): Promise<readonly string[]>
  dispose(path: CheckpointPath): Promise<readonly string[]>
}

export class Disposals {
  /** Oldest first. */
  readonly #asked = new Map<string, DisposalFact>()

  constructor(private readonly options: DisposalsOptions) {}

  /** Those of leaders before. */
  resume(found: readonly DisposalFact[]): void {
    for (const fact of [...found].sort((a, b) => a.askedTime - b.askedTime)) {
      this.#asked.set(fact.requestId, fact)
      if (!fact.outcome) void this.#run(fact)
    }
    this.forget()
  }

  /** INVALID_ARGUMENT, and what may pass; all else is the outcome. */
  async trigger(path: string): Promise<{ readonly requestId: string }> {
    const { clock, find, random, reign } = this.options
    const asked = parseCheckpointPath(path, 'savepoint-path')
    this.forget()
    const request = { requestId: randomId(random), askedTime: clock.now() }
    const fact = await find(asked).then(
      (paths): DisposalFact => ({ ...request, paths }),
      (error: unknown): DisposalFact => {
        if (isTransient(error)) throw error
        return { ...request, paths: [], outcome: { failure: serializeError(error) } }
      },
    )
    await reign.whenConfirmed()
    await reign.facts.setDisposal(fact)
    this.#asked.set(fact.requestId, fact)
    if (!fact.outcome) void this.#run(fact)
    return { requestId: fact.requestId }
  }
  /** NOT_FOUND when it was never asked for, or a while ago. */
  status(requestId: string): DisposalStatus {
    this.forget()
    const fact = this.#asked.get(requestId)
    if (!fact) throw new FlottError('NOT_FOUND', `no disposal ${requestId} is known`)
    const { outcome, paths } = fact
    if (!outcome) return { state: 'IN_PROGRESS' }
    return { state: 'COMPLETED', ...(outcome.failure ? { failure: outcome.failure } : { paths }) }
  }
  forget(): void {
    const { clock, logger, reign } = this.options
    for (const [requestId, { askedTime }] of this.#asked) {
      if (clock.now() - askedTime < REMEMBERED_MS && this.#asked.size < REMEMBERED_MAX) return
      this.#asked.delete(requestId)
      reign.facts.deleteDisposal(requestId).catch((error: unknown) => logger.debug('a disposal is not forgotten yet', { requestId, error }))
    }
  }

  /** Never rejects. Without an outcome when the reign ends: the next leader goes on. */
  async #run(fact: DisposalFact): Promise<void> {
    const { logger, reign } = this.options
    const outcome = await this.#disposeAll(fact.paths).then(
      () => ({}),
      (error: unknown) => ({ failure: serializeError(error) }),
    )
    if (!reign.holds()) return
    const ended = { ...fact, outcome }
    if (this.#asked.has(fact.requestId)) this.#asked.set(fact.requestId, ended)
    await reign.facts
      .setDisposal(ended)
      .catch((error: unknown) => logger.warn('the outcome of a disposal was not stored', { requestId: fact.requestId, error }))
  }
  async #disposeAll(paths: readonly string[]): Promise<void> {
    for (const path of paths)
      await this.options.dispose(parseCheckpointPath(path, 'savepoint-path')).catch((error: unknown) => {
        if (!isFlottError(error, 'CHECKPOINT_NOT_FOUND')) throw error
      })
  }
}
