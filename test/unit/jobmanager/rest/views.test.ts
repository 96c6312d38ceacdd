/** What tools written for Flink read: its fields are there, in each answer about a job that runs, has failed once and has ended. */
import test from 'ava'
import { FlottError } from '#core/errors.js'
import { checkpointItem, checkpointsView } from '#jobmanager/rest/checkpoint-views.js'
import { clusterOverviewView, taskManagerDetailsView } from '#jobmanager/rest/cluster-views.js'
import {
  exceptionsView,
  executionResultView,
  jobConfigView,
  jobDetailsView,
  jobOverviewItem,
  planView,
  vertexDetailsView,
} from '#jobmanager/rest/job-views.js'
import { prometheusText } from '#jobmanager/rest/prometheus.js'
import type { CheckpointStatistics, DispatcherGateway } from '#protocol/gateways/dispatcher-gateway.js'
import { ControlPlane } from '../../../support/control-plane.js'
import { edge, graph, vertex } from '../../../support/job-graphs.js'

const OVERVIEW = 'jid name state start-time end-time duration last-modification pending-operators schedulerType'
const IO = 'read-bytes read-records write-bytes write-records read-bytes-complete read-records-complete write-bytes-complete'
const CHECKPOINT = `className id status is_savepoint checkpoint_type trigger_timestamp latest_ack_timestamp end_to_end_duration
  checkpointed_size state_size alignment_buffered processed_data persisted_data num_subtasks num_acknowledged_subtasks savepointFormat tasks`
const SUBTASKS = `id status latest_ack_timestamp end_to_end_duration checkpointed_size state_size alignment_buffered processed_data
  persisted_data num_subtasks num_acknowledged_subtasks`

/** Dots go down; names that are not there. */
function missing(value: unknown, names: string): string[] {
  const has = (from: unknown, path: readonly string[]): boolean => {
    const [first, ...rest] = path
    if (first === undefined) return from !== undefined
    return typeof from === 'object' && from !== null && Object.hasOwn(from, first) && has((from as Record<string, unknown>)[first], rest)
  }
  return names.split(/\s+/).filter((name) => !has(value, name.split('.')))
}

const job = graph([vertex('source', 2, { kind: 'source' }), vertex('sink', 2)], [edge('source', 'sink', 'forward')], {
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.attempts': '3',
})
async function runningOnce() {
  const plane = new ControlPlane()
  await plane.lead()
  const tm = await plane.taskManager('tm', 3)
  await plane.dispatcher.submitJob({ jobGraph: job })
  await plane.until(job.jobId, 'RUNNING')
  await plane.clock.advance(100)
  return { plane, tm, describe: () => plane.dispatcher.describeJob({ jobId: job.jobId }) }
}

test('a job', async (t) => {
  const { plane, tm, describe } = await runningOnce()
  void tm.report(tm.running()[0]!, 'FAILED', new FlottError('USER_FUNCTION_FAILED', 'boom'))
  await plane.clock.advance(10_000)
  const [details, now] = [await describe(), plane.clock.now()]
  t.deepEqual(missing(jobOverviewItem(details, now), `${OVERVIEW} jobType tasks.total tasks.running tasks.canceling`), [])
  const view = jobDetailsView(details, now)
  t.deepEqual(missing(view, `${OVERVIEW} job-type isStoppable now maxParallelism timestamps.RUNNING status-counts.RUNNING`), [])
  t.deepEqual(missing(view, 'plan.jid plan.name plan.type plan.nodes.1.inputs.0.ship_strategy plan.nodes.0.description'), [])
  t.deepEqual(missing(view.vertices[0], 'id name slotSharingGroupId parallelism maxParallelism status start-time duration tasks'), [])
  t.deepEqual(missing(view.vertices[0]!.metrics, IO), [])
  t.deepEqual(missing(planView(job).nodes[1]!.inputs![0], 'num id ship_strategy exchange'), [])
  t.deepEqual(missing(jobConfigView(details), 'jid name execution-config.restart-strategy execution-config.job-parallelism'), [])
  const [exception] = exceptionsView(details, 16).exceptionHistory.entries
  t.deepEqual(
    missing(exception, 'exceptionName stacktrace timestamp taskName endpoint taskManagerId failureLabels concurrentExceptions'),
    [],
  )
  t.deepEqual(executionResultView(details), { status: { id: 'IN_PROGRESS' } })
})

