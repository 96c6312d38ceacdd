/**
 * The cluster as a program under `flott run` sees it: submissions are announced, waiting for a result shows progress (attached) or
 * returns at once (detached), and what was submitted is remembered for the exit code and for Ctrl-C.
 */
import type { Clock } from '#core/clock.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { ClusterClient, CollectedRecords, JobResult } from '../submit/cluster-client.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { showProgress } from './progress.js'
import type { Terminal } from './terminal.js'

export interface AttachedClusterOptions {
  readonly detached: boolean
  readonly quiet: boolean
  readonly terminal: Terminal
  readonly clock: Clock
}

export class AttachedCluster implements ClusterClient {
  readonly submitted: string[] = []
  readonly #results = new Map<string, Promise<JobResult>>()
  constructor(
    private readonly client: RestClusterClient,
    private readonly options: AttachedClusterOptions,
  ) {}

  async submitJob(jobGraph: JobGraph, artifact: Uint8Array): Promise<void> {
    await this.client.submitJob(jobGraph, artifact)
    this.submitted.push(jobGraph.jobId)
    if (!this.options.quiet) this.options.terminal.note(`Job has been submitted with JobID ${jobGraph.jobId}`)
  }
  requestJobResult(jobId: string): Promise<JobResult> {
    // Flink's detached execute() returns at once, too, with a result that has nothing in it.
    if (this.options.detached) return Promise.resolve({ jobId, status: 'FINISHED', netRuntimeMs: 0, accumulators: {} })
    const known = this.#results.get(jobId) ?? this.#await(jobId)
    this.#results.set(jobId, known)
    return known
  }
  /** Of each job that was submitted, in order: attached, the program may have left some to themselves. */
  results(): Promise<readonly JobResult[]> {
    return Promise.all(this.submitted.map((jobId) => this.requestJobResult(jobId)))
  }
  getJobStatus(jobId: string): Promise<JobStatus> {
    return this.client.getJobStatus(jobId)
  }
  cancelJob(jobId: string): Promise<void> {
    return this.client.cancelJob(jobId)
  }
  fetchCollected(request: { jobId: string; operatorId: string; after: number }): Promise<CollectedRecords> {
    return this.client.fetchCollected(request)
  }
  async close(): Promise<void> {}

  async #await(jobId: string): Promise<JobResult> {
    const { quiet, terminal, clock } = this.options
    if (quiet) return this.client.requestJobResult(jobId)
    const showing = new AbortController()
    const shown = showProgress(this.client, jobId, terminal, clock, showing.signal)
    try {
      return await this.client.requestJobResult(jobId)
    } finally {
      showing.abort()
      await shown
    }
  }
}
