import type { Epoch } from '#core/epoch.js'
import type { SubtaskState } from '../checkpoint/manifest.js'

/** Where an attempt runs, or ran. */
export interface AttemptLocation {
  readonly vertexId: string
  readonly subtaskIndex: number
  readonly attemptNumber: number
  /** attemptIdOf(jobId, vertexId, subtaskIndex, attemptNumber). */
  readonly attemptId: string
  readonly taskManagerId: string
  readonly slotIndex: number
  readonly allocationId: string
  /** The TaskManager's data address: consumers on other TaskManagers connect there. */
  readonly dataHost: string
  readonly dataPort: number
  /** The TaskManager's process: another one of the same id never had this attempt. */
  readonly processId?: string
  /** It had FINISHED when the record was made. */
  readonly finished?: boolean
}

/** All current attempts of a job: one blob, named in the job's fact before anything of it is sent. A takeover adopts from it. */
export interface DeploymentRecord {
  readonly jobId: string
  /** Raised by one with each deployment of the job (a region restart makes a new record with the untouched attempts carried over, also those that have FINISHED). */
  readonly deploymentNumber: number
  readonly epoch: Epoch
  readonly attempts: readonly AttemptLocation[]
  /** The checkpoint that the attempts with the highest deploymentNumber were restored from; pinned until all of them run. */
  readonly restoredCheckpoint?: { readonly id: number; readonly manifest: string }
}

/** What a TaskManager receives: the whole picture once, in bytes that are made once for all of them, and the attempts that are its own. */
export interface TaskDeployment {
  readonly jobId: string
  /** By encodeJobGraph. */
  readonly jobGraph: Uint8Array
  /** A DeploymentRecord, by encodeDeployment: the bytes of its blob. */
  readonly deployment: Uint8Array
  readonly tasks: readonly TaskDeploymentDescriptor[]
}

export interface TaskDeploymentDescriptor {
  readonly attemptId: string
  readonly vertexId: string
  readonly subtaskIndex: number
  readonly attemptNumber: number
  readonly allocationId: string
  readonly slotIndex: number
  /** State to restore, by operator id; absent on a fresh start. */
  readonly restore?: TaskRestore
}

export interface FinishedSubtask {
  readonly received: Readonly<Record<string, number>>
}

export interface TaskRestore {
  readonly checkpointId: number
  /**
   * For each operator id the states of all earlier subtasks whose key groups or operator state this subtask needs
   * (at unchanged parallelism: exactly its own, and of the others what is marked `union`). The task picks its key groups out of them.
   */
  readonly operators: Readonly<Record<string, readonly SubtaskState[]>>
  /** Parallelism of the vertex when the checkpoint was taken. */
  readonly parallelism: number
  /** Of operators that were taken at another one. */
  readonly operatorParallelism?: Readonly<Record<string, number>>
  /** What an operator does not declare of its state is dropped. */
  readonly allowNonRestoredState?: true
  /**
   * The subtask had FINISHED: it has nothing to emit any more, only to end again. `received`: by operator id of a source, the number of
   * the last event that its reader had, so that its enumerator knows it for the one that was told of the end.
   */
  readonly finished?: FinishedSubtask
}
