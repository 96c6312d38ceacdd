/** TaskManagers and the cluster in the REST API's words. Pure. */
import { formatEpoch } from '#core/epoch.js'
import type { ClusterOverview, DrainStatus, TaskManagerDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { DrainResponse } from '#protocol/rest/drain.js'
import type { ClusterOverviewResponse, TaskManagerDetailsResponse, TaskManagerItem } from '#protocol/rest/responses.js'

export function clusterOverviewView(overview: ClusterOverview, leader: LeaderInfo, version: string): ClusterOverviewResponse {
  return {
    taskmanagers: overview.taskManagers,
    'taskmanagers-blocked': overview.taskManagersBlocked,
    'slots-free-and-blocked': overview.slotsFreeAndBlocked,
    'slots-total': overview.slotsTotal,
    'slots-available': overview.slotsAvailable,
    'jobs-running': overview.jobsRunning,
    'jobs-finished': overview.jobsFinished,
    'jobs-cancelled': overview.jobsCancelled,
    'jobs-failed': overview.jobsFailed,
    'flott-version': version,
    'flink-version': version,
    'flink-commit': 'flott',
    leader: { 'jobmanager-id': leader.jobManagerId, epoch: formatEpoch(leader.epoch), address: leader.restUrl },
  }
}

export function taskManagerItem(taskManager: TaskManagerDetails): TaskManagerItem {
  const { hardware, process } = taskManager
  return {
    id: taskManager.taskManagerId,
    path: `${taskManager.host}:${taskManager.dataPort}`,
    dataPort: taskManager.dataPort,
    timeSinceLastHeartbeat: Math.round(taskManager.timeSinceLastHeartbeat),
    slotsNumber: taskManager.slots.length,
    freeSlots: taskManager.slots.filter((slot) => slot.state === 'FREE').length,
    hardware: {
      cpuCores: hardware.cpuCores,
      physicalMemory: hardware.physicalMemoryBytes,
      freeMemory: hardware.freeMemoryBytes,
      managedMemory: taskManager.managedBytes,
      cpuModel: hardware.cpuModel,
      os: hardware.os,
    },
    memoryConfiguration: { managedMemory: taskManager.managedBytes, slotMemory: taskManager.slotBytes },
    process: process === undefined ? null : { rss: process.rssBytes, heapUsed: process.heapUsedBytes, cpuSeconds: process.cpuSeconds },
    blocked: taskManager.blocked,
  }
}

export function drainView({ taskManagerId, processId, ...progress }: DrainStatus): DrainResponse {
  return { 'taskmanager-id': taskManagerId, 'process-id': processId, ...progress }
}

export function taskManagerDetailsView(taskManager: TaskManagerDetails): TaskManagerDetailsResponse {
  return {
    ...taskManagerItem(taskManager),
    allocatedSlots: taskManager.allocatedSlots,
    slots: taskManager.slots.map((slot) => ({ index: slot.slotIndex, state: slot.state, jobId: slot.jobId ?? null })),
  }
}
