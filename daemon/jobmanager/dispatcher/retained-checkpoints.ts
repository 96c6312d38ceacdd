/**
 * Checkpoints of jobs that have ended: others may start from them until somebody disposes of them.
 *
 *   named by the job's fact, which has ended -> retired: named by a fact of their own, `retained/<job>`, when the job's goes -> disposed of
 *
 * What holds at each step, whenever this process dies:
 *   - The new name is there before the old one goes. While both facts are there, the job's says what is retained, and the other is a copy.
 *   - Blobs are deleted after the last fact that names them was changed. What is missed then, `flott gc` removes.
 *   - What a job that starts from a checkpoint needs is named by that job's own fact, and not deleted with the checkpoint. One operation
 *     after the other: nobody starts from what is being disposed of.
 *   - A checkpoint of a job that has not ended is nobody else's: it may be replaced by a newer one at any moment.
 */
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { type CheckpointPath, checkpointPath, parseCheckpointPath } from '#protocol/checkpoint/checkpoint-path.js'
import { decodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import type { RetainedCheckpoint } from '#protocol/gateways/dispatcher-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { decodeJobGraph } from '#protocol/graph/job-graph-format.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { CheckpointName, JobFact, RetainedFact, Versioned } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { checkChunks, loadManifest } from '../jobmaster/checkpoint/checkpoint-store.js'
import { fitManifest } from '../jobmaster/checkpoint/fit-manifest.js'
import type { StateRecovery } from '../jobmaster/job-master-settings.js'
import { isBadBlob, reachedFrom } from '../replication/live-blobs.js'

/** How many an error names. */
const NAMED_MAX = 5

export interface RetainedCheckpointsOptions {
  readonly reign: Reign
  readonly blobs: ReplicatedBlobStore
  readonly logger: Logger
  /** The fact of a job that has ended names fewer checkpoints than before. */
  onChanged(fact: JobFact): void
}

export class RetainedCheckpoints {
  #turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: RetainedCheckpointsOptions) {}

  /**
   * Finds what a new job starts from and hands it to `use`, which makes the job's fact name it. INVALID_ARGUMENT, CHECKPOINT_NOT_FOUND,
   * CHECKPOINT_IN_USE, CHECKPOINT_NOT_RESTORABLE, and what fitManifest fails with.
   */
  async startOf<T>(
    jobGraph: JobGraph,
    { path, allowNonRestoredState }: StateRecovery,
    use: (startsFrom: JobFact['startsFrom']) => Promise<T>,
  ): Promise<T> {
    if (path === '') return use(undefined)
    const asked = parseCheckpointPath(path, 'execution.state-recovery.path')
    return this.#inTurn(async () => {
      const { blobs } = this.options
      const owner = await this.#ownerOf(asked)
      const { id, manifest: blob } = named(owner, asked).at(-1)!
      const { jobId } = asked
      const manifest = await loadManifest(blobs, jobId, id, blob)
      const before = await this.#graphOf(owner)
      await checkChunks(blobs, fitManifest(manifest, jobGraph, { allowNonRestoredState, ...(before ? { before } : {}) }))
      return use({ jobId, id, manifest: blob, ...(allowNonRestoredState ? { allowNonRestoredState } : {}) })
    })
  }

  /** For messages: what is lost without it are names. */
  #graphOf(owner: Owner): Promise<JobGraph | undefined> {
    const unlessBad = (error: unknown) => {
      if (!isBadBlob(error)) throw error
      return undefined
    }
    return this.options.blobs.get(owner.jobGraph).then(decodeJobGraph, unlessBad)
  }

  /** Whether the id belongs to a job that is known by its checkpoints only. */
  async isRetired(jobId: string): Promise<boolean> {
    return (await this.options.reign.facts.readRetained(jobId)) !== undefined
  }

  /** The fact of a job that has ended goes. Returns whether checkpoints of it stay. */
  retire(jobId: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const { reign } = this.options
      await reign.whenConfirmed()
      const found = await reign.facts.readJob(jobId)
      if (!found) return this.isRetired(jobId)
      const owner = ownerOf(found)
      const checkpoints = owner ? await this.#readable(owner) : []
      if (owner && checkpoints.length > 0) await reign.facts.setRetained(retainedFact(owner, checkpoints))
      else await reign.facts.deleteRetained(jobId)
      await reign.facts.deleteJob(jobId, found.version)
      return checkpoints.length > 0
    })
  }
  /** Without those that are on no disk any more: to name them would only keep the garbage collection from knowing what is named. */
  async #readable({ jobId, checkpoints }: Owner): Promise<readonly CheckpointName[]> {
    const readable: CheckpointName[] = []
    for (const checkpoint of checkpoints) {
      try {
        decodeManifest(await this.options.blobs.get(checkpoint.manifest))
        readable.push(checkpoint)
      } catch (error) {
        if (!isBadBlob(error)) throw error
        this.options.logger.error('a checkpoint is lost and not retained', { jobId, checkpointId: checkpoint.id, error })
      }
    }
    return readable
  }

  /** Newest job first, and of each job the newest checkpoint. */
  async list(): Promise<readonly RetainedCheckpoint[]> {
    const owners = await this.#owners()
    return Promise.all(owners.flatMap((owner) => owner.checkpoints.toReversed().map((checkpoint) => this.#describe(owner, checkpoint))))
  }
  async #describe({ jobId, jobName, status, endTime }: Owner, { id, manifest: blob }: CheckpointName): Promise<RetainedCheckpoint> {
    const about = { jobId, jobName, jobStatus: status, jobEndTime: endTime, checkpointId: id, path: checkpointPath(jobId, id) }
    try {
      const { completedTimestamp, stateSize } = await loadManifest(this.options.blobs, jobId, id, blob)
      return { ...about, completedTimestamp, stateSize }
    } catch (error) {
      return { ...about, unreadable: (error as Error).message }
    }
  }

  /** What there is to dispose of. CHECKPOINT_NOT_FOUND, CHECKPOINT_IN_USE. */
  find(asked: CheckpointPath): Promise<readonly string[]> {
    return this.#inTurn(async () => named(await this.#ownerOf(asked), asked).map(({ id }) => checkpointPath(asked.jobId, id)))
  }
  /** One, or all of a job. Returns the paths. CHECKPOINT_NOT_FOUND, CHECKPOINT_IN_USE. */
  dispose(asked: CheckpointPath): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const { reign, logger, onChanged } = this.options
      const { facts } = reign
      const owner = await this.#ownerOf(asked)
      const gone = named(owner, asked)
      const { jobId } = owner
      const left = owner.checkpoints.filter((checkpoint) => !gone.includes(checkpoint))
      await reign.whenConfirmed()
      if (owner.job) {
        const fact = { ...owner.job.value, checkpoints: left }
        await facts.setJob(fact, owner.job.version)
        onChanged(fact)
      }
      if (left.length === 0) await facts.deleteRetained(jobId)
      else if (!owner.job || (await this.isRetired(jobId))) await facts.setRetained(retainedFact(owner, left))
      await this.#deleteBlobs(owner, gone, left).catch((error: unknown) =>
        logger.warn('blobs of a checkpoint that was disposed of are left', { jobId, error }),
      )
      return gone.map(({ id }) => checkpointPath(jobId, id))
    })
  }
  /** But for those that its other checkpoints share, and those that a job still starts from. */
  async #deleteBlobs(owner: Owner, gone: readonly CheckpointName[], left: readonly CheckpointName[]): Promise<void> {
    const { blobs } = this.options
    const starts = (await this.#jobs()).flatMap(({ value: { startsFrom } }) => startsFrom ?? [])
    const kept = await reachedFrom(
      [...left, ...starts].map(({ manifest }) => manifest),
      blobs,
      decodeManifest,
    )
    const names = new Set(owner.job || left.length > 0 ? [] : [owner.jobGraph])
    for (const { manifest } of gone) {
      const reached = await reachedFrom([manifest], blobs, decodeManifest).catch(() => [manifest]) // It can be damaged.
      for (const name of reached) if (!kept.has(name)) names.add(name)
    }
    await blobs.delete([...names])
  }

  /** CHECKPOINT_NOT_FOUND where nobody knows the job; CHECKPOINT_IN_USE while it has not ended. */
  async #ownerOf({ jobId }: CheckpointPath): Promise<Owner> {
    const { facts } = this.options.reign
    const job = await facts.readJob(jobId)
    if (job) {
      const owner = ownerOf(job)
      if (owner) return owner
      throw new FlottError('CHECKPOINT_IN_USE', `job ${jobId} has not ended, and replaces its checkpoints: cancel it first`)
    }
    const retained = await facts.readRetained(jobId)
    if (retained) return { ...retained, job: undefined }
    const others = (await this.#owners()).map((owner) => checkpointPath(owner.jobId, owner.checkpoints.at(-1)!.id))
    throw new FlottError('CHECKPOINT_NOT_FOUND', `no job ${jobId} retains checkpoints; ${enumerate(others)}`)
  }
  async #owners(): Promise<readonly Owner[]> {
    const { facts } = this.options.reign
    const jobs = await this.#jobs() // Before the others, as in namingFacts.
    const known = new Set(jobs.map(({ value }) => value.jobId))
    const retired = await Promise.all((await facts.listRetained()).map((jobId) => facts.readRetained(jobId)))
    const owners = [
      ...jobs.flatMap((job) => ownerOf(job) ?? []),
      ...retired.flatMap((fact) => (fact && !known.has(fact.jobId) ? [{ ...fact, job: undefined }] : [])),
    ]
    return owners.filter(({ checkpoints }) => checkpoints.length > 0).sort((a, b) => b.endTime - a.endTime)
  }
  async #jobs(): Promise<readonly Versioned<JobFact>[]> {
    const { facts } = this.options.reign
    const jobs = await Promise.all((await facts.listJobs()).map((jobId) => facts.readJob(jobId)))
    return jobs.filter((job) => job !== undefined)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }
}

