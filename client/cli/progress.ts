/** Live progress of one job: a block that is redrawn on a terminal, plain lines elsewhere. `progressLines` is pure. */
import { type Clock, sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { CheckpointsResponse, JobDetailsResponse, JobVertexItem } from '#protocol/rest/responses.js'
import { isUnreachable, type RestClusterClient } from '../submit/rest-cluster-client.js'
import type { Terminal } from './terminal.js'

const TTY_PERIOD_MS = 500
const PLAIN_PERIOD_MS = 10_000

/** What one look at the job gave; rates come from two looks. */
export interface Look {
  readonly job: JobDetailsResponse
  readonly checkpoints: CheckpointsResponse
  readonly atMs: number
}

/** Shows progress until `signal` aborts. Never fails: the result of the job is asked for elsewhere. */
export async function showProgress(
  client: RestClusterClient,
  jobId: string,
  terminal: Terminal,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let last: Look | undefined
  let lastStatus: string | undefined
  let lastPlainMs = -Infinity
  try {
    while (!signal.aborted) {
      const look = await lookAt(client, jobId, clock, signal)
      if (look) {
        const { state } = look.job
        if (terminal.isTty) terminal.redraw(progressLines(look, last))
        else if (state !== lastStatus || look.atMs - lastPlainMs >= PLAIN_PERIOD_MS) {
          terminal.note(progressLine(look, last))
          lastPlainMs = look.atMs
        }
        lastStatus = state
        last = look
      }
      await sleep(clock, TTY_PERIOD_MS, signal)
    }
  } catch (error) {
    if (!signal.aborted) terminal.note(`progress is not shown any more: ${(error as Error).message}`)
  } finally {
    if (terminal.isTty) terminal.redraw([])
  }
}

async function lookAt(client: RestClusterClient, jobId: string, clock: Clock, signal: AbortSignal): Promise<Look | undefined> {
  try {
    const [job, checkpoints] = await Promise.all([client.describeJob(jobId, signal), client.checkpoints(jobId, signal)])
    return { job, checkpoints, atMs: clock.monotonicMs() }
  } catch (error) {
    if (isUnreachable(error) || isFlottError(error, 'JOB_NOT_FOUND')) return undefined // The change of leader is reported once, by the transport.
    throw error
  }
}

export function progressLines(look: Look, last: Look | undefined): string[] {
  const { job, checkpoints } = look
  const name = Math.min(48, Math.max(6, ...job.vertices.map((vertex) => vertex.name.length)))
  const head = `${'vertex'.padEnd(name)}  ${'state'.padEnd(12)} ${'tasks'.padStart(9)} ${'records in'.padStart(12)} ${'in/s'.padStart(9)} ${'records out'.padStart(12)} ${'out/s'.padStart(9)}`
  const rows = job.vertices.map((vertex) => {
    const before = last?.job.vertices.find(({ id }) => id === vertex.id)
    const rate = (key: 'read-records' | 'write-records') =>
      before && last
        ? short(Math.max(0, (vertex.metrics[key] - before.metrics[key]) / Math.max(0.001, (look.atMs - last.atMs) / 1000)))
        : '-'
    const title = vertex.name.length > name ? `${vertex.name.slice(0, name - 1)}…` : vertex.name.padEnd(name)
    return `${title}  ${vertex.status.padEnd(12)} ${tasks(vertex).padStart(9)} ${short(vertex.metrics['read-records']).padStart(12)} ${rate('read-records').padStart(9)} ${short(vertex.metrics['write-records']).padStart(12)} ${rate('write-records').padStart(9)}`
  })
  return [`${job.name}  ${job.state}  ${seconds(job.duration)}${waiting(job)}`, head, ...rows, checkpointText(checkpoints, job.restarts)]
}

export function progressLine(look: Look, last: Look | undefined): string {
  const { job } = look
  const source = job.vertices[0]
  const before = last?.job.vertices[0]
  const rate =
    source && before && last
      ? `, ${short(Math.max(0, (source.metrics['write-records'] - before.metrics['write-records']) / Math.max(0.001, (look.atMs - last.atMs) / 1000)))} records/s from the source`
      : ''
  return `${job.name}: ${job.state}, ${seconds(job.duration)}${waiting(job)}${rate}; ${checkpointText(look.checkpoints, job.restarts)}`
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
