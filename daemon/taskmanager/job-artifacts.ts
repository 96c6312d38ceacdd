import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import { unpackArtifact } from '#usercode/artifact-directory.js'

export interface JobArtifactsOptions {
  readonly blobs: BlobTransfer
  /** Internal endpoint of the leader; undefined while none is known. */
  leaderAddress(): string | undefined
  /** This TaskManager's own directory. */
  readonly directory: string
  /** Root of the installed package. */
  readonly installation: string
  readonly logger: Logger
}

/** The programs of the jobs that run here, unpacked: one directory a job, fetched from the leader once, removed with the job. */
export class JobArtifacts {
  readonly #unpacked = new Map<string, Promise<string>>()

  constructor(private readonly options: JobArtifactsOptions) {}

  /** The directory; undefined where the program is in this process. LEADER_UNKNOWN, BLOB_NOT_FOUND, USER_CODE_LOAD_FAILED. */
  acquire({ jobId, artifact }: JobGraph): Promise<string | undefined> {
    if (artifact === undefined) return Promise.resolve(undefined)
    let unpacked = this.#unpacked.get(jobId)
    if (!unpacked) {
      unpacked = this.#fetch(jobId, artifact)
      this.#unpacked.set(jobId, unpacked)
      unpacked.catch(() => this.#unpacked.delete(jobId)) // The next attempt fetches again.
    }
    return unpacked
  }
  async release(jobId: string): Promise<void> {
    const unpacked = this.#unpacked.get(jobId)
    this.#unpacked.delete(jobId)
    const directory = await unpacked?.catch(() => undefined)
    if (directory === undefined || this.#unpacked.has(jobId)) return
    await rm(directory, { recursive: true, force: true }).catch((error: unknown) => {
      this.options.logger.warn('artifact could not be removed', { directory, error })
    })
  }
  async stop(): Promise<void> {
    await Promise.all([...this.#unpacked.keys()].map((jobId) => this.release(jobId)))
    await rm(this.options.directory, { recursive: true, force: true })
  }

  async #fetch(jobId: string, artifact: string): Promise<string> {
    const { blobs, installation, leaderAddress } = this.options
    const leader = leaderAddress()
    if (leader === undefined) throw new FlottError('LEADER_UNKNOWN', `no leader to fetch ${artifact} from`)
    const directory = join(this.options.directory, `${jobId}-${artifact.replace(/^.*\//, '').slice(0, 16)}`)
    return unpackArtifact({ directory, read: blobs.read(leader, artifact), installation })
  }
}
