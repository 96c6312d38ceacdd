/**
 * A program run by plain `node job.js`: a whole cluster in this process for each job, stopped when the job has ended. The daemons are
 * loaded only then, so that a program that submits elsewhere never pays for them.
 */
import { type Clock, sleep, systemClock } from '#core/clock.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { ClusterClient, CollectedRecords, JobResult } from './cluster-client.js'
import { connectToCluster } from './connect-to-cluster.js'

/** What daemon/minicluster/index.ts exports as `startMiniCluster`. */
export interface MiniClusterOptions {
  /** Slots in all. */
  readonly slots: number
  /** Configuration keys as text. */
  readonly settings: Readonly<Record<string, string>>
}
export interface MiniCluster {
  /** Where its REST API listens, on a free port of the loopback interface. */
  readonly restUrl: string
  /** Ends jobs, threads and sockets. Idempotent. */
  stop(): Promise<void>
}
export type StartMiniCluster = (options: MiniClusterOptions) => Promise<MiniCluster>

const MINI_CLUSTER: string = '../../daemon/minicluster/index.js' // By name only: the client must not pull the daemons in.

export async function startLocalCluster(jobGraph: Pick<JobGraph, 'vertices' | 'settings'>): Promise<ClusterClient> {
  const { startMiniCluster } = (await import(MINI_CLUSTER)) as { startMiniCluster: StartMiniCluster }
  const cluster = await startMiniCluster({ slots: slotsNeeded(jobGraph), settings: {} })
  return new EphemeralClusterClient(
    await connectToCluster(cluster.restUrl, { pollMaxMs: RESULT_POLL_MS }),
    () => cluster.stop(),
    systemClock,
  )
}

/** Of each slot-sharing group its widest vertex. */
export function slotsNeeded({ vertices }: Pick<JobGraph, 'vertices'>): number {
  const groups = new Map<string, number>()
  for (const { slotSharingGroup, parallelism } of vertices)
    groups.set(slotSharingGroup, Math.max(parallelism, groups.get(slotSharingGroup) ?? 0))
  return [...groups.values()].reduce((a, b) => a + b, 0)
}

const POLL_MS = 20
/** Asking costs little within a process, and a program should not outlive its job. */
const RESULT_POLL_MS = 100

/** The client of a cluster that lives for one job: it keeps what may be asked for once the cluster is gone. */
export class EphemeralClusterClient implements ClusterClient {
  #result: Promise<JobResult> | undefined
  #status: JobStatus | undefined
  readonly #collected = new Map<string, { records: unknown[]; ended: boolean }>()
  constructor(
    private readonly inner: ClusterClient,
    private readonly stop: () => Promise<void>,
    private readonly clock: Clock,
  ) {}

  async submitJob(jobGraph: JobGraph, artifact: Uint8Array): Promise<void> {
    try {
      await this.inner.submitJob(jobGraph, artifact)
    } catch (error) {
      await this.#end()
      throw error
    }
    const collectors = jobGraph.vertices.flatMap((v) => v.operators).filter((o) => o.kind === 'collect')
    this.#result = this.#untilEnd(
      jobGraph.jobId,
      collectors.map((o) => o.id),
    )
    this.#result.catch(() => {}) // Whoever asks for it gets the error; nobody has to ask.
  }
  async getJobStatus(jobId: string): Promise<JobStatus> {
    return this.#status ?? this.inner.getJobStatus(jobId)
  }
  requestJobResult(jobId: string, signal?: AbortSignal): Promise<JobResult> {
    return this.#result ?? this.inner.requestJobResult(jobId, signal)
  }
  async cancelJob(jobId: string): Promise<void> {
    if (this.#status === undefined) await this.inner.cancelJob(jobId)
  }
  async fetchCollected({ operatorId, after }: { jobId: string; operatorId: string; after: number }): Promise<CollectedRecords> {
    const { records = [], ended = false } = this.#collected.get(operatorId) ?? {}
    return { records: records.slice(after), next: records.length, ended }
  }
  /** The cluster ends with its job, whoever lets go of the client. */
  async close(): Promise<void> {}

  async #untilEnd(jobId: string, collectors: readonly string[]): Promise<JobResult> {
    try {
      const [result] = await Promise.all([this.inner.requestJobResult(jobId), ...collectors.map((id) => this.#collect(jobId, id))])
      this.#status = result.status
      return result
    } finally {
      await this.#end()
    }
  }
  async #collect(jobId: string, operatorId: string): Promise<void> {
    const buffer = { records: [] as unknown[], ended: false }
    this.#collected.set(operatorId, buffer)
    for (let after = 0; !buffer.ended; ) {
      const { records, next, ended } = await this.inner.fetchCollected({ jobId, operatorId, after })
      for (const record of records) buffer.records.push(record)
      after = next
      buffer.ended = ended
      if (records.length === 0 && !ended) await sleep(this.clock, POLL_MS)
    }
  }
  async #end(): Promise<void> {
    await this.inner.close()
    await this.stop()
  }
}
