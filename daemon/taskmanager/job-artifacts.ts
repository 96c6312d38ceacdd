import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isTransient } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import { unpackArtifact } from '#usercode/artifact-directory.js'

/** How long a program is asked for: longer than a dead leader is taken for the leader, and another one takes its place. */
const PATIENCE_MS = 120_000
const RETRY_MS = 100
const RETRY_MAX_MS = 1_000

export interface JobArtifactsOptions {
  readonly clock: Clock
  readonly blobs: BlobTransfer
  /** Internal endpoint of the leader; undefined while none is known. */
  leaderAddress(): string | undefined
  /** This TaskManager's own directory. */
  readonly directory: string
  /** Root of the installed package. */
  readonly installation: string
  readonly logger: Logger
}

interface Program {
  /** Unpacked. */
  readonly directory: Promise<string>
  /** Ends the fetching. */
  readonly ending: AbortController
}

/**
 * The programs of the jobs that run here, unpacked: one directory a job, fetched from the leader once, removed with the job. Fetching
 * outlives leaders, so that a job which is deployed while its leader changes need not restart.
 */
export class JobArtifacts {
  readonly #programs = new Map<string, Program>()

  constructor(private readonly options: JobArtifactsOptions) {}

  /** The directory; undefined where the program is in this process. LEADER_UNKNOWN, BLOB_NOT_FOUND, USER_CODE_LOAD_FAILED. */
  acquire({ jobId, artifact }: JobGraph): Promise<string | undefined> {
    if (artifact === undefined) return Promise.resolve(undefined)
    let program = this.#programs.get(jobId)
    if (!program) {
      const ending = new AbortController()
      program = { directory: this.#fetch(jobId, artifact, ending.signal), ending }
      this.#programs.set(jobId, program)
      const fetching = program
      fetching.directory.catch(() => {
        if (this.#programs.get(jobId) === fetching) this.#programs.delete(jobId) // The next attempt fetches again.
      })
    }
    return program.directory
  }
  async release(jobId: string): Promise<void> {
    const program = this.#programs.get(jobId)
    this.#programs.delete(jobId)
    program?.ending.abort(new FlottError('SHUTTING_DOWN', `job ${jobId} has left this TaskManager`))
    const directory = await program?.directory.catch(() => undefined)
    if (directory === undefined || this.#programs.has(jobId)) return
    await rm(directory, { recursive: true, force: true }).catch((error: unknown) => {
      this.options.logger.warn('artifact could not be removed', { directory, error })
    })
  }
  async stop(): Promise<void> {
    await Promise.all([...this.#programs.keys()].map((jobId) => this.release(jobId)))
    await rm(this.options.directory, { recursive: true, force: true })
  }

  async #fetch(jobId: string, artifact: string, signal: AbortSignal): Promise<string> {
    const { blobs, clock, installation, leaderAddress } = this.options
    const directory = join(this.options.directory, `${jobId}-${artifact.replace(/^.*\//, '').slice(0, 16)}`)
    const giveUpAt = clock.monotonicMs() + PATIENCE_MS
    for (let delayMs = RETRY_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MAX_MS)) {
      try {
        const leader = leaderAddress()
        if (leader === undefined) throw new FlottError('LEADER_UNKNOWN', `no leader to fetch ${artifact} from`)
        return await unpackArtifact({ directory, read: blobs.read(leader, artifact), installation })
      } catch (error) {
        if (!isTransient(error) || clock.monotonicMs() >= giveUpAt) throw error
      }
      await sleep(clock, delayMs, signal)
    }
  }
}
