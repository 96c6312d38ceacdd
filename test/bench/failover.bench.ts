/**
 * Takes the leading JobManager, the TaskManager that runs tasks, or a slot worker away from under a job whose records are stamped as
 * they come out, and measures the largest gap in the output, the gap in what a client can ask, and when the next leader serves and
 * completes its first checkpoint. 2 JobManagers, 2 TaskManagers with 2 slots, of which two are free, real ZooKeeper, checkpoint each 500 ms.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CheckpointsResponse, JobDetailsResponse, VertexDetailsResponse } from '#protocol/rest/responses.js'
import { type Daemon, ProcessCluster } from '../support/process-cluster.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'
import { ControlPlaneProbe, largestGap, timesOfTakeover } from './failover-measures.js'

const SESSION_TIMEOUT_MS = 4_000
const SETTLE_MS = 15_000
/** 200 records a second come out. */
const FLOWS_MS = 1_000
const CHECKPOINTS_BEFORE = 6
const PREPARED_WITHIN_MS = 300_000

export interface FailoverOptions {
  readonly victim: 'leader' | 'taskmanager' | 'slot'
  readonly signal: 'SIGKILL' | 'SIGTERM'
  readonly supervised: boolean
  readonly stateMb: number
}

export async function runFailoverBench({ victim, signal, supervised, stateMb }: FailoverOptions): Promise<object> {
  const zookeeper = await ZooKeeperServer.start()
  const directory = mkdtempSync(join(tmpdir(), 'flott-stamps-'))
  const stamps = join(directory, 'stamps')
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
    const leader = await cluster.leader()
    const [jmRss, tmRss] = [leader.rssBytes(), cluster.taskManagers[0]!.rssBytes()]
    const jobId = await submitProbe(cluster, stamps, stateMb)
    const job: JobDetailsResponse = await cluster.job(jobId)
    const target = victim === 'leader' ? leader : victim === 'taskmanager' ? await busyTaskManager(cluster, job) : undefined
    const survivor = cluster.jobManagers.find((jobManager) => jobManager !== leader)!
    const probe = victim === 'leader' ? await ControlPlaneProbe.start(survivor, jobId) : undefined
    const killed = Date.now()
    if (target) target.signal(signal)
    else writeFileSync(`${stamps}.lose`, '')
    const takeover = victim === 'leader' ? await timesOfTakeover(cluster, jobId, leader, killed) : {}
    await target?.kill(signal) // Waits for its end.
    await pause(SETTLE_MS)
    await cluster.until('the output flows', async () => largestGap(directory, killed).last < FLOWS_MS, PREPARED_WITHIN_MS)
    const { restarts } = await cluster.job(jobId)
    const { gap, at, last } = largestGap(directory, killed)
    return {
      engine: 'flott',
      victim,
      signal: target ? signal : 'exit',
      mode: supervised ? 'supervised' : 'unsupervised',
      killed: target?.name ?? 'a slot worker',
      ...(stateMb > 0 ? { state_mb: stateMb } : {}),
      session_timeout_ms: SESSION_TIMEOUT_MS,
      largest_gap_ms: gap,
      gap_began_ms_after_kill: at - killed,
      ...probe?.stop(killed),
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
    rmSync(directory, { recursive: true, force: true })
  }
}

/** With its state in a checkpoint, and some checkpoints after that. */
async function submitProbe(cluster: ProcessCluster, stamps: string, stateMb: number): Promise<string> {
  const program = ['test/bench/jobs/peer-jobs.ts', 'probe', '100000000', stamps, String(stateMb)]
  const { code, stdout, stderr } = await cluster.flott(['run', '-d', '--json', '-p', '2', ...program])
  if (code !== 0) throw new Error(stderr)
  const { jobId } = JSON.parse(stdout) as { jobId: string }
  await cluster.until(
    'some checkpoints are complete',
    async () => {
      const { counts, latest } = await cluster.rest<CheckpointsResponse>(`/jobs/${jobId}/checkpoints`)
      return counts.completed >= CHECKPOINTS_BEFORE && (latest.completed?.state_size ?? 0) >= stateMb * 2 ** 20
    },
    PREPARED_WITHIN_MS,
  )
  return jobId
}

async function busyTaskManager(cluster: ProcessCluster, job: JobDetailsResponse): Promise<Daemon> {
  const vertex = await cluster.rest<VertexDetailsResponse>(`/jobs/${job.jid}/vertices/${job.vertices[0]!.id}`)
  const id = vertex.subtasks[0]!['taskmanager-id']
  return cluster.taskManagers.find(({ name }) => name.replace('taskmanager', 'tm') === id) ?? cluster.taskManagers[0]!
}
