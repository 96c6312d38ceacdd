/** What the client needs of a cluster, remote or embedded. A client has one address; any JobManager answers. */
import type { SerializedError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'

export interface ClusterClient {
  /** Idempotent by job id: resolves once the job is durable. JOB_SUBMISSION_FAILED, ARTIFACT_TOO_LARGE. */
  submitJob(jobGraph: JobGraph, artifact: Uint8Array): Promise<void>
  /** JOB_NOT_FOUND. */
  getJobStatus(jobId: string): Promise<JobStatus>
  /** Resolves once the job has ended for good, however it ended: a failed job is a result here, not an error. */
  requestJobResult(jobId: string, signal?: AbortSignal): Promise<JobResult>
  /** Resolves once the intent is durable. JOB_NOT_FOUND, JOB_ALREADY_TERMINATED. */
  cancelJob(jobId: string): Promise<void>
  /** Records that a collect sink has sent, from `after` (exclusive, a running number) on; `operatorId` is stableId(uid). Does not wait for more. */
  fetchCollected(request: { jobId: string; operatorId: string; after: number }): Promise<CollectedRecords>
  /** Lets go of connections; jobs go on. Idempotent. */
  close(): Promise<void>
}

export interface CollectedRecords {
  readonly records: readonly unknown[]
  readonly next: number
  /** The job has ended and nothing follows. */
  readonly ended: boolean
}

export interface JobResult {
  readonly jobId: string
  readonly status: 'FINISHED' | 'FAILED' | 'CANCELED'
  readonly netRuntimeMs: number
  /** By name: the intermediate value (what the aggregate's createAccumulator makes), merged over subtasks; the client applies getResult. */
  readonly accumulators: Readonly<Record<string, unknown>>
  readonly failure?: SerializedError
}
