/**
 * What the parts of one JobMaster (scheduler, checkpoint coordinator, source coordinators) share. All of them run in its one mailbox:
 * a call returns before anything else happens, and what comes back from I/O comes back as a turn of its own.
 */
import type { Clock } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import type { CheckpointManifest, CoordinatorState } from '#protocol/checkpoint/manifest.js'
import type { CheckpointStatistics } from '#protocol/gateways/dispatcher-gateway.js'
import type { CheckpointAcknowledgement, ExecutionState, ReaderEvent } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { NumberedEvent, TaskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { TaskRestore } from '#protocol/graph/deployment.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { JobFact } from '#protocol/ha/facts.js'

export interface ExecutionView {
  readonly vertexId: string
  readonly subtaskIndex: number
  readonly attemptNumber: number
  readonly attemptId: string
  readonly state: ExecutionState
  /** undefined before a slot was assigned. */
  readonly taskManagerId: string | undefined
}

/** A checkpoint that the job's fact names, with its manifest read. */
export interface CompletedCheckpoint {
  readonly id: number
  readonly blob: string
  readonly manifest: CheckpointManifest
}

export interface JobMasterContext {
  readonly jobGraph: JobGraph
  readonly epoch: Epoch
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly blobs: ReplicatedBlobStore
  /** Aborts when the reign ends or the job was ended. */
  readonly signal: AbortSignal
  /** The newest confirmed value. */
  readonly fact: JobFact
  /**
   * One atomic step of the job's fact: applied to the newest value, one at a time, durable when it resolves. Waits while the leader is
   * suspended; rejects with NOT_LEADER when the reign ended.
   */
  updateFact(change: (fact: JobFact) => JobFact): Promise<JobFact>
  /** Runs `turn` in the mailbox. Everything that resumes after an await goes through this. */
  run(turn: () => void): void
  /** The current attempt of each subtask. */
  executions(): readonly ExecutionView[]
  /** The TaskManager's endpoint under this reign's epoch; undefined when it is not connected. */
  taskManager(taskManagerId: string): TaskExecutorGateway | undefined
  /** Fails the job as a whole: restart strategy, then FAILED. */
  failGlobally(cause: Error): void
  /** Something happened that the next leader should still know, although nothing depends on it: it is stored soon. */
  historyChanged(): void
}

/** Aligned, exactly-once checkpoints of one job: trigger, acknowledge, complete, abort, restore. */
export interface CheckpointCoordinatorApi {
  /** All tasks run: begin, or go on, with periodic triggering. Repeated calls are harmless. */
  startTriggering(): void
  /** A task is not running any more, or the job restarts: no new ones, pending ones are aborted (which rolls nothing back). */
  stopTriggering(cause: Error): void
  /** One that begins at once, or the one that is going on: `onCompleted` is called when it is complete, unless the triggering stops before. */
  takeNow(onCompleted: () => void): void
  acknowledge(ack: CheckpointAcknowledgement): void
  decline(attemptId: string, checkpointId: number, cause: Error): void
  /** The attempt's data has ended and it waits for a checkpoint begun after that: once all sources do, one begins at once. */
  awaitFinalCheckpoint(attemptId: string): void
  /** An attempt finished: it counts as acknowledged, finished, in later checkpoints; pending ones wait for it no more. */
  executionFinished(attemptId: string): void
  /** The checkpoint that a (re)start begins from: the newest completed one. Its manifest is read and checked; CHECKPOINT_NOT_RESTORABLE. */
  loadRestorePoint(): Promise<CompletedCheckpoint | undefined>
  /** The same one, for a takeover, which restores nothing from it. CHECKPOINT_NOT_RESTORABLE. */
  newest(): Promise<CompletedCheckpoint | undefined>
  /** What each subtask of a vertex has to restore; also at another parallelism. Undefined for a subtask with nothing. */
  restoreOf(manifest: CheckpointManifest, vertexId: string, subtaskIndex: number, parallelism: number): TaskRestore | undefined
  /** After a takeover: tells every task again of the newest completed checkpoint, aborts whatever is pending at tasks. */
  resume(attempts: readonly AttemptReport[]): void
  statistics(): CheckpointStatistics
  /**
   * What an earlier reign had counted (from the blob that `fact.history` names); to be called before the first checkpoint. Completed ones
   * that it had not written down any more are found in the fact.
   */
  importStatistics(statistics: CheckpointStatistics | undefined): void
  close(): void
}

/** The enumerators of a job's sources. User code: it runs in a limited worker, never in the JobManager's main thread. */
export interface SourceCoordinatorsApi {
  /** They will start soon: what needs no state (a thread, the program) is made ready. What fails there, fails `start`. */
  prepare(): void
  /**
   * Fresh, or from the snapshots in a manifest; anew at each restart of the whole job. After a takeover: with the reports of all attempts
   * that are adopted, so that no split that one of them holds is handed out again.
   */
  start(coordinators: Readonly<Record<string, CoordinatorState>> | undefined, adopted?: readonly AttemptReport[]): Promise<void>
  handleReaderEvent(attemptId: string, operatorId: string, reader: number, event: ReaderEvent): void
  /** An attempt is gone. What it received since the checkpoint that its successor is restored from goes back when that one registers. */
  readerFailed(operatorId: string, reader: number): void
  /**
   * Encodes all enumerators for a checkpoint, with the assignment number covered per reader. From then on nothing is sent to readers until
   * `resumeAssignments`: an event above that number must not overtake the trigger.
   */
  snapshot(checkpointId: number): Promise<Readonly<Record<string, CoordinatorState>>>
  /** The checkpoint's triggers have been accepted, or it was aborted. */
  resumeAssignments(checkpointId: number): void
  notifyCheckpointComplete(checkpointId: number): void
  /** Values of custom accumulators, by name and in order of subtasks, merged by the user's function where the program has it, else undefined. */
  mergeAccumulators(values: Readonly<Record<string, readonly unknown[]>>): Promise<Readonly<Record<string, unknown>>>
  close(): Promise<void>
}
/** How events leave the coordinators: to the attempt that they are for, numbered, in order, repeated until accepted. TASK_LOST when it ended before. */
export type SendOperatorEvents = (attemptId: string, operatorId: string, events: readonly NumberedEvent[]) => Promise<void>
