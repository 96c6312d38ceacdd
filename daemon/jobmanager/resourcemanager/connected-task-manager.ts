/** A TaskManager as its leader has it: what it registered with, and what it has said since then. */
import type { TaskManagerDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { SlotReport, TaskManagerRegistration } from '#protocol/gateways/resource-manager-gateway.js'
import type { TaskExecutorGateway, TaskExecutorHeartbeat } from '#protocol/gateways/task-executor-gateway.js'
import type { RpcConnection } from '#rpc/rpc.js'
import type { TaskManagerInfo } from './slot-provider.js'

export interface ConnectedTaskManager {
  readonly registration: TaskManagerRegistration
  readonly connection: RpcConnection
  readonly gateway: TaskExecutorGateway
  slots: readonly SlotReport[]
  last?: TaskExecutorHeartbeat
  heartbeats: number
  draining: boolean
}

export function detailsOf(
  { registration, slots, last, draining }: ConnectedTaskManager,
  timeSinceLastHeartbeat: number,
): TaskManagerDetails {
  const { taskManagerId, host, dataPort, hardware, memory } = registration
  return {
    taskManagerId,
    host,
    dataPort,
    timeSinceLastHeartbeat,
    slots,
    blocked: draining,
    hardware,
    managedBytes: memory.managedBytes,
    slotBytes: memory.slotBytes,
    ...(last ? { process: last.process, network: last.network } : {}),
    ...(last?.memory ? { memory: last.memory } : {}),
  }
}
export function infoOf({ taskManagerId, processId, host, dataPort }: TaskManagerRegistration): TaskManagerInfo {
  return { taskManagerId, processId, host, dataPort }
}
