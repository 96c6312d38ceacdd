import type { JobOverviewItem } from '#protocol/rest/responses.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import type { Terminal } from './terminal.js'

export interface ListOptions {
  readonly running: boolean
  readonly scheduled: boolean
  readonly all: boolean
  readonly json: boolean
}

const SCHEDULED = ['INITIALIZING', 'CREATED']
const ENDED = ['FINISHED', 'FAILED', 'CANCELED']

export async function list(client: RestClusterClient, options: ListOptions, terminal: Terminal): Promise<void> {
  const { jobs } = await client.listJobs()
  const neither = !options.running && !options.scheduled && !options.all
  const groups = [
    { title: 'Running/Restarting Jobs', none: 'No running jobs.', show: options.running || options.all || neither, has: isRunning },
    { title: 'Scheduled Jobs', none: 'No scheduled jobs.', show: options.scheduled || options.all || neither, has: isScheduled },
    { title: 'Terminated Jobs', none: 'No terminated jobs.', show: options.all, has: hasEnded },
  ].filter((group) => group.show)
  if (options.json) {
    terminal.out(JSON.stringify(jobs.filter((job) => groups.some((group) => group.has(job)))))
    return
  }
  for (const group of groups) {
    const found = jobs.filter(group.has).sort((a, b) => a.state.localeCompare(b.state) || a['start-time'] - b['start-time'])
    if (found.length === 0) {
      terminal.out(group.none)
      continue
    }
    terminal.out(`------------------ ${group.title} ------------------`)
    for (const job of found) terminal.out(jobLine(job))
  }
}

/** 'dd.MM.yyyy HH:mm:ss : <job id> : <name> (<STATE>)', as scripts written for Flink expect it. */
export function jobLine(job: JobOverviewItem): string {
  const why = job['waiting-for'] === undefined ? '' : ` waits: ${job['waiting-for']}`
  return `${dateOf(job['start-time'])} : ${job.jid} : ${job.name} (${job.state})${why}`
}

export function dateOf(timestamp: number): string {
  const at = new Date(timestamp)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(at.getDate())}.${two(at.getMonth() + 1)}.${at.getFullYear()} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

function isScheduled(job: JobOverviewItem): boolean {
  return SCHEDULED.includes(job.state)
}
function hasEnded(job: JobOverviewItem): boolean {
  return ENDED.includes(job.state)
}
function isRunning(job: JobOverviewItem): boolean {
  return !isScheduled(job) && !hasEnded(job)
}
