import type { JobGraph } from '../graph/job-graph.js'

/**
 * POST /jobs: multipart/form-data as Flink's: part `request` (JSON, SubmitJobRequest) first, then part `artifact` (the bundle).
 * Idempotent by job id. Answer 202 with SubmitJobResponse.
 */
export interface SubmitJobRequest {
  readonly jobGraph: JobGraph
  readonly artifactSha256: string
}
export interface SubmitJobResponse {
  readonly jobUrl: string
}
