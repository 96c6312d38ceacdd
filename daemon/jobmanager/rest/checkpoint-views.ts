/** Checkpoint statistics in the REST API's words. Pure. */
import type { CheckpointStatisticsEntry, JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { JobFact } from '#protocol/ha/facts.js'
import type { CheckpointItem, CheckpointsResponse } from '#protocol/rest/responses.js'
import { distribution } from './statistics.js'

/**
 * Barriers overtake no records, so none are persisted with a checkpoint. What waits behind a barrier stays in the channel, and is not
 * buffered for the alignment. Other than these, processed_data is measured.
 */
const IN_FLIGHT = { alignment_buffered: 0, persisted_data: 0 } as const
const UNKNOWN = -1

/** As far as the fact says which checkpoints are retained. */
type Retaining = { readonly fact: Pick<JobFact, 'checkpoints'> }

export function checkpointsView(job: Retaining & Pick<JobDetails, 'checkpoints'>): CheckpointsResponse {
  const statistics = job.checkpoints
  const history = statistics.history.map((entry) => checkpointItem(entry, job))
  const completed = statistics.history.filter((entry) => entry.status === 'COMPLETED')
  const newest = (status: string, savepoint: boolean) =>
    history.find((item) => item.status === status && item.is_savepoint === savepoint) ?? null
  const restored = statistics.latestRestored
  return {
    counts: {
      restored: statistics.counts.restored,
      total: statistics.counts.total,
      in_progress: statistics.counts.inProgress,
      completed: statistics.counts.completed,
      failed: statistics.counts.failed,
    },
    summary: {
      checkpointed_size: summary(completed.map((entry) => entry.checkpointedSize)),
      state_size: summary(completed.map((entry) => entry.stateSize)),
      end_to_end_duration: summary(completed.map((entry) => entry.endToEndDurationMs)),
      alignment_buffered: summary(completed.map(() => IN_FLIGHT.alignment_buffered)),
      processed_data: summary(completed.map(processedData).filter((bytes) => bytes !== UNKNOWN)),
      persisted_data: summary(completed.map(() => IN_FLIGHT.persisted_data)),
    },
    latest: {
      completed: newest('COMPLETED', false),
      savepoint: newest('COMPLETED', true),
      failed: history.find((item) => item.status === 'FAILED') ?? null,
      restored:
        restored === undefined
          ? null
          : { id: restored.id, restore_timestamp: restored.restoreTimestamp, is_savepoint: false, external_path: restored.externalPath },
    },
    history,
  }
}

export function checkpointItem(entry: CheckpointStatisticsEntry, { fact }: Retaining): CheckpointItem {
  const discarded = !fact.checkpoints.some(({ id }) => id === entry.id)
  return {
    className: entry.status === 'COMPLETED' ? 'completed' : entry.status === 'FAILED' ? 'failed' : 'in_progress',
    id: entry.id,
    status: entry.status,
    is_savepoint: entry.isSavepoint,
    checkpoint_type: entry.isSavepoint ? 'SAVEPOINT' : 'CHECKPOINT',
    trigger_timestamp: entry.triggerTimestamp,
    latest_ack_timestamp: entry.latestAckTimestamp,
    end_to_end_duration: entry.endToEndDurationMs,
    checkpointed_size: entry.checkpointedSize,
    state_size: entry.stateSize,
    processed_data: processedData(entry),
    ...IN_FLIGHT,
    num_subtasks: entry.subtasksTotal,
    num_acknowledged_subtasks: entry.subtasksAcknowledged,
    savepointFormat: null,
    tasks: Object.fromEntries(
      Object.entries(entry.tasks).map(([vertexId, task]) => [
        vertexId,
        {
          id: entry.id,
          status: entry.status,
          num_subtasks: task.total,
          num_acknowledged_subtasks: task.acknowledged,
          ...sumOf(task.subtasks, entry.triggerTimestamp),
          processed_data: processedBytes(task),
          ...IN_FLIGHT,
        },
      ]),
    ),
    ...(entry.status === 'COMPLETED' ? { external_path: entry.externalPath ?? '', discarded } : {}),
    ...(entry.status === 'FAILED'
      ? { failure_message: entry.failureMessage ?? '', failure_timestamp: entry.triggerTimestamp + entry.endToEndDurationMs }
      : {}),
  }
}

/** What subtasks processed during their alignment; -1 where the checkpoint is known from its manifest only. */
function processedData(entry: CheckpointStatisticsEntry): number {
  const tasks = Object.values(entry.tasks).map(processedBytes)
  return tasks.includes(UNKNOWN) ? UNKNOWN : tasks.reduce((sum, bytes) => sum + bytes, 0)
}
function processedBytes({ acknowledged, subtasks }: CheckpointStatisticsEntry['tasks'][string]): number {
  const told = Object.values(subtasks).flatMap((subtask) => (subtask.processedBytes === undefined ? [] : [subtask.processedBytes]))
  return told.length < acknowledged ? UNKNOWN : told.reduce((sum, bytes) => sum + bytes, 0)
}

function sumOf(subtasks: CheckpointStatisticsEntry['tasks'][string]['subtasks'], triggerTimestamp: number): object {
  const all = Object.values(subtasks)
  const latest = Math.max(-1, ...all.map((subtask) => subtask.ackTimestamp))
  return {
    latest_ack_timestamp: latest,
    end_to_end_duration: latest < 0 ? -1 : latest - triggerTimestamp,
    checkpointed_size: all.reduce((sum, subtask) => sum + subtask.checkpointedBytes, 0),
    state_size: all.reduce((sum, subtask) => sum + subtask.stateBytes, 0),
  }
}

function summary(values: readonly number[]): CheckpointsResponse['summary'][string] {
  const { min, max, avg, quantile } = distribution(values)
  const percentiles = { p50: quantile(0.5), p90: quantile(0.9), p95: quantile(0.95), p99: quantile(0.99), p999: quantile(0.999) }
  return { min, max, avg: Math.round(avg), ...percentiles }
}
