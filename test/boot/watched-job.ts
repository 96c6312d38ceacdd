/** The job that runs through all steps, asked of any JobManager, and its output. */
import { chmodSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CheckpointsResponse, ClusterOverviewResponse, JobDetailsResponse, VertexDetailsResponse } from '#protocol/rest/responses.js'
import { type Gap, GapMeter } from '../chaos/gaps.js'
import { RoundOutput } from '../chaos/round-output.js'
import { pause } from '../support/faults.js'
import type { BootedHost } from './booted-host.js'
import { SHARED } from './installed-hosts.js'

const PROGRAM = 'test/integration/cli/programs/steady-counts.ts'
const KEYS = 12
const PARALLELISM = 4
/** The source makes less than one in 10 ms: so many are enough for it to read that it is to end. */
const ROUNDS_AHEAD = 500
const POLL_MS = 20
const ANSWER_MS = 2_000

export type Leader = ClusterOverviewResponse['leader']
export interface Task {
  readonly attempt: number
  readonly taskManagerId: string
}

export class WatchedJob {
  readonly #output: RoundOutput
  readonly #gaps: GapMeter
  #jobId = ''

  constructor(
    private readonly hosts: readonly BootedHost[],
    /** The directory that all hosts see. */
    private readonly shared: string,
  ) {
    mkdirSync(join(shared, 'stamps'))
    mkdirSync(join(shared, 'out'))
    for (const name of ['stamps', 'out']) chmodSync(join(shared, name), 0o777)
    copyFileSync(PROGRAM, join(shared, 'steady-counts.ts'))
    this.#output = new RoundOutput(join(shared, 'out'), KEYS)
    this.#gaps = new GapMeter(join(shared, 'stamps', 'stamp'))
  }

  async submit(): Promise<void> {
    const files = ['stop', 'out', String(PARALLELISM), 'stamps/stamp'].map((word) => (/^\d/.test(word) ? word : `${SHARED}/${word}`))
    const run = ['run', '-d', '--json', '-p', String(PARALLELISM), `${SHARED}/steady-counts.ts`, String(KEYS), ...files]
    const answer = await this.hosts[0]!.must('runuser', '-u', 'flott', '--', '/opt/flott/bin/flott', ...run)
    this.#jobId = (JSON.parse(answer) as { jobId: string }).jobId
  }

  async leader(from?: BootedHost): Promise<Leader | undefined> {
    return (await this.get<ClusterOverviewResponse>('/overview', from ? [from] : this.hosts))?.leader
  }
  async taskManagers(): Promise<number | undefined> {
    return (await this.get<ClusterOverviewResponse>('/overview'))?.taskmanagers
  }
  async details(): Promise<JobDetailsResponse | undefined> {
    return this.get(`/jobs/${this.#jobId}`)
  }
  /** By vertex and subtask; undefined when nobody tells. */
  async tasks(): Promise<Readonly<Record<string, Task>> | undefined> {
    const tasks: Record<string, Task> = {}
    for (const { id, name } of (await this.details())?.vertices ?? []) {
      const vertex = await this.get<VertexDetailsResponse>(`/jobs/${this.#jobId}/vertices/${id}`)
      if (!vertex) return undefined
      for (const { subtask, attempt, 'taskmanager-id': taskManagerId } of vertex.subtasks)
        tasks[`${name} ${subtask}`] = { attempt, taskManagerId }
    }
    return Object.keys(tasks).length > 0 ? tasks : undefined
  }
  async checkpoints(): Promise<{ completed: number; restored: number } | undefined> {
    const latest = (await this.get<CheckpointsResponse>(`/jobs/${this.#jobId}/checkpoints`))?.latest
    return latest && { completed: latest.completed?.id ?? 0, restored: latest.restored?.id ?? 0 }
  }

  /** In its output, since the last time. */
  gaps(): readonly Gap[] {
    return this.#gaps.read(wallNow())
  }
  /** Lines that should not be there; those that are missing only the end can tell. */
  mistakes(): readonly string[] {
    this.#output.read()
    return this.#output.mistakes
  }
  get lines(): number {
    return this.#output.lines
  }
  /** Ends it and compares all that it has written. */
  async finish(until: number): Promise<readonly string[]> {
    this.#output.read()
    const rounds = this.#output.rounds + ROUNDS_AHEAD
    writeFileSync(join(this.shared, 'stop.new'), String(rounds))
    renameSync(join(this.shared, 'stop.new'), join(this.shared, 'stop'))
    while ((await this.details())?.state !== 'FINISHED') {
      if (performance.now() > until) return [`the job is ${(await this.details())?.state}, and should be FINISHED`]
      await pause(POLL_MS)
    }
    return this.#output.verdict(rounds)
  }

  /** From the first that answers. */
  async get<T>(path: string, hosts: readonly BootedHost[] = this.hosts): Promise<T | undefined> {
    for (const { address } of hosts)
      try {
        const answer = await fetch(`http://${address}:8081${path}`, { signal: AbortSignal.timeout(ANSWER_MS) })
        if (answer.ok) return (await answer.json()) as T
      } catch {} // The next one may answer.
    return undefined
  }
}

/** As the program stamps its records. */
const wallNow = () => performance.timeOrigin + performance.now()
