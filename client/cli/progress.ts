/** Live progress of one job: a block that is redrawn on a terminal, plain lines elsewhere. `progressLines` is pure. */
import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { CheckpointsResponse, JobDetailsResponse, JobVertexItem } from '#protocol/rest/responses.js'
import { isUnreachable, type RestClusterClient } from '../submit/rest-cluster-client.js'
import { type RecordCount, RecordRates } from './record-rates.js'
import type { Terminal } from './terminal.js'

const TTY_PERIOD_MS = 500
const PLAIN_PERIOD_MS = 10_000

/** What one look at the job gave. */
export interface Look {
  readonly job: JobDetailsResponse
  readonly checkpoints: CheckpointsResponse
}

/** Shows progress until `signal` aborts. Never fails: the result of the job is asked for elsewhere. */
export async function showProgress(
  client: RestClusterClient,
  jobId: string,
  terminal: Terminal,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const rates = new RecordRates()
  let lastStatus: string | undefined
  let lastPlainMs = -Infinity
  try {
    while (!signal.aborted) {
      const look = await lookAt(client, jobId, signal)
      if (look) {
        const { state } = look.job
        const isNews = state !== lastStatus && state !== 'RECONCILING' // Of a change of leader the transport tells.
        const nowMs = clock.monotonicMs()
        rates.observe(look.job, nowMs)
        if (terminal.isTty) terminal.redraw(progressLines(look, rates))
        else if (isNews || nowMs - lastPlainMs >= PLAIN_PERIOD_MS) {
          terminal.note(progressLine(look, rates))
          lastPlainMs = nowMs
        }
        if (state !== 'RECONCILING') lastStatus = state
      }
      await sleep(clock, TTY_PERIOD_MS, signal)
    }
  } catch (error) {
    if (!signal.aborted) terminal.note(`progress is not shown any more: ${(error as Error).message}`)
  } finally {
    if (terminal.isTty) terminal.redraw([])
  }
}

async function lookAt(client: RestClusterClient, jobId: string, signal: AbortSignal): Promise<Look | undefined> {
  try {
    const [job, checkpoints] = await Promise.all([client.describeJob(jobId, signal), client.checkpoints(jobId, signal)])
    return { job, checkpoints }
  } catch (error) {
    if (isUnreachable(error) || isFlottError(error, 'JOB_NOT_FOUND')) return undefined // The change of leader is reported once, by the transport.
    throw error
  }
}

export function progressLines({ job, checkpoints }: Look, rates: RecordRates): string[] {
  const name = Math.min(48, Math.max(6, ...job.vertices.map((vertex) => vertex.name.length)))
  const head = `${'vertex'.padEnd(name)}  ${'state'.padEnd(12)} ${'tasks'.padStart(9)} ${'records in'.padStart(12)} ${'in/s'.padStart(9)} ${'records out'.padStart(12)} ${'out/s'.padStart(9)}`
  const rows = job.vertices.map((vertex) => {
    const rate = (count: RecordCount) => {
      const perSecond = rates.of(vertex.id, count)
      return perSecond === undefined ? '-' : short(perSecond)
    }
    const title = vertex.name.length > name ? `${vertex.name.slice(0, name - 1)}…` : vertex.name.padEnd(name)
    return `${title}  ${vertex.status.padEnd(12)} ${tasks(vertex).padStart(9)} ${short(vertex.metrics['read-records']).padStart(12)} ${rate('read-records').padStart(9)} ${short(vertex.metrics['write-records']).padStart(12)} ${rate('write-records').padStart(9)}`
  })
  return [`${job.name}  ${job.state}  ${seconds(job.duration)}${waiting(job)}`, head, ...rows, checkpointText(checkpoints, job.restarts)]
}

export function progressLine({ job, checkpoints }: Look, rates: RecordRates): string {
  const source = job.vertices[0]
  const perSecond = source && rates.of(source.id, 'write-records')
  const rate = perSecond === undefined ? '' : `, ${short(perSecond)} records/s from the source`
  return `${job.name}: ${job.state}, ${seconds(job.duration)}${waiting(job)}${rate}; ${checkpointText(checkpoints, job.restarts)}`
}

function waiting(job: JobDetailsResponse): string {
  return job['waiting-for'] === undefined ? '' : `, waits: ${job['waiting-for']}`
}
function tasks(vertex: JobVertexItem): string {
  const done = vertex.tasks.FINISHED > 0 ? `${vertex.tasks.FINISHED} done ` : ''
  return `${done}${vertex.tasks.RUNNING}/${vertex.parallelism}`
}
function checkpointText({ counts, latest }: CheckpointsResponse, restarts: number): string {
  const newest = latest.completed ? `, newest #${latest.completed.id} in ${latest.completed.end_to_end_duration} ms` : ''
  return `checkpoints: ${counts.completed} completed, ${counts.failed} failed${newest}; restarts: ${restarts}`
}
function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
/** 1234567 -> '1.23 M'. */
export function short(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`
  return String(Math.round(value))
}
