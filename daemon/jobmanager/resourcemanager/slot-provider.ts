/** How a JobMaster and the ResourceManager know each other. Both run in this process; each takes a call as a turn of its own mailbox. */
import type { AttemptReport, SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskExecutorGateway, TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'

export interface TaskManagerInfo {
  readonly taskManagerId: string
  /** Made anew with each process. */
  readonly processId: string
  readonly host: string
  readonly dataPort: number
}
export interface GrantedSlot {
  readonly allocationId: string
  readonly taskManagerId: string
  readonly slotIndex: number
  readonly host: string
  readonly dataPort: number
  readonly processId?: string
}

export interface WantedSlot {
  readonly allocationId: string
  readonly group: string
  /** The TaskManager that it should be on, where that has a free one. */
  readonly preferred?: string
}

/** The ResourceManager, as a JobMaster sees it. */
export interface SlotProvider {
  /** From now on the job is told what concerns it. Returns the end of that: requests are withdrawn, slots freed. */
  connectJobMaster(jobId: string, owner: SlotOwner): () => void
  /** All of a batch is granted, or nothing yet. */
  requestSlots(jobId: string, requests: readonly WantedSlot[]): void
  withdrawRequests(jobId: string): void
  releaseSlots(allocationIds: readonly string[], cause: string): void
  /** Why the job waits for slots, where it does. */
  waitingFor(jobId: string): string | undefined
  /** Undefined when it is not connected. */
  taskManager(taskManagerId: string): { readonly info: TaskManagerInfo; readonly gateway: TaskExecutorGateway } | undefined
}

/** A JobMaster, as the ResourceManager sees it. */
export interface SlotOwner {
  slotsGranted(slots: readonly GrantedSlot[]): void
  slotLost(allocationId: string, cause: string): void
  /** What a TaskManager reports of this job when it registers. Returns the allocations that the job goes on with; all others are freed. */
  taskManagerRegistered(info: TaskManagerInfo, attempts: readonly AttemptReport[], slots: readonly SlotReport[]): ReadonlySet<string>
  taskManagerLost(taskManagerId: string, cause: Error): void
  /** The registrations in ZooKeeper, and the TaskManagers that are connected: for a job that still waits for some of its deployment. */
  registrationsListed(names: ReadonlySet<string>, connected: ReadonlySet<string>): void
  /** It is being drained: the job moves its tasks from there, if it can. Said again and again. */
  taskManagerDraining(taskManagerId: string): void
  /** How far that is; undefined where the job has no slot there. */
  drainProgress(taskManagerId: string): { readonly moving: true } | { readonly moving: false; readonly missing: string } | undefined
  /** Slots of that process that had tasks of the job when this leader took it over; undefined where that is not known. */
  slotsFound(processId: string): number | undefined
  heartbeatReceived(heartbeat: JobHeartbeat): void
}

/** A job's part of a heartbeat's answer. */
export interface JobHeartbeat {
  readonly taskManagerId: string
  /** When the heartbeat was asked for (Clock.monotonicMs). */
  readonly sentMs: number
  readonly attempts: readonly AttemptReport[]
  readonly metrics: Readonly<Record<string, TaskMetrics>>
}
