import { FlottError, serializeError } from '#core/errors.js'
import type { JobDetails, JobOverview } from '#protocol/gateways/dispatcher-gateway.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { decodeJobGraph } from '#protocol/graph/job-graph-format.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { JobFact, JobStatus } from '#protocol/ha/facts.js'
import type { CollectedResults } from '../jobmaster/collected-results.js'
import { loadEndedJob } from '../jobmaster/job-result.js'

export interface CompletedJobsOptions {
  /** jobstore.max-capacity */
  readonly capacity: number
  /** jobstore.expiration-time */
  readonly expirationMs: number
  /** Id of a job that is kept whatever its age. */
  readonly keeps?: string
}

export interface CompletedJob {
  readonly fact: JobFact & { readonly terminal: NonNullable<JobFact['terminal']> }
  /** undefined: on disk, since an earlier reign ended it. */
  readonly details: JobDetails | undefined
  readonly collected: CollectedResults | undefined
}

/** Jobs that have ended, oldest first: kept for a while, and not too many. */
export class CompletedJobs {
  readonly #jobs = new Map<string, CompletedJob>()

  constructor(private readonly options: CompletedJobsOptions) {}

  add(job: CompletedJob): void {
    this.#jobs.set(job.fact.jobId, job)
  }
  /** Its fact was changed. */
  update(fact: JobFact): void {
    const job = this.#jobs.get(fact.jobId)
    if (!job || !fact.terminal) return
    this.add({ ...job, fact: { ...fact, terminal: fact.terminal }, details: job.details && { ...job.details, fact } })
  }
  get(jobId: string): CompletedJob | undefined {
    return this.#jobs.get(jobId)
  }
  all(): readonly CompletedJob[] {
    return [...this.#jobs.values()]
  }
  /** Takes out those that are kept no longer. */
  expire(nowMs: number): readonly CompletedJob[] {
    const byEnd = this.all().toSorted((a, b) => a.fact.terminal.endTime - b.fact.terminal.endTime)
    const { capacity, expirationMs, keeps } = this.options
    const isOld = (job: CompletedJob, i: number) => i < byEnd.length - capacity || nowMs - job.fact.terminal.endTime >= expirationMs
    const expired = byEnd.filter((job, i) => isOld(job, i) && job.fact.jobId !== keeps)
    for (const { fact } of expired) this.#jobs.delete(fact.jobId)
    return expired
  }
}

const NO_TASKS: Readonly<Record<ExecutionState, number>> = {
  CREATED: 0,
  SCHEDULED: 0,
  DEPLOYING: 0,
  INITIALIZING: 0,
  RUNNING: 0,
  FINISHED: 0,
  CANCELING: 0,
  CANCELED: 0,
  FAILED: 0,
}

export function completedOverview({ fact, details }: CompletedJob): JobOverview {
  const { status, endTime, tasks } = fact.terminal
  return { ...bareOverview(fact, status, endTime), tasks: details?.tasks ?? { ...NO_TASKS, ...tasks } }
}
/** What the fact alone says. `endTime`: -1 where it has not ended. */
export function bareOverview(fact: JobFact, status: JobStatus, endTime: number): JobOverview {
  const { jobId, jobName, submittedTime: startTime } = fact
  return { jobId, jobName, status, startTime, endTime, lastModification: endTime < 0 ? startTime : endTime, tasks: NO_TASKS }
}

/** From memory, or from what an earlier reign has stored. */
export async function completedDetails(job: CompletedJob, blobs: BlobStore): Promise<JobDetails> {
  if (job.details) return job.details
  const { fact } = job
  const base = { ...bareDetails(fact, await loadJobGraph(blobs, fact)), ...completedOverview(job) }
  if (fact.result === undefined || fact.history === undefined) return base
  return { ...base, ...(await loadEndedJob(blobs, { result: fact.result, history: fact.history })) }
}

/** What the fact alone says of all but the overview. */
export function bareDetails(fact: JobFact, jobGraph: JobGraph): Omit<JobDetails, keyof JobOverview> {
  return {
    jobGraph,
    fact,
    timestamps: fact.terminal ? { [fact.terminal.status]: fact.terminal.endTime } : {},
    vertices: [],
    restarts: fact.restarts.count,
    exceptions: [],
    exceptionsTruncated: false,
    accumulators: {},
    checkpoints: { counts: { restored: 0, total: 0, inProgress: 0, completed: 0, failed: 0 }, history: [] },
  }
}

export async function loadJobGraph(blobs: BlobStore, fact: JobFact): Promise<JobGraph> {
  return decodeJobGraph(await blobs.get(fact.jobGraph))
}
/** For people: one without vertices where it can not be read. */
export function jobGraphOrEmpty(blobs: BlobStore, fact: JobFact): Promise<JobGraph> {
  const { jobId, jobName } = fact
  const program = { args: [], env: {}, clockMs: 0, randomSeed: 0, once: {}, executeIndex: 0, earlierResults: [] }
  return loadJobGraph(blobs, fact).catch(() => ({ jobId, jobName, program, fingerprint: '', settings: {}, vertices: [], edges: [] }))
}

/** Of a job that can not be started, and has FAILED with that. */
export function unstartableDetails(fact: JobFact, jobGraph: JobGraph, cause: unknown, endTime: number): JobDetails {
  const terminal = { status: 'FAILED' as const, endTime }
  const failure = serializeError(new FlottError('JOB_FAILED', `the job can not be started: ${(cause as Error).message}`, { cause }))
  return {
    ...bareOverview(fact, terminal.status, endTime),
    ...bareDetails({ ...fact, terminal }, jobGraph),
    failure,
    exceptions: [{ error: failure, timestamp: endTime }],
  }
}
