/** TaskManagers and the cluster in the REST API's words. Pure. */
import { formatEpoch } from '#core/epoch.js'
import type { ClusterOverview, DrainStatus, TaskManagerDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { DrainResponse } from '#protocol/rest/drain.js'
import type {
  ClusterOverviewResponse,
  ResourceProfile,
  TaskManagerDetailsResponse,
  TaskManagerItem,
  TaskManagerMetrics,
} from '#protocol/rest/responses.js'

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

const NO_OTHER_BUDGETS = {
  frameworkHeap: null,
  taskHeap: null,
  frameworkOffHeap: null,
  taskOffHeap: null,
  networkMemory: null,
  jvmMetaspace: null,
  jvmOverhead: null,
  totalFlinkMemory: null,
  totalProcessMemory: null,
} as const

export function taskManagerItem(taskManager: TaskManagerDetails): TaskManagerItem {
  const { hardware, process, slots, slotBytes } = taskManager
  const free = slots.filter((slot) => slot.state === 'FREE').length
  return {
    id: taskManager.taskManagerId,
    path: `${taskManager.host}:${taskManager.dataPort}`,
    dataPort: taskManager.dataPort,
    jmxPort: -1,
    timeSinceLastHeartbeat: Math.round(taskManager.timeSinceLastHeartbeat),
    slotsNumber: slots.length,
    freeSlots: free,
    assignedTasks: slots.reduce((sum, { tasks = 0 }) => sum + tasks, 0),
    totalResource: resourceOf(slots.length, slotBytes),
    freeResource: resourceOf(free, slotBytes),
    hardware: {
      cpuCores: hardware.cpuCores,
      physicalMemory: hardware.physicalMemoryBytes,
      freeMemory: hardware.freeMemoryBytes,
      managedMemory: taskManager.managedBytes,
      cpuModel: hardware.cpuModel,
      os: hardware.os,
    },
    memoryConfiguration: { managedMemory: taskManager.managedBytes, slotMemory: slotBytes, ...NO_OTHER_BUDGETS },
    process: process === undefined ? null : { rss: process.rssBytes, heapUsed: process.heapUsedBytes, cpuSeconds: process.cpuSeconds },
    blocked: taskManager.blocked,
  }
}

function resourceOf(slots: number, slotBytes: number): ResourceProfile {
  const managedMemory = Math.floor((slots * slotBytes) / 2 ** 20)
  return { cpuCores: slots, managedMemory, taskHeapMemory: 0, taskOffHeapMemory: 0, networkMemory: 0, extendedResources: {} }
}

function metricsOf({ memory, network }: TaskManagerDetails): TaskManagerMetrics | null {
  if (!memory || !network) return null
  const { segmentsTotal, segmentsUsed, segmentBytes } = network
  return {
    heapUsed: memory.heapUsedBytes,
    heapCommitted: memory.heapCommittedBytes,
    heapMax: memory.heapMaxBytes,
    nonHeapUsed: memory.nonHeapBytes,
    nonHeapCommitted: memory.nonHeapBytes,
    nonHeapMax: -1,
    directUsed: memory.directBytes,
    directCount: -1,
    directMax: -1,
    mappedUsed: 0,
    mappedCount: 0,
    mappedMax: 0,
    nettyShuffleMemorySegmentsTotal: segmentsTotal,
    nettyShuffleMemorySegmentsUsed: segmentsUsed,
    nettyShuffleMemorySegmentsAvailable: segmentsTotal - segmentsUsed,
    nettyShuffleMemoryTotal: segmentsTotal * segmentBytes,
    nettyShuffleMemoryUsed: segmentsUsed * segmentBytes,
    nettyShuffleMemoryAvailable: (segmentsTotal - segmentsUsed) * segmentBytes,
    garbageCollectors: Object.entries(memory.collections).map(([name, { count, timeMs }]) => ({ name, count, time: Math.round(timeMs) })),
  }
}

export function drainView({ taskManagerId, processId, ...progress }: DrainStatus): DrainResponse {
  return { 'taskmanager-id': taskManagerId, 'process-id': processId, ...progress }
}

export function taskManagerDetailsView(taskManager: TaskManagerDetails): TaskManagerDetailsResponse {
  return {
    ...taskManagerItem(taskManager),
    allocatedSlots: taskManager.slots.flatMap(({ jobId, tasks = 0 }) =>
      jobId === undefined ? [] : [{ jobId, resource: resourceOf(1, taskManager.slotBytes), assignedTasks: tasks }],
    ),
    metrics: metricsOf(taskManager),
    slots: taskManager.slots.map((slot) => ({ index: slot.slotIndex, state: slot.state, jobId: slot.jobId ?? null })),
  }
}
