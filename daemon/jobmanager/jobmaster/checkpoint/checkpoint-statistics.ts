import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import type { CheckpointStatistics, CheckpointStatisticsEntry } from '#protocol/gateways/dispatcher-gateway.js'
import type { CheckpointMetrics } from '#protocol/gateways/job-master-gateway.js'
import type { AcknowledgedSubtask, PendingCheckpoint } from './checkpoint-steps.js'

const HISTORY = 10
const NO_METRICS: CheckpointMetrics = {
  checkpointStartDelayMs: 0,
  alignmentDurationMs: 0,
  syncDurationMs: 0,
  asyncDurationMs: 0,
  checkpointedBytes: 0,
  stateBytes: 0,
  processedBytes: 0,
  unaligned: false,
}

/** Counts and history of one job's checkpoints, as REST and CLI show them; survives a takeover by export and import. */
export class CheckpointStatisticsRecorder {
  #restored = 0
  #completed = 0
  #failed = 0
  #history: readonly CheckpointStatisticsEntry[] = []
  #latestRestored: CheckpointStatistics['latestRestored']

  completed(pending: PendingCheckpoint, manifest: CheckpointManifest, externalPath: string): void {
    this.#completed++
    const { checkpointedSize, stateSize } = manifest
    this.#remember({ ...entryOf(pending, manifest.completedTimestamp), status: 'COMPLETED', checkpointedSize, stateSize, externalPath })
  }
  aborted(pending: PendingCheckpoint, cause: Error, now: number): void {
    this.#failed++
    this.#remember({ ...entryOf(pending, now), status: 'FAILED', failureMessage: cause.message })
  }
  restored(id: number, restoreTimestamp: number, externalPath: string): void {
    this.#restored++
    this.#latestRestored = { id, restoreTimestamp, externalPath }
  }
  snapshot(pending: PendingCheckpoint | undefined, now: number): CheckpointStatistics {
    const inProgress = pending ? 1 : 0
    return {
      counts: {
        restored: this.#restored,
        total: this.#completed + this.#failed + inProgress,
        inProgress,
        completed: this.#completed,
        failed: this.#failed,
      },
      history: (pending ? [entryOf(pending, now), ...this.#history] : this.#history).slice(0, HISTORY),
      ...(this.#latestRestored ? { latestRestored: this.#latestRestored } : {}),
    }
  }
  /** What was in progress when the earlier reign ended counts as failed: this reign aborts it. */
  import(statistics: CheckpointStatistics): void {
    const { counts, history, latestRestored } = statistics
    this.#restored += counts.restored
    this.#completed += counts.completed
    this.#failed += counts.failed + counts.inProgress
    const ended = history.map(
      (entry): CheckpointStatisticsEntry =>
        entry.status === 'IN_PROGRESS' ? { ...entry, status: 'FAILED', failureMessage: 'the leader changed' } : entry,
    )
    this.#history = [...this.#history, ...ended].slice(0, HISTORY)
    this.#latestRestored ??= latestRestored
  }
  /** One that was completed, but not written down any more by who did. */
  found(manifest: CheckpointManifest, externalPath: string): void {
    if (this.#history.some(({ id, status }) => status === 'COMPLETED' && id >= manifest.checkpointId)) return
    this.#completed++
    // Its writer had it as going on, and the import as failed.
    if (this.#history.some(({ id }) => id === manifest.checkpointId)) this.#failed--
    this.#history = this.#history.filter(({ id }) => id !== manifest.checkpointId)
    this.#remember(entryOfManifest(manifest, externalPath))
  }
  #remember(entry: CheckpointStatisticsEntry): void {
    this.#history = [entry, ...this.#history].slice(0, HISTORY)
  }
}

function entryOf(pending: PendingCheckpoint, now: number): CheckpointStatisticsEntry {
  const subtasks = [...pending.acknowledged.values()]
  const latestAckTimestamp = subtasks.reduce((latest, { timestamp }) => Math.max(latest, timestamp), pending.timestamp)
  const sum = (bytes: (metrics: CheckpointMetrics) => number) => subtasks.reduce((n, { metrics }) => n + (metrics ? bytes(metrics) : 0), 0)
  return {
    id: pending.id,
    status: 'IN_PROGRESS',
    isSavepoint: false,
    triggerTimestamp: pending.timestamp,
    latestAckTimestamp,
    endToEndDurationMs: Math.max(0, now - pending.timestamp),
    checkpointedSize: sum((metrics) => metrics.checkpointedBytes),
    stateSize: sum((metrics) => metrics.stateBytes),
    subtasksTotal: pending.tasks.length,
    subtasksAcknowledged: subtasks.length,
    tasks: Object.fromEntries([...new Set(pending.tasks.map((task) => task.vertexId))].map((id) => [id, vertexOf(pending, id)])),
  }
}

function entryOfManifest(manifest: CheckpointManifest, externalPath: string): CheckpointStatisticsEntry {
  const { checkpointId: id, triggerTimestamp, completedTimestamp, checkpointedSize, stateSize, vertices } = manifest
  const subtasks = vertices.reduce((sum, vertex) => sum + vertex.subtasks.length, 0)
  const all = ({ subtasks }: { subtasks: readonly unknown[] }) => ({
    acknowledged: subtasks.length,
    total: subtasks.length,
    subtasks: {},
  })
  return {
    id,
    status: 'COMPLETED',
    isSavepoint: manifest.kind === 'savepoint',
    triggerTimestamp,
    latestAckTimestamp: completedTimestamp,
    endToEndDurationMs: Math.max(0, completedTimestamp - triggerTimestamp),
    checkpointedSize,
    stateSize,
    subtasksTotal: subtasks,
    subtasksAcknowledged: subtasks,
    externalPath,
    tasks: Object.fromEntries(vertices.map((vertex) => [vertex.vertexId, all(vertex)])),
  }
}

function vertexOf(pending: PendingCheckpoint, vertexId: string): CheckpointStatisticsEntry['tasks'][string] {
  const tasks = pending.tasks.filter((task) => task.vertexId === vertexId)
  const acknowledged = tasks.flatMap((task): [number, AcknowledgedSubtask][] => {
    const subtask = pending.acknowledged.get(task.attemptId)
    return subtask ? [[task.subtaskIndex, subtask]] : []
  })
  return {
    acknowledged: acknowledged.length,
    total: tasks.length,
    subtasks: Object.fromEntries(
      acknowledged.map(([index, { metrics, timestamp }]) => [index, { ...(metrics ?? NO_METRICS), ackTimestamp: timestamp }]),
    ),
  }
}
