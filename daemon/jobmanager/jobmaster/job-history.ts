/**
 * What a job has been through, for people: exceptions and checkpoint statistics. The next leader shows it, too, so it is stored while the
 * job runs: one blob, named by the fact, not more often than every few seconds, since nothing depends on its being the newest.
 */
import { createHash } from 'node:crypto'
import { pack, unpack } from 'msgpackr'
import type { Timer } from '#core/clock.js'
import type { JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { JobFact } from '#protocol/ha/facts.js'
import type { JobMasterContext } from './job-master-context.js'

/** Between two writes. */
const PAUSE_MS = 2_000

export type RunningHistory = Pick<JobDetails, 'exceptions' | 'exceptionsTruncated' | 'checkpoints' | 'timestamps'>

/** undefined where there is none, or none that can be read: the job goes on without. */
export async function loadHistory(blobs: BlobStore, { history }: JobFact): Promise<RunningHistory | undefined> {
  if (history === undefined) return undefined
  try {
    return unpack(await blobs.get(history)) as RunningHistory
  } catch {
    return undefined
  }
}

export class JobHistory {
  #changed = false
  #writing = false
  #timer: Timer | undefined

  constructor(
    private readonly context: JobMasterContext,
    private readonly current: () => RunningHistory,
  ) {}

  /** It is stored now, or when the pause since the last time is over. */
  changed(): void {
    this.#changed = true
    if (this.#writing || this.#timer || this.context.signal.aborted) return
    this.#writing = true
    this.#write()
      .catch((error: unknown) => this.context.signal.aborted || this.context.logger.warn('history not stored', { error }))
      .finally(() => this.context.run(() => this.#pause()))
  }
  stop(): void {
    this.#timer?.cancel()
  }

  #pause(): void {
    this.#writing = false
    if (this.context.signal.aborted) return
    const again = () => {
      this.#timer = undefined
      if (this.#changed) this.changed()
    }
    this.#timer = this.context.clock.setTimer(PAUSE_MS, () => this.context.run(again), { unref: true })
  }
  async #write(): Promise<void> {
    const { context } = this
    this.#changed = false
    const bytes = pack(this.current())
    const name = `history/${context.jobGraph.jobId}/${createHash('sha256').update(bytes).digest('hex')}`
    const before = context.fact.history
    if (name === before) return
    await context.blobs.put(name, bytes)
    const { history } = await context.updateFact((fact) => ({ ...fact, history: name }))
    const unnamed = history === name ? before : name
    if (unnamed !== undefined && unnamed !== history) await context.blobs.delete([unnamed])
  }
}
