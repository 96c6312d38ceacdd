/**
 * Accepts jobs, makes them durable, and starts one JobMaster for each; finds them again on new leadership. A job that can not be
 * recovered fails by itself, with its reason: it never takes the leader down.
 */
import { createHash } from 'node:crypto'
import { type Clock, every, type Timer } from '#core/clock.js'
import { FlottError, isFlottError, isStorageTrouble, isTransient } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import type { JobEnd } from '#protocol/application.js'
import type {
  ClusterOverview,
  DispatcherGateway,
  DisposalStatus,
  DrainStatus,
  JobDetails,
  JobOverview,
  RetainedCheckpoint,
  TaskManagerDetails,
} from '#protocol/gateways/dispatcher-gateway.js'
import { jobMasterGateway } from '#protocol/gateways/job-master-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { encodeJobGraph } from '#protocol/graph/job-graph-format.js'
import { collectedPrefix, type ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { FactStore, JobFact, Versioned } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import type { EndpointRegistry } from '#rpc/rpc.js'
import type { ApplicationJob } from '../application/application.js'
import type { CheckpointRetention } from '../jobmaster/checkpoint/checkpoint-settings.js'
import { CollectedResults } from '../jobmaster/collected-results.js'
import type { CoordinatorFactory } from '../jobmaster/coordinator-factory.js'
import { JobMaster } from '../jobmaster/job-master.js'
import type { JobMasterSettings, StateRecovery } from '../jobmaster/job-master-settings.js'
import { endedFact, storeEndedJob } from '../jobmaster/job-result.js'
import type { ResourceManager } from '../resourcemanager/resource-manager.js'
import {
  type CompletedJob,
  CompletedJobs,
  type CompletedJobsOptions,
  completedDetails,
  completedOverview,
  jobGraphOrEmpty,
  loadJobGraph,
  unstartableDetails,
} from './completed-jobs.js'
import { Disposals } from './disposals.js'
import { validateJobGraph } from './graph-validation.js'
import { isToBeParked, ParkedJobs, recoveryBegun, recoverySurvived, SURVIVED_AFTER_MS } from './parked-jobs.js'
import { RetainedCheckpoints } from './retained-checkpoints.js'

const EXPIRATION_CHECK_MS = 10_000

export interface DispatcherOptions {
  readonly reign: Reign
  readonly blobs: ReplicatedBlobStore
  readonly endpoints: EndpointRegistry
  readonly resourceManager: ResourceManager
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly completed: CompletedJobsOptions
  /** INVALID_CONFIG where the job's settings can not be read. */
  settingsOf(jobGraph: JobGraph): JobMasterSettings
  readonly createCoordinators: CoordinatorFactory
  /** What this cluster is for, where it is one job. */
  readonly application?: ApplicationJob
}

/** Of all jobs. */
export async function readJobs(facts: FactStore): Promise<readonly Versioned<JobFact>[]> {
  const found = await Promise.all((await facts.listJobs()).map((jobId) => facts.readJob(jobId)))
  return found.filter((fact) => fact !== undefined)
}

interface RunningJob {
  readonly master: JobMaster
  readonly unregister: () => void
  /** Ends when its recovery counts as survived, at the latest. */
  recovery?: Timer
}

export class Dispatcher implements DispatcherGateway {
  readonly #jobs = new Map<string, RunningJob>()
  readonly #completed: CompletedJobs
  readonly #parked: ParkedJobs
  readonly #retained: RetainedCheckpoints
  readonly #disposals: Disposals
  readonly #submissions = new Map<string, Promise<void>>()
  #expirations: Timer | undefined
  #stopped = false

  constructor(private readonly options: DispatcherOptions) {
    const { reign, blobs, clock, random, logger, resourceManager: slots, application } = options
    this.#completed = new CompletedJobs({ ...options.completed, ...(application ? { keeps: application.jobId } : {}) })
    this.#retained = new RetainedCheckpoints({ reign, blobs, logger, onChanged: (fact) => this.#completed.update(fact) })
    this.#disposals = new Disposals({
      reign,
      clock,
      random,
      logger,
      find: (path) => this.#retained.find(path),
      dispose: (path) => this.#retained.dispose(path),
    })
    this.#parked = new ParkedJobs({ clock, logger, slots, retry: (jobId, release) => this.#retry(jobId, release) })
  }

  /** Takes over all jobs of the reign before. Fails only when facts or blobs can not be read now, and the next try may. */
  async recover(jobs: readonly Versioned<JobFact>[]): Promise<void> {
    const { reign, clock } = this.options
    const disposals = reign.facts.listDisposals()
    disposals.catch(() => {}) // Below.
    // All at once, and all to their end: what has begun when this fails can be stopped.
    const recovered = await Promise.allSettled(jobs.map((fact) => this.#recover(fact)))
    for (const outcome of recovered) if (outcome.status === 'rejected') throw outcome.reason
    this.#disposals.resume(await disposals) // They change what is known of jobs.
    this.#expirations = every(clock, EXPIRATION_CHECK_MS, () => this.#expire(), { unref: true })
  }
  /** JobMasters stop; the jobs themselves go on. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#expirations?.cancel()
    this.#parked.stop()
    // They stay for questions.
    await Promise.all(
      [...this.#jobs.values()].map(async (job) => {
        job.unregister()
        job.recovery?.cancel()
        if (this.options.reign.holds()) await this.#recovered(job)
        await job.master.stop()
      }),
    )
  }

  async submitJob({ jobGraph }: { jobGraph: JobGraph }): Promise<{ accepted: true }> {
    if (this.#stopped) throw new FlottError('NOT_LEADER', 'the Dispatcher has stopped')
    validateJobGraph(jobGraph)
    const { stateRecovery } = this.options.settingsOf(jobGraph)
    const { jobId } = jobGraph
    this.options.application?.admit(jobId)
    const before = this.#submissions.get(jobId) ?? Promise.resolve()
    const submission = before.catch(() => {}).then(() => this.#submit(jobGraph, stateRecovery))
    this.#submissions.set(jobId, submission)
    try {
      await submission
    } finally {
      if (this.#submissions.get(jobId) === submission) this.#submissions.delete(jobId)
    }
    return { accepted: true }
  }
  async cancelJob({ jobId }: { jobId: string }): Promise<{ accepted: true }> {
    await this.#parked.resume(jobId, (id, release) => this.#cancelParked(id, release))
    const job = this.#jobs.get(jobId)
    if (!job) {
      const { status } = this.#completedJob(jobId).fact.terminal
      throw new FlottError('JOB_ALREADY_TERMINATED', `job ${jobId} is ${status}`)
    }
    await job.master.cancel()
    return { accepted: true }
  }
  /** Undefined: not known. Its end is durable. */
  knownJob(jobId: string): 'RUNNING' | JobEnd | undefined {
    if (this.#jobs.has(jobId) || this.#parked.get(jobId)) return 'RUNNING'
    return this.#completed.get(jobId)?.fact.terminal.status
  }
  async listJobs(): Promise<readonly JobOverview[]> {
    const running = [...this.#jobs.values()].map(({ master }) => master.overview())
    return [...running, ...this.#parked.overviews(), ...this.#completed.all().map(completedOverview)]
  }
  async describeJob({ jobId }: { jobId: string }): Promise<JobDetails> {
    const job = this.#jobs.get(jobId)
    if (job) return job.master.describe()
    const parked = this.#parked.get(jobId)
    if (parked) {
      const jobGraph = await jobGraphOrEmpty(this.options.blobs, parked)
      return this.#parked.details(jobId, jobGraph) ?? this.describeJob({ jobId }) // It may have been tried meanwhile.
    }
    return completedDetails(this.#completedJob(jobId), this.options.blobs)
  }
  async fetchCollected(request: {
    jobId: string
    operatorId: string
    after: number
  }): Promise<{ records: readonly unknown[]; next: number; ended: boolean }> {
    const { jobId, operatorId, after } = request
    const job = this.#jobs.get(jobId)
    const isParked = this.#parked.get(jobId) !== undefined
    const collected = isParked ? undefined : job ? job.master.collected : await this.#collectedOf(this.#completedJob(jobId))
    const { records, next, more } = collected?.fetch(operatorId, after) ?? { records: [], next: after, more: false }
    return { records, next, ended: !job && !isParked && !more }
  }
  async clusterOverview(): Promise<ClusterOverview> {
    const { resourceManager } = this.options
    const { total, free, freeAndBlocked } = resourceManager.slotCounts()
    const taskManagers = resourceManager.describe()
    const ended = (status: string) => this.#completed.all().filter((job) => job.fact.terminal.status === status).length
    return {
      taskManagers: taskManagers.length,
      taskManagersBlocked: taskManagers.filter((taskManager) => taskManager.blocked).length,
      slotsFreeAndBlocked: freeAndBlocked,
      slotsTotal: total,
      slotsAvailable: free,
      jobsRunning: this.#jobs.size + this.#parked.size,
      jobsFinished: ended('FINISHED'),
      jobsCancelled: ended('CANCELED'),
      jobsFailed: ended('FAILED'),
    }
  }
  async listTaskManagers(): Promise<readonly TaskManagerDetails[]> {
    return this.options.resourceManager.describe()
  }
  drainTaskManager({ taskManagerId }: { taskManagerId: string }): Promise<DrainStatus> {
    return this.options.resourceManager.requestDrain(taskManagerId)
  }
  async drainStatus({ taskManagerId, processId }: { taskManagerId: string; processId?: string }): Promise<DrainStatus> {
    return this.options.resourceManager.drainStatus(taskManagerId, processId)
  }

  listRetainedCheckpoints(): Promise<readonly RetainedCheckpoint[]> {
    return this.#retained.list()
  }
  triggerDisposal({ path }: { path: string }): Promise<{ requestId: string }> {
    return this.#disposals.trigger(path)
  }
  async disposalStatus({ requestId }: { requestId: string }): Promise<DisposalStatus> {
    return this.#disposals.status(requestId)
  }

  async #submit(jobGraph: JobGraph, stateRecovery: StateRecovery): Promise<void> {
    const { reign, blobs, clock } = this.options
    const { jobId, jobName, artifact } = jobGraph
    const bytes = encodeJobGraph(jobGraph)
    const name = `graph/${createHash('sha256').update(bytes).digest('hex')}`
    if (this.#isKnown(jobId, name)) return
    if (artifact !== undefined && !(await blobs.info(artifact))) throw new FlottError('BLOB_NOT_FOUND', `${artifact} was not uploaded`)
    // Its checkpoints have names that are made of the id, and would become those of this one.
    if (await this.#retained.isRetired(jobId)) throw new FlottError('JOB_SUBMISSION_FAILED', `job ${jobId} has ended, and left checkpoints`)
    const created = await this.#retained.startOf(jobGraph, stateRecovery, async (startsFrom) => {
      await blobs.put(name, bytes)
      await reign.whenConfirmed()
      return this.#create({
        jobId,
        jobName,
        target: 'RUNNING',
        submittedTime: clock.now(),
        ...(artifact === undefined ? {} : { artifact }),
        jobGraph: name,
        checkpoints: [],
        ...(startsFrom ? { startsFrom } : {}),
        checkpointIdReserved: startsFrom?.id ?? 0, // Ids rise from there, so that what sinks hold from before is older than all of this job.
        attemptNumber: -1,
        restarts: { count: 0 },
      })
    })
    if (this.#stopped) throw new FlottError('NOT_LEADER', 'the job is accepted, and the next leader will run it')
    if (created.value.terminal) return this.#recover(created) // It has ended, and its record could not be removed yet.
    await this.#startOrFail(jobGraph, created)
  }
  /** Also when an earlier try of the same submission had created it, and nobody learned of that. */
  async #create(fact: JobFact): Promise<Versioned<JobFact>> {
    const { facts } = this.options.reign
    try {
      return { value: fact, version: await facts.createJob(fact) }
    } catch (error) {
      if (!isFlottError(error, 'FACT_EXISTS', 'FACT_CONFLICT')) throw error
    }
    const found = await facts.readJob(fact.jobId)
    if (found?.value.jobGraph === fact.jobGraph) return found
    throw new FlottError('JOB_SUBMISSION_FAILED', `another job has the id ${fact.jobId}`)
  }

  /** JOB_SUBMISSION_FAILED where the id belongs to another job. */
  #isKnown(jobId: string, graph: string): boolean {
    const fact = this.#jobs.get(jobId)?.master.fact ?? this.#parked.get(jobId) ?? this.#completed.get(jobId)?.fact
    if (!fact) return false
    if (fact.jobGraph !== graph) throw new FlottError('JOB_SUBMISSION_FAILED', `another job has the id ${jobId}`)
    return true
  }

  async #recover(fact: Versioned<JobFact>): Promise<void> {
    const { terminal } = fact.value
    if (terminal) return this.#completed.add({ fact: { ...fact.value, terminal }, details: undefined, collected: undefined })
    if (isToBeParked(fact.value)) return this.#parked.park(fact)
    await this.#takeOver(fact)
  }
  async #takeOver(found: Versioned<JobFact>): Promise<void> {
    const { clock } = this.options
    const loading = this.#load(found.value) // Beside the write: nothing of the job runs for that.
    loading.catch(() => {}) // Below.
    const fact = await this.#set(found, recoveryBegun)
    try {
      await this.#begin(fact, loading)
    } catch (cause) {
      // It was survived, whatever it was.
      await this.#set(fact, recoverySurvived).catch((error: unknown) => this.#notRecorded(fact.value.jobId, error))
      throw cause
    }
    const job = this.#jobs.get(fact.value.jobId)
    if (job) job.recovery = clock.setTimer(SURVIVED_AFTER_MS, () => void this.#recovered(job), { unref: true })
  }
  async #load(fact: JobFact): Promise<JobGraph> {
    const [jobGraph] = await Promise.all([loadJobGraph(this.options.blobs, fact), this.#checkBlobs(fact)])
    return jobGraph
  }
  async #begin(fact: Versioned<JobFact>, loading = this.#load(fact.value)): Promise<void> {
    let jobGraph: JobGraph
    try {
      jobGraph = await loading
    } catch (cause) {
      return this.#failUnrecoverable(fact, cause)
    }
    await this.#startOrFail(jobGraph, fact)
  }
  /** Never rejects: where it can not be recorded, the next leader counts one recovery too many. */
  async #recovered({ master, recovery }: RunningJob): Promise<void> {
    recovery?.cancel()
    if (master.fact.unfinishedRecoveries === undefined) return
    await master.updateFact(recoverySurvived).catch((error: unknown) => this.#notRecorded(master.jobGraph.jobId, error))
  }
  #notRecorded(jobId: string, error: unknown): void {
    this.options.logger.debug('a survived recovery was not recorded', { jobId, error })
  }
  async #retry(jobId: string, release: () => void): Promise<void> {
    const fact = await this.options.reign.facts.readJob(jobId)
    if (fact) await this.#takeOver(fact)
    if (!this.#jobs.has(jobId)) release()
  }
  async #cancelParked(jobId: string, release: () => void): Promise<void> {
    const fact = await this.options.reign.facts.readJob(jobId)
    if (fact) await this.#begin(await this.#set(fact, (value) => ({ ...value, target: 'CANCELED' })))
    if (!this.#jobs.has(jobId)) release()
  }
  async #set({ value, version }: Versioned<JobFact>, change: (fact: JobFact) => JobFact): Promise<Versioned<JobFact>> {
    const { reign } = this.options
    await reign.whenConfirmed()
    const changed = change(value)
    return { value: changed, version: await reign.facts.setJob(changed, version) }
  }
  async #startOrFail(jobGraph: JobGraph, fact: Versioned<JobFact>): Promise<void> {
    try {
      await this.#start(jobGraph, fact)
    } catch (cause) {
      await this.#failUnrecoverable(fact, cause)
    }
  }
  async #start(jobGraph: JobGraph, fact: Versioned<JobFact>): Promise<void> {
    const { reign, blobs, resourceManager: slots, clock, random, logger, settingsOf, createCoordinators, endpoints } = this.options
    const settings = settingsOf(jobGraph)
    const master = new JobMaster({
      jobGraph,
      fact,
      reign,
      blobs,
      slots,
      clock,
      random,
      logger,
      settings,
      createCoordinators,
      onAllRunning: () => {
        const job = this.#jobs.get(jobGraph.jobId)
        if (job) void this.#recovered(job)
      },
      onEnded: (details) => this.#ended(details),
    })
    const unregister = endpoints.register(jobMasterGateway, master, jobGraph.jobId)
    this.#jobs.set(jobGraph.jobId, { master, unregister })
    try {
      await master.start()
    } catch (error) {
      unregister()
      this.#jobs.delete(jobGraph.jobId)
      await master.stop()
      throw error
    }
  }
  #ended(details: JobDetails): void {
    const job = this.#jobs.get(details.jobId)
    const { terminal } = details.fact
    if (!job || !terminal) return
    this.#jobs.delete(details.jobId)
    job.unregister()
    this.#complete({ fact: { ...details.fact, terminal }, details, collected: job.master.collected })
    this.#expire()
  }
  #complete(job: CompletedJob): void {
    const { application } = this.options
    this.#completed.add(job)
    if (job.fact.jobId === application?.jobId) application.ended(job.fact.terminal.status)
  }

  /** All that the fact names, and that this job can not go on without, is on disk; a blob that is not is fetched from another disk. */
  async #checkBlobs({ artifact, deployment, checkpoints, startsFrom }: JobFact): Promise<void> {
    const { blobs } = this.options
    for (const name of [artifact, deployment, (checkpoints.at(-1) ?? startsFrom)?.manifest])
      if (name !== undefined && !(await blobs.info(name))) await blobs.get(name)
  }
  async #failUnrecoverable({ value: fact, version }: Versioned<JobFact>, cause: unknown): Promise<void> {
    const { clock, blobs, reign, logger } = this.options
    // What may pass ends no job: it ends this reign, and the next one, maybe on another disk, tries again.
    if (reign.signal.aborted || isTransient(cause) || isStorageTrouble(cause)) throw cause
    logger.error('a job can not be started', { jobId: fact.jobId, cause })
    const terminal = { status: 'FAILED' as const, endTime: clock.now() }
    const details = unstartableDetails(fact, await jobGraphOrEmpty(blobs, fact), cause, terminal.endTime)
    const ended = endedFact(fact, await storeEndedJob(blobs, details), terminal, this.#retentionOf(details.jobGraph))
    await reign.facts.setJob(ended, version)
    this.#complete({ fact: { ...ended, terminal }, details: { ...details, fact: ended }, collected: undefined })
  }

  /** Kept where its settings can not be read. */
  #retentionOf(jobGraph: JobGraph): CheckpointRetention {
    try {
      return this.options.settingsOf(jobGraph).checkpoints.retention
    } catch {
      return 'RETAIN_ON_CANCELLATION'
    }
  }
  #completedJob(jobId: string): CompletedJob {
    const job = this.#completed.get(jobId)
    if (!job) throw new FlottError('JOB_NOT_FOUND', `no job ${jobId}`)
    return job
  }
  #expire(): void {
    this.#disposals.forget()
    this.options.resourceManager.forgetDrains()
    for (const job of this.#completed.expire(this.options.clock.now()))
      this.#forget(job).catch((error: unknown) => {
        if (isFlottError(error, 'FACT_NOT_FOUND') || this.#stopped) return
        this.options.logger.warn('an expired job was not removed yet', { jobId: job.fact.jobId, error })
        this.#completed.add(job)
      })
  }
  /** In memory, or as an earlier reign has left them. */
  async #collectedOf(job: CompletedJob): Promise<CollectedResults> {
    if (job.collected) return job.collected
    const { blobs, logger, reign } = this.options
    const onNotDeleted = (error: unknown) => logger.warn('collected records that were fetched are not deleted', { error })
    const collected = new CollectedResults({ jobId: job.fact.jobId, checkpointing: true, epoch: reign.epoch, blobs, onNotDeleted })
    await collected.load()
    const known = this.#completed.get(job.fact.jobId)
    if (known?.collected) return known.collected
    if (known) this.#completed.add({ ...known, collected })
    return collected
  }
  /** The fact first: from then on nothing names the blobs but what is retained. The artifact may be another job's, too, and stays. */
  async #forget({ fact: { jobId, jobGraph, result, history } }: CompletedJob): Promise<void> {
    const { blobs } = this.options
    const areRetained = await this.#retained.retire(jobId)
    const names = [areRetained ? undefined : jobGraph, result, history].filter((name) => name !== undefined)
    for await (const { name } of blobs.list(collectedPrefix(jobId))) names.push(name)
    await blobs.delete(names)
  }
}
