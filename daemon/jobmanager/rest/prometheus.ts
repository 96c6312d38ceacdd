/** /metrics in Prometheus' text format: the cluster, its jobs and, by task, records and time. */
import type { DispatcherGateway, JobDetails } from '#protocol/gateways/dispatcher-gateway.js'

interface Family {
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly samples: string[]
}

type Add = (name: string, type: Family['type'], help: string, labels: Readonly<Record<string, string>>, value: number) => void

export async function prometheusText(dispatcher: DispatcherGateway): Promise<string> {
  const families = new Map<string, Family>()
  const add: Add = (name, type, help, labels, value) => {
    let family = families.get(name)
    if (!family) {
      family = { type, help, samples: [] }
      families.set(name, family)
    }
    family.samples.push(
      `${name}${labelText(labels)} ${Number.isNaN(value) ? 'NaN' : value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : value}`,
    )
  }
  const overview = await dispatcher.clusterOverview({})
  add('flott_taskmanagers', 'gauge', 'Registered TaskManagers.', {}, overview.taskManagers)
  add('flott_slots_total', 'gauge', 'Slots of all TaskManagers.', {}, overview.slotsTotal)
  add('flott_slots_available', 'gauge', 'Free slots.', {}, overview.slotsAvailable)
  add('flott_jobs_running', 'gauge', 'Jobs that run or restart.', {}, overview.jobsRunning)
  for (const job of await dispatcher.listJobs({})) {
    if (job.endTime >= 0) {
      // There may be a thousand of them, on disk, and they do not change.
      addRunning({ job_id: job.jobId, job_name: job.jobName }, false, add)
      continue
    }
    const details = await dispatcher.describeJob({ jobId: job.jobId }).catch(() => undefined) // Gone since the listing.
    if (details) addJob(details, add)
  }
  return [...families]
    .map(([name, family]) => `# HELP ${name} ${family.help}\n# TYPE ${name} ${family.type}\n${family.samples.join('\n')}\n`)
    .join('')
}

function addRunning(labels: Readonly<Record<string, string>>, running: boolean, add: Add): void {
  add('flott_job_running', 'gauge', '1 while the job is RUNNING, 0 also when it has ended.', labels, running ? 1 : 0)
}
function addJob(job: JobDetails, add: Add): void {
  const labels = { job_id: job.jobId, job_name: job.jobName }
  addRunning(labels, job.status === 'RUNNING', add)
  add('flott_job_restarts_total', 'counter', 'Restarts of the job.', labels, job.restarts)
  add('flott_job_checkpoints_completed_total', 'counter', 'Completed checkpoints.', labels, job.checkpoints.counts.completed)
  add('flott_job_checkpoints_failed_total', 'counter', 'Failed checkpoints.', labels, job.checkpoints.counts.failed)
  const newest = job.checkpoints.history.find((entry) => entry.status === 'COMPLETED')
  if (newest) {
    add('flott_job_last_checkpoint_duration_ms', 'gauge', 'Duration of the newest completed checkpoint.', labels, newest.endToEndDurationMs)
    add('flott_job_last_checkpoint_state_bytes', 'gauge', 'State that it refers to.', labels, newest.stateSize)
  }
  for (const vertex of job.vertices) {
    const name = job.jobGraph.vertices.find(({ id }) => id === vertex.vertexId)?.name ?? vertex.vertexId
    for (const { subtaskIndex, metrics } of vertex.subtasks) {
      if (metrics === undefined) continue
      const task = { ...labels, task_name: name, subtask: String(subtaskIndex) }
      add('flott_task_records_in_total', 'counter', 'Records received.', task, metrics.numRecordsIn)
      add('flott_task_records_out_total', 'counter', 'Records emitted.', task, metrics.numRecordsOut)
      add('flott_task_bytes_in_total', 'counter', 'Bytes received.', task, metrics.numBytesIn)
      add('flott_task_bytes_out_total', 'counter', 'Bytes sent.', task, metrics.numBytesOut)
      add('flott_task_busy_ms_total', 'counter', 'Time spent processing.', task, metrics.busyTimeMs)
      add('flott_task_backpressured_ms_total', 'counter', 'Time held back by a slow consumer.', task, metrics.backPressuredTimeMs)
      add('flott_task_idle_ms_total', 'counter', 'Time without input.', task, metrics.idleTimeMs)
      for (const [metric, value] of Object.entries(metrics.user))
        add('flott_task_user', 'gauge', 'Metrics of user functions.', { ...task, metric }, value)
    }
  }
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return ''
  return `{${entries.map(([key, value]) => `${key}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`).join(',')}}`
}
