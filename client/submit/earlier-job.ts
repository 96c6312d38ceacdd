/**
 * What slots know of the jobs that a program ran before theirs: the outcome that the client recorded, since a slot evaluates the whole
 * program up to its own job and must take the same turns.
 */
import { systemClock } from '#core/clock.js'
import { deserializeError, FlottError, type SerializedError } from '#core/errors.js'
import type { ClusterClient, JobResult } from './cluster-client.js'
import { ClusterJobClient } from './job-client.js'

/** More than this of one stream is not recorded: it would travel with every later job of the program. */
export const RECORDED_RECORDS_MAX = 10_000

export interface RecordedJob {
  /** Empty where the job was not accepted. */
  readonly jobId: string
  /** The job was refused. */
  readonly refused?: SerializedError
  /** Once it had ended. */
  readonly result?: JobResult
  /** By operator id: what was collected; null for too much. */
  readonly collected?: Readonly<Record<string, readonly unknown[] | null>>
}

export function earlierJob(recorded: RecordedJob): Promise<ClusterJobClient> {
  if (recorded.refused) return Promise.reject(deserializeError(recorded.refused))
  return Promise.resolve(new ClusterJobClient(recorded.jobId, new RecordedCluster(recorded), systemClock))
}

/** Knows what was known at the client when the later job began; what was not asked there never answers. */
class RecordedCluster implements ClusterClient {
  readonly #never = new Promise<never>(() => {})
  constructor(private readonly recorded: RecordedJob) {}
  submitJob(): Promise<never> {
    return this.#never
  }
  async getJobStatus() {
    return this.recorded.result?.status ?? this.#never
  }
  async requestJobResult() {
    return this.recorded.result ?? this.#never
  }
  async cancelJob() {}
  async fetchCollected({ operatorId }: { operatorId: string }) {
    const records = this.recorded.collected?.[operatorId] ?? []
    if (this.recorded.collected?.[operatorId] !== null) return { records, next: records.length, ended: true }
    const message = `job ${this.recorded.jobId} collected more than ${RECORDED_RECORDS_MAX} records: a later job of the program can not depend on them`
    throw new FlottError('PROGRAM_FAILED', message)
  }
  async close() {}
}
