/** Retained checkpoints and their disposal in the REST API's words. */
import type { IncomingMessage } from 'node:http'
import { FlottError } from '#core/errors.js'
import type { DisposalStatus, RetainedCheckpoint } from '#protocol/gateways/dispatcher-gateway.js'
import type { DisposalResponse, RetainedCheckpointsResponse } from '#protocol/rest/retained-checkpoints.js'
import { failureCause } from './job-views.js'
import { readJsonObject } from './request-body.js'

export function retainedView(retained: readonly RetainedCheckpoint[]): RetainedCheckpointsResponse {
  return {
    checkpoints: retained.map((checkpoint) => ({
      'job-id': checkpoint.jobId,
      'job-name': checkpoint.jobName,
      'job-status': checkpoint.jobStatus,
      'job-end-time': checkpoint.jobEndTime,
      id: checkpoint.checkpointId,
      external_path: checkpoint.path,
      completion_timestamp: checkpoint.completedTimestamp ?? -1,
      state_size: checkpoint.stateSize ?? -1,
      ...(checkpoint.unreadable === undefined ? {} : { failure_message: checkpoint.unreadable }),
    })),
  }
}

export async function disposedPath(message: IncomingMessage): Promise<string> {
  const { 'savepoint-path': path } = await readJsonObject(message)
  if (typeof path !== 'string')
    throw new FlottError('BAD_REQUEST', 'savepoint-path must be a text: flott:/<job id>/chk-<n>, or the id of a job')
  return path
}

export function disposalView({ state, paths, failure }: DisposalStatus): DisposalResponse {
  if (state === 'IN_PROGRESS') return { status: { id: state } }
  return { status: { id: state }, operation: failure ? { 'failure-cause': failureCause(failure) } : { paths: paths ?? [] } }
}
