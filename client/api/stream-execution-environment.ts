/**
 * Where a program begins: sources are made here, and `execute` hands over what was built. In a slot, where the program is evaluated
 * again for its functions, the same calls give them to the open build phase instead (core/functions/build-phase.ts).
 */

import { systemClock } from '#core/clock.js'
import { isFlottError, serializeError } from '#core/errors.js'
import { type BuildPhase, type BuiltProgram, currentBuildPhase } from '#core/functions/build-phase.js'
import type { Source, SourceSplit } from '#core/functions/source.js'
import { randomId, stableId } from '#core/ids.js'
import { systemRandom } from '#core/random.js'
import { fingerprintOf, jobGraphFingerprintParts } from '#protocol/graph/fingerprint.js'
import { CollectionSource } from '../connectors/collection-source.js'
import { SequenceSource } from '../connectors/sequence-source.js'
import { generateJobGraph } from '../graph/job-graph-generator.js'
import { automaticUid, builtProgramOf, generateStreamGraph, type StreamGraph } from '../graph/stream-graph-generator.js'
import type { Transformation } from '../graph/transformation.js'
import { TransformationRegistry } from '../graph/transformation-registry.js'
import { earlierJob, type RecordedJob } from '../submit/earlier-job.js'
import { localExecutor, remoteExecutor } from '../submit/executors.js'
import { ClusterJobClient, type JobClient, type JobExecutionResult } from '../submit/job-client.js'
import type { JobExecutor } from '../submit/job-executor.js'
import { type ProgramSession, programSession } from '../submit/program-session.js'
import { type Configuration, configOfSettings, settingsOf } from './configuration.js'
import type { DataStream } from './data-stream.js'
import { buildJob, type Job } from './define-job.js'
import { type AnyOptions, optionsObject, type SourceOptions } from './options.js'
import { checkWatermarks, Stream, type StreamEnvironment, typed } from './stream.js'

type Settings = Readonly<Record<string, string>>

export class StreamExecutionEnvironment {
  readonly #phase: BuildPhase | undefined = currentBuildPhase()
  readonly #registry: TransformationRegistry
  readonly #streams: StreamEnvironment
  /** Streams that are collected wait for the job that will hold them. */
  #waiting: ((client: ClusterJobClient) => void)[] = []

