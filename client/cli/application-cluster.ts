import { isFlottError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { ClusterClient, CollectedRecords, JobResult } from '../submit/cluster-client.js'

/** The cluster as the program of an application sees it: for its one job, which may be there already. */
export class ApplicationCluster implements ClusterClient {
  /** Once the job was accepted and has ended. */
  readonly jobEnded: Promise<JobResult>
  #accepted!: (result: Promise<JobResult>) => void

  constructor(
    private readonly client: ClusterClient,
    private readonly onAccepted: () => void,
  ) {
    this.jobEnded = new Promise((resolve) => {
      this.#accepted = resolve
    })
    this.jobEnded.catch(() => {}) // Whoever waits for it hears of it.
  }

  async submitJob(jobGraph: JobGraph, artifact: Uint8Array): Promise<void> {
    const { jobId } = jobGraph
    try {
      await this.client.submitJob(jobGraph, artifact)
    } catch (error) {
      // The same program, run by a leader that was stopped, may have been faster: with another clock and chance, so with another graph.
      if (!isFlottError(error, 'JOB_SUBMISSION_FAILED') || !(await this.#isKnown(jobId))) throw error
    }
    this.onAccepted()
    this.#accepted(this.requestJobResult(jobId))
  }
  getJobStatus(jobId: string): Promise<JobStatus> {
    return this.client.getJobStatus(jobId)
  }
  requestJobResult(jobId: string, signal?: AbortSignal): Promise<JobResult> {
    return this.client.requestJobResult(jobId, signal)
  }
  cancelJob(jobId: string): Promise<void> {
    return this.client.cancelJob(jobId)
  }
  fetchCollected(request: { jobId: string; operatorId: string; after: number }): Promise<CollectedRecords> {
    return this.client.fetchCollected(request)
  }
  close(): Promise<void> {
    return this.client.close()
  }

  async #isKnown(jobId: string): Promise<boolean> {
    try {
      await this.client.getJobStatus(jobId)
      return true
    } catch (error) {
      if (isFlottError(error, 'JOB_NOT_FOUND')) return false
      throw error
    }
  }
}
