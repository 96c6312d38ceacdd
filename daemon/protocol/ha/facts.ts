import type { Epoch } from '#core/epoch.js'
import type { SerializedError } from '#core/errors.js'
import type { ExecutionState } from '../gateways/job-master-gateway.js'

/**
 * Facts: small, mutable, versioned; names of blobs, never bytes (DESIGN section 4). All that is true of a job is one node, so that
 * one versioned set of it is one atomic step. Implementations: ZooKeeper, one Level (high-availability.type none), memory.
 */
export interface Versioned<T> {
  readonly value: T
  readonly version: number
}

export type JobStatus =
  | 'INITIALIZING'
  | 'CREATED'
  | 'RUNNING'
  | 'FAILING'
  | 'FAILED'
  | 'CANCELLING'
  | 'CANCELED'
  | 'FINISHED'
  | 'RESTARTING'
  | 'SUSPENDED'
  | 'RECONCILING'

export interface CheckpointName {
  readonly id: number
  /** Its blob. */
  readonly manifest: string
}

export interface JobFact {
  readonly jobId: string
  readonly jobName: string
  /** What the job is meant to become; a takeover goes on towards it. */
  readonly target: 'RUNNING' | 'CANCELED'
  /** Set once, when the job is globally terminal. */
  readonly terminal?: {
    readonly status: 'FINISHED' | 'FAILED' | 'CANCELED'
    readonly endTime: number
    /** How many tasks ended in which state, for lists of jobs; the rest of what is known is in the blobs. */
    readonly tasks?: Readonly<Partial<Record<ExecutionState, number>>>
  }
  readonly submittedTime: number
  readonly artifact?: string
  readonly jobGraph: string
  readonly deployment?: string
  /** Completed checkpoints, oldest first. */
  readonly checkpoints: readonly CheckpointName[]
  /** Where it begins, until it has a checkpoint of its own: a checkpoint of another job, which nobody deletes so long. */
  readonly startsFrom?: CheckpointName & {
    readonly jobId: string
    /** State that no operator of this job takes is left behind. */
    readonly allowNonRestoredState?: true
  }
  /** Checkpoint ids up to this one may have been used; the next reservation begins above. */
  readonly checkpointIdReserved: number
  /** The highest attempt number ever deployed. */
  readonly attemptNumber: number
  readonly restarts: { readonly count: number; readonly state?: unknown }
  /** Leaders in a row that began to recover the job and ended before it was known that they survive it. */
  readonly unfinishedRecoveries?: number
  /** Blobs with the result (accumulators, failure), the exception history, and the checkpoint statistics. */
  readonly result?: string
  readonly history?: string
}

/**
 * What is left of a job that has ended when its own fact goes: checkpoints that others may start from. It is written before the job's
 * fact is removed; as long as both are there, the job's says what is retained.
 */
export interface RetainedFact {
  readonly jobId: string
  readonly jobName: string
  readonly status: 'FAILED' | 'CANCELED' | 'FINISHED'
  readonly endTime: number
  /** Names the operators whose state it is. */
  readonly jobGraph: string
  /** Oldest first; never none. */
  readonly checkpoints: readonly CheckpointName[]
}

/** Retained checkpoints that somebody asked to dispose of, and whose outcome may still be asked for. */
export interface DisposalFact {
  readonly requestId: string
  /** When, in ms since the epoch. */
  readonly askedTime: number
  /** What is to go. */
  readonly paths: readonly string[]
  /** Set once. */
  readonly outcome?: { readonly failure?: SerializedError }
}

/** A TaskManager process that an operator asked to go, and of which it may still be asked what became of it. */
export interface DrainFact {
  readonly taskManagerId: string
  readonly processId: string
  /** When, in ms since the epoch. */
  readonly askedTime: number
  /** How it went; gone again where a process that was taken for dead comes back. */
  readonly outcome?: DrainOutcome
}
export interface DrainOutcome {
  /** DRAINED, NOT_DRAINED: it said goodbye, with all slots free or not. LOST: it went otherwise. */
  readonly state: 'DRAINED' | 'NOT_DRAINED' | 'LOST'
  /** In use when it went. */
  readonly slots: number
  /** Why they could not be freed. */
  readonly missing: readonly string[]
  /** When, in ms since the epoch. */
  readonly time: number
}

/** A JobManager disk: the UUID was made with its data directory. */
export interface Replica {
  readonly jobManagerId: string
  readonly diskId: string
  /** host:port of its internal endpoint (RPC and blobs). */
  readonly address: string
}

export interface ClusterFact {
  readonly clusterId: string
  readonly uuid: string
  /** Raised only by the operator's override. */
  readonly incarnation: number
}

export interface LeaderInfo {
  readonly jobManagerId: string
  /** host:port of the internal endpoint. */
  readonly rpcAddress: string
  readonly restUrl: string
  readonly epoch: Epoch
}

/**
 * A leader has given this TaskManager up, and runs its tasks elsewhere: it is to stop those that it still has, and is refused until it
 * has. What it registers with afterwards is a later life of the same process.
 */
export interface GivenUpMark {
  readonly taskManagerId: string
  readonly processId: string
  /** Up to this one. */
  readonly life: number
  readonly cause: string
  /** When, in ms since the epoch. */
  readonly time: number
}

/** Fails with FACT_CONFLICT, FACT_NOT_FOUND, FACT_TOO_LARGE (64 KiB), ZOOKEEPER_UNAVAILABLE (unknown outcome was not settled), ZOOKEEPER_SESSION_EXPIRED. */
export interface FactStore {
  /** Makes later reads see all that was acknowledged before (ZooKeeper sync). */
  sync(): Promise<void>
  listJobs(): Promise<readonly string[]>
  readJob(jobId: string): Promise<Versioned<JobFact> | undefined>
  /** Idempotent: when the node exists with the same content it is taken for ours. */
  createJob(fact: JobFact): Promise<number>
  /** Returns the new version. An unknown outcome is settled inside by sync, read and compare. */
  setJob(fact: JobFact, version: number): Promise<number>
  deleteJob(jobId: string, version: number): Promise<void>
  listRetained(): Promise<readonly string[]>
  readRetained(jobId: string): Promise<RetainedFact | undefined>
  /** Over the one that is there. */
  setRetained(fact: RetainedFact): Promise<void>
  deleteRetained(jobId: string): Promise<void>
  listDisposals(): Promise<readonly DisposalFact[]>
  /** Over the one that is there. */
  setDisposal(fact: DisposalFact): Promise<void>
  deleteDisposal(requestId: string): Promise<void>
  listDrains(): Promise<readonly DrainFact[]>
  /** Over the one that is there. */
  setDrain(fact: DrainFact): Promise<void>
  deleteDrain(processId: string): Promise<void>
  readIsr(): Promise<Versioned<readonly Replica[]> | undefined>
  /** `version` undefined creates the node. FACT_CONFLICT when someone else changed or created it. */
  setIsr(replicas: readonly Replica[], version: number | undefined): Promise<number>
  readCluster(): Promise<Versioned<ClusterFact> | undefined>
  /** The cluster as it is: ours, or the one that someone created before. */
  createCluster(fact: ClusterFact): Promise<Versioned<ClusterFact>>
  /** For the operator's override alone: it raises the incarnation. */
  setCluster(fact: ClusterFact, version: number): Promise<number>
  /** Of all TaskManagers that have one, in any order. */
  listMarks(): Promise<readonly GivenUpMark[]>
  /** Over the one that is there. */
  setMark(mark: GivenUpMark): Promise<void>
  deleteMark(taskManagerId: string): Promise<void>
}
