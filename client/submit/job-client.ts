import { type Clock, sleep } from '#core/clock.js'
import { deserializeError, FlottError, type SerializedError } from '#core/errors.js'
import type { Accumulator, AccumulatorSpec } from '#core/functions/accumulator.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { ClusterClient, JobResult } from './cluster-client.js'

export type { JobStatus }

export interface JobClient {
  readonly jobId: string
  getJobStatus(): Promise<JobStatus>
  /** Each change of status, beginning with the present one and ending with a final one. */
  jobStatusChanges(signal?: AbortSignal): AsyncIterable<JobStatus>
  cancel(): Promise<void>
  /** Waits for the end. JOB_FAILED (its `cause` is the task's error), JOB_CANCELED. */
  getJobExecutionResult(): Promise<JobExecutionResult>
}
export interface JobExecutionResult {
  readonly jobId: string
  readonly netRuntimeMs: number
  /** Of all subtasks together; what the aggregate makes of nothing, where nothing was added. */
  accumulator<V, R>(accumulator: Accumulator<V, R>): R
}

const FINAL: readonly JobStatus[] = ['FINISHED', 'FAILED', 'CANCELED']
const POLL_MS = 100

export class ClusterJobClient implements JobClient {
  #result: Promise<JobResult> | undefined

  constructor(
    readonly jobId: string,
    readonly cluster: ClusterClient,
    private readonly clock: Clock,
    observer: ClusterJobClient['observer'] = { ended() {}, collected() {} },
  ) {
    this.observer = observer
  }
  /** Told what becomes known of the job, for the slots of later jobs of the program. */
  readonly observer: { ended(result: JobResult): void; collected(operatorId: string, records: readonly unknown[]): void }

  getJobStatus(): Promise<JobStatus> {
    return this.cluster.getJobStatus(this.jobId)
  }
  async *jobStatusChanges(signal?: AbortSignal): AsyncIterable<JobStatus> {
    let last: JobStatus | undefined
    while (last === undefined || !FINAL.includes(last)) {
      const status = await this.getJobStatus()
      if (status !== last) yield status
      last = status
      if (!FINAL.includes(status)) await sleep(this.clock, POLL_MS, signal)
    }
  }
  cancel(): Promise<void> {
    return this.cluster.cancelJob(this.jobId)
  }
  async getJobExecutionResult(): Promise<JobExecutionResult> {
    this.#result ??= this.cluster.requestJobResult(this.jobId).then((result) => {
      this.observer.ended(result)
      return result
    })
    return executionResult(await this.#result)
  }
  /** Records of a collect operator, as they come, until the job has ended. */
  async *collected(operatorId: string): AsyncIterable<unknown> {
    for (let after = 0; ; ) {
      const { records, next, ended } = await this.cluster.fetchCollected({ jobId: this.jobId, operatorId, after })
      this.observer.collected(operatorId, records)
      yield* records
      after = next
      if (ended) return
      if (records.length === 0) await sleep(this.clock, POLL_MS)
    }
  }
}

/** Of the innermost error that names one. */
function operatorOf(failure: SerializedError | undefined): string | undefined {
  return failure && (operatorOf(failure.cause) ?? failure.operator)
}

/** Throws JOB_FAILED or JOB_CANCELED where the job did not finish. */
export function executionResult(result: JobResult): JobExecutionResult {
  const { jobId, status, netRuntimeMs, accumulators, failure } = result
  if (status === 'CANCELED') throw new FlottError('JOB_CANCELED', `job ${jobId} was cancelled`)
  if (status === 'FAILED') {
    const cause = failure && deserializeError(failure)
    const operator = operatorOf(failure)
    throw new FlottError('JOB_FAILED', `job ${jobId}: ${cause?.message.replace(/^JOB_FAILED: /, '') ?? 'failed'}`, {
      ...(cause === undefined ? {} : { cause }),
      ...(operator === undefined ? {} : { operator }),
    })
  }
  return {
    jobId,
    netRuntimeMs,
    accumulator<V, R>(accumulator: Accumulator<V, R>): R {
      const { name, aggregate } = accumulator as AccumulatorSpec<V, unknown, R>
      return aggregate.getResult(Object.hasOwn(accumulators, name) ? accumulators[name] : aggregate.createAccumulator())
    },
  }
}