  private constructor(
    private readonly settings: Settings,
    private readonly session: ProgramSession,
    private readonly executor: JobExecutor,
  ) {
    const { defaults, overrides } = executor
    const config = configOfSettings({ ...defaults, ...settings, ...overrides })
    this.#registry = new TransformationRegistry({
      autoGenerateUids: config['pipeline.auto-generate-uids'],
      recordLines: this.#phase === undefined,
    })
    this.#streams = {
      registry: this.#registry,
      collectAndExecute: (collect, limit) => this.#collectAndExecute(collect, limit),
      collected: (collect) => this.#collected(collect, new Promise((resolve) => this.#waiting.push(resolve))),
    }
  }

  /** Under `flott run`: its cluster. In plain Node: a cluster in this process. INVALID_CONFIG. */
  static getExecutionEnvironment(config: Configuration = {}): StreamExecutionEnvironment {
    const session = programSession()
    return new StreamExecutionEnvironment(settingsOf(config), session, session.options.executor ?? localExecutor())
  }
  /** A cluster in this process, for the time of each job; also under `flott run`. INVALID_CONFIG. */
  static createLocalEnvironment(config: Configuration = {}): StreamExecutionEnvironment {
    return new StreamExecutionEnvironment(settingsOf(config), programSession(), localExecutor())
  }
  static createRemoteEnvironment(host: string, port: number, config: Configuration = {}): StreamExecutionEnvironment {
    return new StreamExecutionEnvironment(settingsOf(config), programSession(), remoteExecutor(host, port))
  }

  /** In order, by one subtask. */
  fromData<T>(records: readonly T[], options?: SourceOptions<T>): DataStream<T> {
    return this.#source(new CollectionSource(records), 'Collection Source', options as AnyOptions, true)
  }
  /** All integers from the first to the last, both included; each subtask has a part of them in order. */
  fromSequence(from: number, to: number, options?: SourceOptions<number>): DataStream<number> {
    return this.#source(new SequenceSource(from, to), 'Sequence Source', options as AnyOptions)
  }
  fromSource<T, S extends SourceSplit, E>(source: Source<T, S, E>, options?: SourceOptions<T>): DataStream<T> {
    return this.#source(source, source.constructor === Object ? 'Source' : source.constructor.name, options as AnyOptions)
  }

  /** A value that is computed at the client only and comes along to the slots: a generated id, a file's content. Must be JSON. */
  once<T>(name: string, compute: () => T): T {
    const phase = this.#phase
    return phase && Object.hasOwn(phase.once, name) ? (phase.once[name] as T) : this.session.once(name, compute)
  }

  /** Runs the job and waits for its end. EMPTY_GRAPH, PARALLELISM_ABOVE_MAX, JOB_FAILED, JOB_CANCELED. */
  async execute(job?: string | Job): Promise<JobExecutionResult> {
    return (await this.executeAsync(job)).getJobExecutionResult()
  }
  /** Resolves once the cluster has accepted the job. */
  executeAsync(job?: string | Job, config: Configuration = {}): Promise<JobClient> {
    return this.#submit(job, settingsOf(config))
  }
  /** Of a job on this environment's cluster. */
  getJobClient(jobId: string): JobClient {
    return new LazyJobClient(jobId, async () => new ClusterJobClient(jobId, await this.executor.cluster(), systemClock))
  }

  #source<T, S extends SourceSplit, E>(
    source: Source<T, S, E>,
    defaultName: string,
    options: AnyOptions,
    nonParallel = false,
  ): DataStream<T> {
    const { watermarks } = optionsObject(options)
    if (watermarks) checkWatermarks(watermarks)
    const definition = {
      kind: 'source',
      source: source as unknown as Source<unknown, SourceSplit, unknown>,
      ...(watermarks ? { watermarks } : {}),
    } as const
    const step = new Stream(this.#streams, []).step(definition, defaultName, options, { prefix: 'Source: ', nonParallel })
    return typed(new Stream(this.#streams, [{ from: step }]))
  }

  async #submit(job: string | Job | undefined, extra: Settings): Promise<ClusterJobClient> {
    if (typeof job === 'object') buildJob(job, this)
    const { defaults, overrides } = this.executor
    const settings = { ...defaults, ...this.settings, ...extra, ...overrides }
    const config = configOfSettings(settings)
    const jobName = config['pipeline.name'] || (typeof job === 'object' ? job.jobName : job) || 'Flott Streaming Job'
    const graph = generateStreamGraph(jobName, this.#registry.take())
    const waiting = this.#waiting.splice(0)
    const client = await (this.#phase
      ? evaluated(this.#phase, builtProgramOf(graph))
      : this.#accepted(graph, settings, typeof job === 'object' ? { module: job.module, jobArgs: job.args } : {}))
    for (const start of waiting) start(client)
    return client
  }
  async #accepted(graph: StreamGraph, settings: Settings, module: { module?: string; jobArgs?: unknown }): Promise<ClusterJobClient> {
    const executeIndex = this.session.begin()
    try {
      const client = await this.executor.submit({ jobGraph: jobGraphOf(graph, settings), executeIndex, ...module }, this.session)
      this.session.record(executeIndex, { jobId: client.jobId })
      return client
    } catch (error) {
      this.session.record(executeIndex, { refused: serializeError(error) })
      throw error
    }
  }

  async #collectAndExecute(collect: Transformation, limit: number | undefined): Promise<unknown[]> {
    const client = await this.#submit(undefined, {})
    const records: unknown[] = []
    for await (const record of client.collected(stableId(automaticUid(collect)))) {
      records.push(record)
      if (records.length !== limit) continue
      await client.cancel().catch((error: unknown) => {
        if (!isFlottError(error, 'JOB_ALREADY_TERMINATED')) throw error
      })
      return records
    }
    await client.getJobExecutionResult()
    return records
  }
  async *#collected(collect: Transformation, started: Promise<ClusterJobClient>): AsyncIterable<unknown> {
    const client = await started
    yield* client.collected(stableId(automaticUid(collect)))
    await client.getJobExecutionResult()
  }
}

function jobGraphOf(graph: StreamGraph, settings: Settings) {
  const config = configOfSettings(settings)
  const max = config['pipeline.max-parallelism']
  const vertices = generateJobGraph(graph, {
    parallelism: config['parallelism.default'],
    chaining: config['pipeline.operator-chaining.enabled'],
    ...(max > 0 ? { maxParallelism: max } : {}),
  })
  const fingerprint = fingerprintOf(jobGraphFingerprintParts(vertices))
  return { jobId: randomId(systemRandom), jobName: graph.jobName, fingerprint, settings, ...vertices }
}

const executions = new WeakMap<BuildPhase, number>()

/** In a slot: earlier jobs have their recorded outcome, the one in question ends the evaluation, so that nothing after it runs. */
function evaluated(phase: BuildPhase, program: BuiltProgram): Promise<ClusterJobClient> {
  const index = executions.get(phase) ?? 0
  executions.set(phase, index + 1)
  if (index < phase.executeIndex) return earlierJob(phase.earlierResults[index] as RecordedJob)
  if (index === phase.executeIndex) phase.built(program)
  return new Promise(() => {})
}

/** Connects when it is first asked something. */
class LazyJobClient implements JobClient {
  #client: Promise<JobClient> | undefined
  constructor(
    readonly jobId: string,
    private readonly connect: () => Promise<JobClient>,
  ) {}
  get #connected(): Promise<JobClient> {
    this.#client ??= this.connect()
    return this.#client
  }
  async getJobStatus() {
    return (await this.#connected).getJobStatus()
  }
  async *jobStatusChanges(signal?: AbortSignal) {
    yield* (await this.#connected).jobStatusChanges(signal)
  }
  async cancel() {
    await (await this.#connected).cancel()
  }
  async getJobExecutionResult() {
    return (await this.#connected).getJobExecutionResult()
  }
}
