/** `/savepoint-disposal`, as Flink has it, and `/flott/checkpoints`: what ended jobs have left. */

export interface RetainedCheckpointItem {
  readonly 'job-id': string
  readonly 'job-name': string
  readonly 'job-status': string
  /** When the job ended. */
  readonly 'job-end-time': number
  readonly id: number
  readonly external_path: string
  /** -1 where it can not be read. */
  readonly completion_timestamp: number
  readonly state_size: number
  readonly failure_message?: string
}
export interface RetainedCheckpointsResponse {
  readonly checkpoints: readonly RetainedCheckpointItem[]
}

export interface SavepointDisposalRequest {
  readonly 'savepoint-path': string
}
export interface TriggerResponse {
  readonly 'request-id': string
}
export interface DisposalResponse {
  readonly status: { readonly id: 'IN_PROGRESS' | 'COMPLETED' }
  readonly operation?: {
    /** What was disposed of: of a job all that it had left. */
    readonly paths?: readonly string[]
    readonly 'failure-cause'?: { readonly class: string; readonly 'stack-trace': string; readonly error: unknown }
  }
}
