/**
 * Kills the leading JobManager, or the TaskManager that runs tasks, under a job whose records are stamped as they come out, and measures
 * the largest gap in the output, and when the next leader serves and completes its first checkpoint. 2 JobManagers, 2 TaskManagers with
 * 2 slots, real ZooKeeper, checkpoint each 500 ms.
 */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckpointsResponse, ClusterOverviewResponse, JobDetailsResponse, VertexDetailsResponse } from '#protocol/rest/responses.js'
import { type Daemon, ProcessCluster } from '../support/process-cluster.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'

const SESSION_TIMEOUT_MS = 4_000
const SETTLE_MS = 15_000
/** A leader may have triggered a checkpoint before we saw it serve. */
const POLL_MS = 50

export async function runFailoverBench(victim: 'leader' | 'taskmanager', supervised: boolean): Promise<object> {
  const zookeeper = await ZooKeeperServer.start()
  const began = Date.now()
  const cluster = await ProcessCluster.start({
    jobManagers: 2,
    taskManagers: 2,
    slots: 2,
    zookeeper: zookeeper.connect,
    supervised,
    settings: {
      'high-availability.zookeeper.client.session-timeout': `${SESSION_TIMEOUT_MS} ms`,
      'execution.checkpointing.interval': '500 ms',
      'restart-strategy.type': 'fixed-delay',
      'restart-strategy.fixed-delay.attempts': '1000',
      'restart-strategy.fixed-delay.delay': '100 ms',
    },
  })
  const startMs = Date.now() - began
  try {
    const stamps = join(mkdtempSync(join(tmpdir(), 'flott-stamps-')), 'stamps')
    const leader = await cluster.leader()
    const [jmRss, tmRss] = [leader.rssBytes(), cluster.taskManagers[0]!.rssBytes()]
    const { code, stdout, stderr } = await cluster.flott([
      'run',
      '-d',
      '--json',
      '-p',
      '2',
      'test/bench/jobs/peer-jobs.ts',
      'probe',
      '100000000',
      stamps,
    ])
    if (code !== 0) throw new Error(stderr)
    const { jobId } = JSON.parse(stdout) as { jobId: string }
    await cluster.until('six checkpoints are complete', async () => {
      return (await cluster.rest<{ counts: { completed: number } }>(`/jobs/${jobId}/checkpoints`)).counts.completed >= 6
    })
    const target = victim === 'leader' ? leader : await busyTaskManager(cluster, jobId)
    const killed = Date.now()
    target.signal('SIGKILL')
    const takeover = victim === 'leader' ? await timesOfTakeover(cluster, jobId, leader, killed) : {}
    await target.kill('SIGKILL') // Waits for its end.
    await new Promise((done) => setTimeout(done, SETTLE_MS))
    const { restarts } = await cluster.job(jobId)
    const { gap, at, last } = largestGap(stamps, killed)
    return {
      engine: 'flott',
      victim,
      mode: supervised ? 'supervised' : 'unsupervised',
      killed: target.name,
      session_timeout_ms: SESSION_TIMEOUT_MS,
      largest_gap_ms: gap,
      gap_began_ms_after_kill: at - killed,
      ...takeover,
      restarts: String(restarts),
      start_ms: startMs,
      jm_rss_mb: Math.round(jmRss / 2 ** 20),
      tm_rss_mb: Math.round(tmRss / 2 ** 20),
      last_output_ms_before_end: last,
    }
  } finally {
    await cluster.stop()
    await zookeeper.remove()
  }
}

/** Milliseconds after the kill, as the surviving JobManager shows them. */
async function timesOfTakeover(cluster: ProcessCluster, jobId: string, dead: Daemon, killed: number): Promise<object> {
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

async function busyTaskManager(cluster: ProcessCluster, jobId: string): Promise<Daemon> {
  const job: JobDetailsResponse = await cluster.job(jobId)
  const vertex = await cluster.rest<VertexDetailsResponse>(`/jobs/${jobId}/vertices/${job.vertices[0]!.id}`)
  const id = vertex.subtasks[0]!['taskmanager-id']
  return cluster.taskManagers.find(({ name }) => name.replace('taskmanager', 'tm') === id) ?? cluster.taskManagers[0]!
}

function largestGap(stamps: string, killed: number): { gap: number; at: number; last: number } {
  const directory = join(stamps, '..')
  const times = readdirSync(directory)
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => Number(line.split(' ')[0]))
    .sort((a, b) => a - b)
  let gap = 0
  let at = killed
  for (let i = 1; i < times.length; i++) {
    const [before, after] = [times[i - 1]!, times[i]!]
    if (after < killed || after - before <= gap) continue
    gap = after - before
    at = before
  }
  return { gap, at, last: Date.now() - (times.at(-1) ?? 0) }
}
