/** A cluster by its REST API. */
import { createHash } from 'node:crypto'
import { type Clock, sleep, systemClock } from '#core/clock.js'
import { deserializeError, isFlottError, type SerializedError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { DrainResponse } from '#protocol/rest/drain.js'
import type { SubmitJobRequest, SubmitJobResponse } from '#protocol/rest/job-submission.js'
import type {
  CheckpointsResponse,
  ClusterOverviewResponse,
  CollectedResponse,
  ExecutionResultResponse,
  JobDetailsResponse,
  JobsOverviewResponse,
  PlanResponse,
  TaskManagersResponse,
} from '#protocol/rest/responses.js'
import type {
  DisposalResponse,
  RetainedCheckpointsResponse,
  SavepointDisposalRequest,
  TriggerResponse,
} from '#protocol/rest/retained-checkpoints.js'
import type { DiskResponse, FsckResponse, GcResponse } from '#protocol/rest/storage-check.js'
import { fromTaggedJson } from '#protocol/rest/tagged-json.js'
import type { ClusterClient, CollectedRecords, JobResult } from './cluster-client.js'
import { type RestAddresses, staticAddresses } from './rest-addresses.js'
import { RestTransport, type RetryPolicy, type TransportWatch } from './rest-request.js'

export interface RestClusterClientOptions {
  /** host:port, a URL, or several separated by commas; or a look-up. */
  readonly restUrl?: string
  readonly addresses?: RestAddresses
  readonly token?: string
  readonly retry?: RetryPolicy
  readonly clock?: Clock
  /** Longest pause between two questions whether a job has ended. */
  readonly pollMaxMs?: number
  readonly watch?: TransportWatch
}

const RETRY: RetryPolicy = { attempts: 20, firstDelayMs: 100, maxDelayMs: 3_000, timeoutMs: 60_000 }
const POLL_FIRST_MS = 10
const POLL_MAX_MS = 1_000
/** Node.js' own limit for the head of an answer. */
const STORAGE_TIMEOUT_MS = 300_000
const STATUS = { SUCCEEDED: 'FINISHED', FAILED: 'FAILED', CANCELED: 'CANCELED' } as const

export class RestClusterClient implements ClusterClient {
  readonly #addresses: RestAddresses
  readonly #transport: RestTransport
  readonly #clock: Clock
  readonly #pollMaxMs: number

  constructor(options: RestClusterClientOptions) {
    this.#clock = options.clock ?? systemClock
    this.#pollMaxMs = options.pollMaxMs ?? POLL_MAX_MS
    this.#addresses = options.addresses ?? staticAddresses(options.restUrl ?? '')
    const headers: Record<string, string> = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }
    this.#transport = new RestTransport(this.#addresses, options.retry ?? RETRY, this.#clock, headers, options.watch)
  }

  async submitJob(jobGraph: JobGraph, artifact: Uint8Array): Promise<void> {
    const request: SubmitJobRequest = { jobGraph, artifactSha256: createHash('sha256').update(artifact).digest('hex') }
    await this.#transport.send<SubmitJobResponse>({
      method: 'POST',
      path: '/v1/jobs',
      timeoutMs: 120_000,
      body() {
        const form = new FormData()
        form.set('request', JSON.stringify(request))
        form.set('artifact', new Blob([artifact as Uint8Array<ArrayBuffer>]), 'artifact.mjs')
        return form
      },
    })
  }
  async getJobStatus(jobId: string): Promise<JobStatus> {
    return (await this.#get<{ status: JobStatus }>(`/v1/jobs/${jobId}/status`)).status
  }
  async requestJobResult(jobId: string, signal?: AbortSignal): Promise<JobResult> {
    for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(delayMs * 2, this.#pollMaxMs)) {
      const { 'job-execution-result': result } = await this.#get<ExecutionResultResponse>(`/v1/jobs/${jobId}/execution-result`, signal)
      if (result) {
        const failure = result['failure-cause']?.error as SerializedError | undefined
        return {
          jobId,
          status: STATUS[result['application-status']],
          netRuntimeMs: result['net-runtime'],
          accumulators: fromTaggedJson(result['accumulator-results']) as Readonly<Record<string, unknown>>,
          ...(failure === undefined ? {} : { failure }),
        }
      }
      await sleep(this.#clock, delayMs, signal)
    }
  }
  async cancelJob(jobId: string): Promise<void> {
    let mayBeDone = false
    const onUnknown = () => {
      mayBeDone = true
    }
    try {
      await this.#transport.send({ method: 'PATCH', path: `/v1/jobs/${jobId}?mode=cancel`, onUnknown })
    } catch (error) {
      if (!mayBeDone || !isFlottError(error, 'JOB_ALREADY_TERMINATED') || (await this.getJobStatus(jobId)) !== 'CANCELED') throw error
    }
  }
  async fetchCollected(request: { jobId: string; operatorId: string; after: number }): Promise<CollectedRecords> {
    const answer = await this.#get<CollectedResponse>(`/v1/jobs/${request.jobId}/collected/${request.operatorId}?after=${request.after}`)
    return { records: fromTaggedJson(answer.records) as unknown[], next: answer.next, ended: answer.ended }
  }
  overview(): Promise<ClusterOverviewResponse> {
    return this.#get('/v1/overview')
  }
  listJobs(): Promise<JobsOverviewResponse> {
    return this.#get('/v1/jobs/overview')
  }
  listTaskManagers(): Promise<TaskManagersResponse> {
    return this.#get('/v1/taskmanagers')
  }
  /** Asks the TaskManager to go. NOT_FOUND. */
  async drainTaskManager(id: string): Promise<DrainResponse> {
    let mayBeDone = false
    const onUnknown = () => {
      mayBeDone = true
    }
    try {
      return await this.#transport.send({ method: 'POST', path: drainPath(id), onUnknown })
    } catch (error) {
      if (mayBeDone && isFlottError(error, 'NOT_FOUND')) return this.drainStatus(id) // It has gone meanwhile.
      throw error
    }
  }
  /** Of the process that has the id, or was the last to have it; or of this one. NOT_FOUND also when it went too long ago. */
  drainStatus(id: string, processId?: string): Promise<DrainResponse> {
    return this.#get(drainPath(id) + (processId === undefined ? '' : `?process-id=${encodeURIComponent(processId)}`))
  }
  describeJob(jobId: string, signal?: AbortSignal): Promise<JobDetailsResponse> {
    return this.#get(`/v1/jobs/${jobId}`, signal)
  }
  checkpoints(jobId: string, signal?: AbortSignal): Promise<CheckpointsResponse> {
    return this.#get(`/v1/jobs/${jobId}/checkpoints`, signal)
  }
  plan(jobId: string): Promise<PlanResponse> {
    return this.#get(`/v1/jobs/${jobId}/plan`)
  }
  retainedCheckpoints(): Promise<RetainedCheckpointsResponse> {
    return this.#get('/v1/flott/checkpoints')
  }
  /** Disposes of a retained checkpoint, or of all of a job, and returns which they were. CHECKPOINT_NOT_FOUND, CHECKPOINT_IN_USE, INVALID_ARGUMENT. */
  async disposeCheckpoint(path: string): Promise<readonly string[]> {
    let mayBeDone = false
    const onUnknown = () => {
      mayBeDone = true
    }
    for (;;) {
      const json: SavepointDisposalRequest = { 'savepoint-path': path }
      const { 'request-id': id } = await this.#transport.send<TriggerResponse>({
        method: 'POST',
        path: '/v1/savepoint-disposal',
        json,
        onUnknown,
      })
      try {
        return await this.#disposed(id)
      } catch (error) {
        if (isFlottError(error, 'CHECKPOINT_NOT_FOUND') && mayBeDone) return [path]
        if (!isFlottError(error, 'NOT_FOUND')) throw error
        mayBeDone = true // Another JobManager leads by now: it is asked, and finds what the one before has left.
      }
    }
  }
  async #disposed(requestId: string): Promise<readonly string[]> {
    for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(delayMs * 2, this.#pollMaxMs)) {
      const { status, operation } = await this.#get<DisposalResponse>(`/v1/savepoint-disposal/${requestId}`)
      const failure = operation?.['failure-cause']
      if (failure) throw deserializeError(failure.error as SerializedError)
      if (status.id === 'COMPLETED') return operation?.paths ?? []
      await sleep(this.#clock, delayMs)
    }
  }
  /** Reads every byte on every disk of the in-sync set. */
  fsck(repair: boolean): Promise<FsckResponse> {
    return this.#transport.send({ method: repair ? 'POST' : 'GET', path: '/v1/flott/fsck', timeoutMs: STORAGE_TIMEOUT_MS })
  }
  /** Of the JobManager that is asked, whether it leads or not. */
  disk(): Promise<DiskResponse> {
    return this.#get('/v1/flott/disk')
  }
  gc(dryRun: boolean): Promise<GcResponse> {
    return this.#transport.send({ method: dryRun ? 'GET' : 'POST', path: '/v1/flott/gc', timeoutMs: STORAGE_TIMEOUT_MS })
  }
  async close(): Promise<void> {
    await this.#addresses.close()
  }
  #get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.#transport.send<T>({ method: 'GET', path, ...(signal === undefined ? {} : { signal }) })
  }
}

function drainPath(taskManagerId: string): string {
  return `/v1/flott/taskmanagers/${encodeURIComponent(taskManagerId)}/drain`
}

/** Whether the cluster, not the request, is why it failed. */
export function isUnreachable(error: unknown): boolean {
  return isFlottError(
    error,
    'CONNECTION_REFUSED',
    'CONNECTION_LOST',
    'LEADER_UNKNOWN',
    'RPC_TIMEOUT',
    'NOT_LEADER',
    'ZOOKEEPER_UNAVAILABLE',
  )
}
