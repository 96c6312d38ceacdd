/** Disposals that were asked for, as Flink's REST API has them: whoever asks gets a number, and asks for its outcome with that. */
import type { Clock } from '#core/clock.js'
import { FlottError, serializeError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Random } from '#core/random.js'
import { type CheckpointPath, parseCheckpointPath } from '#protocol/checkpoint/checkpoint-path.js'
import type { DisposalStatus } from '#protocol/gateways/dispatcher-gateway.js'

/** How long an outcome is remembered, and how many are. */
const REMEMBERED_MS = 300_000
const REMEMBERED_MAX = 1_000

export interface DisposalsOptions {
  readonly clock: Clock
  readonly random: Random
  dispose(path: CheckpointPath): Promise<readonly string[]>
}

export class Disposals {
  /** Oldest first. */
  readonly #asked = new Map<string, { readonly askedMs: number; status: DisposalStatus }>()

  constructor(private readonly options: DisposalsOptions) {}

  /** INVALID_ARGUMENT; all else is the outcome. */
  trigger(path: string): { readonly requestId: string } {
    const { clock, random, dispose } = this.options
    const parsed = parseCheckpointPath(path, 'savepoint-path')
    this.#forget()
    const requestId = randomId(random)
    const entry: { askedMs: number; status: DisposalStatus } = { askedMs: clock.monotonicMs(), status: { state: 'IN_PROGRESS' } }
    this.#asked.set(requestId, entry)
    dispose(parsed).then(
      (paths) => (entry.status = { state: 'COMPLETED', paths }),
      (error: unknown) => (entry.status = { state: 'COMPLETED', failure: serializeError(error) }),
    )
    return { requestId }
  }
  /** NOT_FOUND also after a change of the leader. */
  status(requestId: string): DisposalStatus {
    this.#forget()
    const entry = this.#asked.get(requestId)
    if (!entry) throw new FlottError('NOT_FOUND', `no disposal ${requestId} is known here`)
    return entry.status
  }
  #forget(): void {
    const nowMs = this.options.clock.monotonicMs()
    for (const [requestId, { askedMs }] of this.#asked) {
      if (nowMs - askedMs < REMEMBERED_MS && this.#asked.size < REMEMBERED_MAX) return
      this.#asked.delete(requestId)
    }
  }
}
