import type { SerializedError } from '#core/errors.js'
import { defineGateway } from '../gateway.js'
import type { ExecutionState } from './job-master-gateway.js'
import type { AccumulatorSnapshot, NumberedEvent, TaskMetrics } from './task-executor-gateway.js'

/** Served by the leading JobManager; called by TaskManagers. */
export interface ResourceManagerGateway {
  /**
   * First call of a connection, and repeatable: announces slots, hardware, and every attempt that runs or ended unacknowledged.
   * TASK_MANAGER_GIVEN_UP: what runs there runs elsewhere by now; it is to end, and the next registration to say a higher `life`.
   */
  registerTaskManager(request: TaskManagerRegistration): Promise<RegistrationAnswer>
  /** After each change of a slot (a worker died, a slot was freed). */
  reportSlots(request: { taskManagerId: string; slots: readonly SlotReport[] }): Promise<{ accepted: true }>
  /**
   * The TaskManager wants to go: from now on nothing is allocated there, and jobs move their tasks from there. Repeated until nothing is
   * left, or until it goes anyway; the wish is also part of its registration, so that it outlives the leader.
   */
  drainTaskManager(request: { taskManagerId: string }): Promise<DrainProgress>
  /** Clean goodbye before the process ends. `drained`: it was to be drained, and all its slots were free, or not. */
  disconnectTaskManager(request: { taskManagerId: string; cause: string; drained?: boolean }): Promise<{ accepted: true }>
}

export interface DrainProgress {
  /** Slots there that jobs still have. */
  readonly slots: number
  /** A job is about to free one of them. */
  readonly moving: boolean
  /** Why the others can not be freed: 'job …: needs 2 slots of group default, 1 is free'. */
  readonly missing: readonly string[]
}

export interface RegistrationAnswer {
  readonly clusterUuid: string
  readonly heartbeatIntervalMs: number
  readonly heartbeatTimeoutMs: number
}

export interface TaskManagerRegistration {
  /** taskmanager.resource-id, or made at start: unique in the cluster. */
  readonly taskManagerId: string
  /** Made anew with each process, so that a restarted TaskManager of the same id is told from the old one. */
  readonly processId: string
  /** How often this process has stopped all that it had because a leader had given it up. */
  readonly life: number
  readonly host: string
  readonly dataPort: number
  readonly slots: readonly SlotReport[]
  readonly hardware: HardwareDescription
  readonly memory: { readonly managedBytes: number; readonly slotBytes: number }
  readonly attempts: readonly AttemptReport[]
  readonly version: string
  /** It wants to go: see drainTaskManager. */
  readonly draining?: true
}

export interface HardwareDescription {
  readonly cpuCores: number
  readonly physicalMemoryBytes: number
  readonly freeMemoryBytes: number
  readonly cpuModel: string
  readonly os: string
}

export interface SlotReport {
  readonly slotIndex: number
  readonly state: 'FREE' | 'ALLOCATED' | 'ACTIVE' | 'RELEASING'
  readonly jobId?: string
  readonly allocationId?: string
  /** Attempts in it that have not ended; absent: none. */
  readonly tasks?: number
}

/** What a TaskManager says of an attempt when it registers: enough for a new leader to adopt it (DESIGN section 5). */
export interface AttemptReport {
  readonly jobId: string
  readonly vertexId: string
  readonly subtaskIndex: number
  readonly attemptNumber: number
  readonly attemptId: string
  readonly state: ExecutionState
  readonly lastCheckpointCompleted: number
  /** Checkpoint ids acknowledged and not yet told complete or aborted. */
  readonly pendingCheckpoints: readonly number[]
  /** Highest split assignment received, by operator id. */
  readonly assignmentsReceived: Readonly<Record<string, number>>
  readonly deploymentNumber: number
  /** By operator id: the events received since `lastCheckpointCompleted`. A new leader's enumerator learns from them what is taken. */
  readonly eventsReceived?: Readonly<Record<string, readonly NumberedEvent[]>>
  /** Operator ids of readers that asked for a split and got no answer yet. */
  readonly splitRequests?: readonly string[]
  /** Its data has ended; it waits for a checkpoint begun after that. */
  readonly awaitingFinalCheckpoint?: boolean
  /** The rest at registration, not in heartbeats. Why it FAILED, final accumulators where it has ended, the newest metrics. */
  readonly error?: SerializedError
  readonly accumulators?: Readonly<Record<string, AccumulatorSnapshot>>
  readonly metrics?: TaskMetrics
  /** When it entered each state. */
  readonly timestamps?: Readonly<Partial<Record<ExecutionState, number>>>
}

export const resourceManagerGateway = defineGateway<ResourceManagerGateway>('ResourceManager', {
  registerTaskManager: { timeoutMs: 10_000, idempotent: true },
  reportSlots: { timeoutMs: 10_000, idempotent: true },
  drainTaskManager: { timeoutMs: 2_000, idempotent: true },
  disconnectTaskManager: { timeoutMs: 5_000, idempotent: true },
})