test('a vertex: how long its subtasks have been in each state', async (t) => {
  const { plane, tm, describe } = await runningOnce()
  await plane.clock.advance(5_000)
  void tm.report(tm.running()[0]!, 'FINISHED')
  await plane.clock.advance(700)
  const [details, now] = [await describe(), plane.clock.now()]
  const { subtasks, aggregated } = vertexDetailsView(details, job.vertices[0]!, now)
  const [ended, runs] = subtasks
  t.deepEqual(missing(runs, 'subtask status attempt endpoint taskmanager-id start-time end-time duration status-duration'), [])
  t.deepEqual(missing(runs!.metrics, IO), [])
  const { RUNNING = 0, CREATED = 0, CANCELING } = runs!['status-duration']
  t.true(RUNNING >= 5_700 && RUNNING <= runs!.duration && CREATED >= 0)
  t.is(CANCELING, -1)
  t.true(ended!['status-duration'].RUNNING! >= 5_000 && ended!['status-duration'].RUNNING! <= ended!.duration)
  t.true(ended!['status-duration'].RUNNING! < RUNNING)
  t.deepEqual(runs!['other-concurrent-attempts'], [])
  const durations = aggregated['status-duration']['RUNNING']!
  t.is(durations.sum, ended!['status-duration'].RUNNING! + RUNNING)
  t.deepEqual([durations.min, durations.max], [ended!['status-duration'].RUNNING!, RUNNING])
  t.deepEqual(missing(durations, 'avg median p25 p75 p95'), [])
  t.deepEqual(missing(aggregated, 'status-duration.CREATED status-duration.SCHEDULED status-duration.INITIALIZING'), [])
  t.deepEqual(missing(aggregated.metrics, 'read-bytes write-bytes read-records write-records accumulated-busy-time'), [])
})

test('checkpoints', (t) => {
  const statistics: CheckpointStatistics = {
    counts: { restored: 0, total: 1, inProgress: 0, completed: 1, failed: 0 },
    history: [COMPLETED],
  }
  const view = checkpointsView({ checkpoints: statistics, fact: retaining(7) })
  t.deepEqual(missing(view, 'counts.restored counts.total counts.in_progress counts.completed counts.failed history'), [])
  t.deepEqual(missing(view, 'latest.completed latest.savepoint latest.failed latest.restored'), [])
  for (const of of ['checkpointed_size', 'state_size', 'end_to_end_duration', 'alignment_buffered', 'processed_data', 'persisted_data'])
    t.deepEqual(missing(view.summary[of], 'min max avg p50 p90 p95 p99 p999'), [], of)
  const item = checkpointItem(COMPLETED, { fact: retaining(7) })
  t.deepEqual(missing(item, `${CHECKPOINT} external_path discarded`), [])
  t.deepEqual(missing(item.tasks['v'], SUBTASKS), [])
  t.like(item.tasks['v'], { latest_ack_timestamp: 1_030, end_to_end_duration: 30, processed_data: 5 })
  t.false(item.discarded)
  t.true(checkpointItem(COMPLETED, { fact: retaining(8) }).discarded)
  t.deepEqual([item.processed_data, view.summary['processed_data']!.max], [5, 5])
})

test('what a checkpoint known from its manifest processed during alignment is not known, and not counted', (t) => {
  const entry = {
    ...COMPLETED,
    tasks: { v: { acknowledged: 1, total: 1, subtasks: {} }, w: { acknowledged: 0, total: 1, subtasks: {} } },
  }
  const counts = { restored: 0, total: 1, inProgress: 0, completed: 1, failed: 0 }
  const { history, summary } = checkpointsView({ checkpoints: { counts, history: [entry] }, fact: retaining(7) })
  t.deepEqual([history[0]!.processed_data, summary['processed_data']!.min], [-1, 0])
})
const retaining = (id: number) => ({ checkpoints: [{ id, manifest: '' }] })
const METRICS = {
  checkpointStartDelayMs: 0,
  alignmentDurationMs: 0,
  syncDurationMs: 0,
  asyncDurationMs: 0,
  checkpointedBytes: 10,
  stateBytes: 20,
  processedBytes: 5,
  unaligned: false,
}
const COMPLETED = {
  id: 7,
  status: 'COMPLETED' as const,
  isSavepoint: false,
  triggerTimestamp: 1_000,
  latestAckTimestamp: 1_030,
  endToEndDurationMs: 40,
  checkpointedSize: 10,
  stateSize: 20,
  subtasksTotal: 1,
  subtasksAcknowledged: 1,
  externalPath: 'manifest/j/7',
  tasks: { v: { acknowledged: 1, total: 1, subtasks: { 0: { ...METRICS, ackTimestamp: 1_030 } } } },
}

