/** Checkpoint statistics in the REST API's words. Pure. */
import type { CheckpointStatistics, CheckpointStatisticsEntry } from '#protocol/gateways/dispatcher-gateway.js'
import type { CheckpointItem, CheckpointsResponse } from '#protocol/rest/responses.js'

/** Barriers are aligned: no checkpoint holds or overtakes records that are on their way. */
const IN_FLIGHT = { alignment_buffered: 0, processed_data: 0, persisted_data: 0 } as const
const NONE = summary([])

export function checkpointsView(statistics: CheckpointStatistics): CheckpointsResponse {
  const history = statistics.history.map(checkpointItem)
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
      alignment_buffered: NONE,
      processed_data: NONE,
      persisted_data: NONE,
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

export function checkpointItem(entry: CheckpointStatisticsEntry): CheckpointItem {
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
    ...IN_FLIGHT,
    num_subtasks: entry.subtasksTotal,
    num_acknowledged_subtasks: entry.subtasksAcknowledged,
    tasks: Object.fromEntries(
      Object.entries(entry.tasks).map(([vertexId, task]) => [
        vertexId,
        {
          id: entry.id,
          status: entry.status,
          num_subtasks: task.total,
          num_acknowledged_subtasks: task.acknowledged,
          ...sumOf(task.subtasks, entry.triggerTimestamp),
          ...IN_FLIGHT,
        },
      ]),
    ),
    ...(entry.status === 'COMPLETED' ? { external_path: entry.externalPath ?? '', discarded: false } : {}),
    ...(entry.status === 'FAILED'
      ? { failure_message: entry.failureMessage ?? '', failure_timestamp: entry.triggerTimestamp + entry.endToEndDurationMs }
      : {}),
  }
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
  const sorted = [...values].sort((a, b) => a - b)
  const at = (quantile: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0
  const sum = sorted.reduce((total, value) => total + value, 0)
  return {
    min: at(0),
    max: sorted.at(-1) ?? 0,
    avg: sorted.length === 0 ? 0 : Math.round(sum / sorted.length),
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
  }
}