/** A job that has ended, as its own fact or what was retained of it says. */
interface Owner extends RetainedFact {
  readonly job: Versioned<JobFact> | undefined
}

/** undefined while the job has not ended. */
function ownerOf(job: Versioned<JobFact>): Owner | undefined {
  const { jobId, jobName, jobGraph, terminal, checkpoints } = job.value
  return terminal && { jobId, jobName, status: terminal.status, endTime: terminal.endTime, jobGraph, checkpoints, job }
}
function retainedFact({ job: _, ...owner }: Owner, checkpoints: readonly CheckpointName[]): RetainedFact {
  return { ...owner, checkpoints }
}

/** The one that is named, or all, oldest first. CHECKPOINT_NOT_FOUND says which there are. */
function named({ jobId, checkpoints }: Owner, { checkpointId }: CheckpointPath): readonly CheckpointName[] {
  const found = checkpointId === undefined ? checkpoints : checkpoints.filter(({ id }) => id === checkpointId)
  if (found.length > 0) return found
  const paths = checkpoints.toReversed().map(({ id }) => checkpointPath(jobId, id))
  const missing = checkpointId === undefined ? 'checkpoints' : `checkpoint ${checkpointId}`
  throw new FlottError('CHECKPOINT_NOT_FOUND', `job ${jobId} retains no ${missing}; ${enumerate(paths)}`)
}
function enumerate(paths: readonly string[]): string {
  if (paths.length === 0) return 'there are none'
  const more = paths.length > NAMED_MAX ? ` and ${paths.length - NAMED_MAX} more` : ''
  return `there are ${paths.slice(0, NAMED_MAX).join(', ')}${more}`
}