test('the cluster, with a TaskManager that is drained', async (t) => {
  const { plane, tm } = await runningOnce()
  void tm.wantsToGo()
  await plane.clock.advance(100)
  const leader = { jobManagerId: 'jm', rpcAddress: 'h:1', restUrl: 'http://h:2', epoch: { incarnation: 0, czxid: '0' } }
  const overview = clusterOverviewView(await plane.dispatcher.clusterOverview({}), leader, '1')
  t.deepEqual(missing(overview, 'jobs-running jobs-finished jobs-cancelled jobs-failed flink-version flink-commit'), [])
  t.like(overview, { taskmanagers: 1, 'taskmanagers-blocked': 1, 'slots-total': 3, 'slots-available': 0, 'slots-free-and-blocked': 1 })
  const details = (await plane.dispatcher.listTaskManagers({}))[0]
  t.is(taskManagerDetailsView({ ...details!, timeSinceLastHeartbeat: 1_700_000_000_000.25 }).timeSinceLastHeartbeat, 1_700_000_000_000)
  t.deepEqual(
    missing(
      taskManagerDetailsView(details!),
      'id path dataPort timeSinceLastHeartbeat slotsNumber freeSlots hardware.cpuCores hardware.physicalMemory hardware.freeMemory blocked allocatedSlots',
    ),
    [],
  )
})

test('a TaskManager: what its slots have, and its metrics once it has told them', async (t) => {
  const { plane } = await runningOnce()
  await plane.clock.advance(2_000)
  const [found] = await plane.dispatcher.listTaskManagers({})
  const mebibyte = 2 ** 20
  const [allocated, other] = found!.slots.filter(({ jobId }) => jobId !== undefined)
  const slots = found!.slots.map((slot) => (slot === allocated ? { ...slot, tasks: 3 } : slot))
  t.truthy(other)
  const { memory: _, ...silent } = { ...found!, slots, slotBytes: 100 * mebibyte, managedBytes: 300 * mebibyte }
  t.is(taskManagerDetailsView(silent).metrics, null)
  const network = { segmentsTotal: 16, segmentsUsed: 3, segmentBytes: 1_000 }
  const collections = { scavenge: { count: 4, timeMs: 2.6 } }
  const memory = { heapUsedBytes: 1, heapCommittedBytes: 2, heapMaxBytes: 3, nonHeapBytes: 4, directBytes: 5, collections }
  const view = taskManagerDetailsView({ ...silent, memory, network })
  t.like(view, { jmxPort: -1, assignedTasks: 3, slotsNumber: 3, freeSlots: 1 })
  t.deepEqual([view.totalResource.managedMemory, view.totalResource.cpuCores], [300, 3])
  t.deepEqual([view.freeResource.managedMemory, view.freeResource.cpuCores], [100, 1])
  t.deepEqual(missing(view.totalResource, 'taskHeapMemory taskOffHeapMemory networkMemory extendedResources'), [])
  t.deepEqual(
    view.allocatedSlots.map(({ assignedTasks, resource }) => [assignedTasks, resource.managedMemory]),
    [
      [3, 100],
      [0, 100],
    ],
  )
  t.like(view.metrics, { heapUsed: 1, heapCommitted: 2, heapMax: 3, nonHeapUsed: 4, directUsed: 5, directMax: -1, mappedUsed: 0 })
  t.like(view.metrics, { nettyShuffleMemorySegmentsAvailable: 13, nettyShuffleMemoryUsed: 3_000, nettyShuffleMemoryTotal: 16_000 })
  t.deepEqual(view.metrics?.garbageCollectors, [{ name: 'scavenge', count: 4, time: 3 }])
  t.deepEqual(missing(view.memoryConfiguration, 'managedMemory taskHeap totalFlinkMemory totalProcessMemory'), [])
})

test('metrics: of jobs that have ended only that they do not run; nothing is read for them', async (t) => {
  const { plane, tm, describe } = await runningOnce()
  const before = await prometheusText(plane.dispatcher)
  t.regex(before, /^flott_job_running\{job_id="[^"]+",job_name="[^"]+"\} 1$/m)
  t.regex(before, /^flott_job_restarts_total/m)
  for (const attempt of tm.running()) void tm.report(attempt, 'FINISHED')
  await plane.until(job.jobId, 'FINISHED')
  await plane.clock.advance(100)
  t.is((await describe()).status, 'FINISHED')
  const listing: DispatcherGateway = {
    ...delegated(plane.dispatcher),
    describeJob: async () => {
      throw new Error('nobody needs this')
    },
  }
  const after = await prometheusText(listing)
  t.regex(after, /^flott_job_running\{[^}]+\} 0$/m)
  t.notRegex(after, /flott_job_restarts_total|flott_task_/)
})
function delegated(dispatcher: DispatcherGateway): DispatcherGateway {
  return {
    ...dispatcher,
    listJobs: (request) => dispatcher.listJobs(request),
    clusterOverview: (request) => dispatcher.clusterOverview(request),
  }
}
