/** What a failover looks like from outside: the output's time stamps, a client's questions, the next leader's answers. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CheckpointsResponse, ClusterOverviewResponse } from '#protocol/rest/responses.js'
import type { Daemon, ProcessCluster } from '../support/process-cluster.js'

/** A leader may have triggered a checkpoint before we saw it serve. */
const POLL_MS = 50
const PROBE_MS = 10
const PROBE_TIMEOUT_MS = 5_000
/** Connections are open and code is warm by then. */
const ANSWERS_BEFORE = 100
const NO_JOB = '0'.repeat(32)

/**
 * Asks a JobManager again and again, not waiting for the answers: each that comes is a moment at which the control plane served. A question
 * is the job's status; a decision is to cancel a job that does not exist, which only a leader that decides denies.
 */
export class ControlPlaneProbe {
  readonly #questions: number[] = []
  readonly #decisions: number[] = []
  readonly #timer: NodeJS.Timeout
  /** Resolves when answers come. */
  static async start(jobManager: Daemon, jobId: string): Promise<ControlPlaneProbe> {
    const probe = new ControlPlaneProbe(jobManager, jobId)
    while (probe.#decisions.length < ANSWERS_BEFORE) await pause(PROBE_MS)
    return probe
  }
  private constructor(jobManager: Daemon, jobId: string) {
    const ask = (path: string, method: string, served: number, answered: number[]) =>
      fetch(jobManager.restUrl + path, { method, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).then(
        async (answer) => {
          await answer.arrayBuffer()
          if (answer.status === served) answered.push(Date.now())
        },
        () => {}, // Not served.
      )
    let isQuestion = false
    this.#timer = setInterval(() => {
      isQuestion = !isQuestion
      if (isQuestion) void ask(`/jobs/${jobId}/status`, 'GET', 200, this.#questions)
      else void ask(`/jobs/${NO_JOB}`, 'PATCH', 404, this.#decisions)
    }, PROBE_MS)
  }
  /** Ends it. The longest times without an answer since the kill. */
  stop(killed: number): { control_plane_gap_ms: number; decisions_gap_ms: number } {
    clearInterval(this.#timer)
    const gap = (answered: readonly number[]) => longestPause([...answered, Date.now()], killed).gap
    return { control_plane_gap_ms: gap(this.#questions), decisions_gap_ms: gap(this.#decisions) }
  }
}

/** Milliseconds after the kill, as the surviving JobManager shows them. */
export async function timesOfTakeover(cluster: ProcessCluster, jobId: string, dead: Daemon, killed: number): Promise<object> {
  const survivor = cluster.jobManagers.find((jobManager) => jobManager !== dead)!
  const ask = async <T>(path: string): Promise<T | undefined> => {
    const answer = await fetch(survivor.restUrl + path).catch(() => undefined)
    return answer?.ok ? ((await answer.json()) as T) : undefined
  }
  const newLeaderMs = await cluster.until('the other JobManager serves', async () => {
    const overview = await ask<ClusterOverviewResponse>('/overview')
    return overview?.leader.address === survivor.restUrl && Date.now() - killed
  })
  const firstCheckpointMs = await cluster.until('it completes a checkpoint', async () => {
    const completed = (await ask<CheckpointsResponse>(`/jobs/${jobId}/checkpoints`))?.latest.completed
    return completed ? completed.trigger_timestamp > killed + newLeaderMs - POLL_MS && completed.latest_ack_timestamp - killed : undefined
  })
  return { new_leader_ms: newLeaderMs, first_checkpoint_ms: firstCheckpointMs }
}

/** In the files of the directory, each a line a record that begins with its time. */
export function largestGap(directory: string, killed: number): { gap: number; at: number; last: number } {
  const times = readdirSync(directory)
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => Number(line.split(' ')[0]))
    .sort((a, b) => a - b)
  return { ...longestPause(times, killed), last: Date.now() - (times.at(-1) ?? 0) }
}

/** Between two moments of which the second is after `since`; `at`: the first. */
function longestPause(moments: readonly number[], since: number): { gap: number; at: number } {
  let gap = 0
  let at = since
  for (let i = 1; i < moments.length; i++) {
    const [before, after] = [moments[i - 1]!, moments[i]!]
    if (after < since || after - before <= gap) continue
    gap = after - before
    at = before
  }
  return { gap, at }
}
