/**
 * chain, keyed and words on a real cluster of daemons: 1 JobManager, T TaskManagers sharing two slots, a checkpoint each second,
 * exactly once. Prints the fields that the comparison's other side prints, so that both can be divided.
 */
import { ProcessCluster } from '../support/process-cluster.js'

export interface ClusterBenchOptions {
  readonly job: 'chain' | 'keyed' | 'words'
  readonly records: number
  readonly parallelism: number
  readonly keys: number
  readonly taskManagers: number
  readonly checkpointInterval: string
  /** Where Node writes a profile of each thread of the TaskManagers; undefined: none. */
  readonly profileDir?: string
}

export async function runClusterBench(options: ClusterBenchOptions): Promise<object> {
  const { job, records, parallelism, keys, taskManagers, checkpointInterval, profileDir } = options
  const cluster = await ProcessCluster.start({
    jobManagers: 1,
    taskManagers,
    slots: Math.max(1, Math.ceil(2 / taskManagers)),
    // The process as a whole gets what the other side's TaskManager gets: 4 GB.
    settings: {
      'taskmanager.memory.managed.size': '4 g',
      'heartbeat.timeout': '30 s',
      'execution.checkpointing.interval': checkpointInterval,
    },
    taskManagerFlags: profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`],
  })
  try {
    const cpuOf = () => cluster.taskManagers.reduce((sum, daemon) => sum + daemon.cpuSeconds(), 0)
    const before = cpuOf()
    const args = [
      'run',
      '--json',
      '-p',
      String(parallelism),
      'test/bench/jobs/peer-jobs.ts',
      job,
      String(records),
      ...(job === 'keyed' ? [String(keys)] : []),
    ]
    const { code, stdout, stderr } = await cluster.flott(args)
    if (code !== 0) throw new Error(`flott run ended with ${code}: ${stderr}\n${stdout}\n${cluster.logs()}`)
    const { jobId, netRuntimeMs } = JSON.parse(stdout) as { jobId: string; netRuntimeMs: number }
    const cpu = cpuOf() - before
    const { counts } = await cluster.rest<{ counts: { completed: number } }>(`/jobs/${jobId}/checkpoints`)
    return {
      engine: 'flott',
      job,
      records,
      parallelism,
      ...(job === 'keyed' ? { keys } : {}),
      runtime_ms: netRuntimeMs,
      records_per_s: Math.round((records * 1000) / netRuntimeMs),
      taskmanagers: taskManagers,
      tm_cpu_s: Number(cpu.toFixed(2)),
      records_per_cpu_s: Math.round(records / cpu),
      checkpoints: counts.completed,
      tm_rss_mb: Math.round(cluster.taskManagers.reduce((most, daemon) => Math.max(most, daemon.rssBytes()), 0) / 2 ** 20),
    }
  } finally {
    // What is killed writes no profile.
    if (profileDir !== undefined) await Promise.all(cluster.taskManagers.map((daemon) => daemon.kill('SIGTERM')))
    await cluster.stop()
  }
}
