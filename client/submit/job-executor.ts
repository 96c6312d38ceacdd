import { createHash } from 'node:crypto'
import { systemClock } from '#core/clock.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ClusterClient } from './cluster-client.js'
import { ClusterJobClient } from './job-client.js'
import type { ProgramSession } from './program-session.js'

/** A job that is ready but for its artifact and its program. */
export interface ExecutableJob {
  readonly jobGraph: Omit<JobGraph, 'artifact' | 'program'>
  readonly executeIndex: number
  /** The module of a defineJob; undefined: the program itself. */
  readonly module?: string
  readonly jobArgs?: unknown
}

/** Where an environment's jobs go: a remote cluster, one in this process, the one that `flott run` was given. */
export interface JobExecutor {
  /** Settings below those of the program: the client's configuration. */
  readonly defaults: Readonly<Record<string, string>>
  /** Settings over those of the program: `flott run -D`. */
  readonly overrides: Readonly<Record<string, string>>
  submit(job: ExecutableJob, session: ProgramSession): Promise<ClusterJobClient>
  cluster(): Promise<ClusterClient>
}

export interface ArtifactExecutorOptions {
  readonly defaults?: Readonly<Record<string, string>>
  readonly overrides?: Readonly<Record<string, string>>
  /** The cluster for a job; without a graph, one to ask about jobs. */
  connect(jobGraph: ExecutableJob['jobGraph'] | undefined): Promise<ClusterClient>
  /** The bundle of the module, or of the running program. */
  artifactOf(module: string | undefined): Promise<Uint8Array>
}

/** Sends the graph together with the bundle that slots evaluate. */
export class ArtifactExecutor implements JobExecutor {
  readonly defaults: Readonly<Record<string, string>>
  readonly overrides: Readonly<Record<string, string>>
  constructor(private readonly options: ArtifactExecutorOptions) {
    this.defaults = options.defaults ?? {}
    this.overrides = options.overrides ?? {}
  }
  async submit(job: ExecutableJob, session: ProgramSession): Promise<ClusterJobClient> {
    const artifact = await this.options.artifactOf(job.module)
    const jobGraph: JobGraph = {
      ...job.jobGraph,
      artifact: artifactName(artifact),
      program: session.spec(job.executeIndex, job.jobArgs),
    }
    const cluster = await this.options.connect(jobGraph)
    await cluster.submitJob(jobGraph, artifact)
    return new ClusterJobClient(jobGraph.jobId, cluster, systemClock, session.observer(job.executeIndex))
  }
  cluster(): Promise<ClusterClient> {
    return this.options.connect(undefined)
  }
}

/** Name of the artifact's blob (protocol/ha/blobs.ts). */
export function artifactName(artifact: Uint8Array): string {
  return `artifact/${createHash('sha256').update(artifact).digest('hex')}`
}
