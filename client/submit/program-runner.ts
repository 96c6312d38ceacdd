/**
 * Runs a user's program in this process, as `flott run` and `flott info` do: bundles it, imports the bundle, and lets its jobs go where
 * the caller says. What slots evaluate later is that same bundle.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { ARTIFACT_FILE, placeArtifact } from '#core/functions/artifact-directory.js'
import { JOB_ENTRY, type JobEntry } from '#core/functions/build-phase.js'
import { between, type Random, systemRandom } from '#core/random.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { bundle, moduleFile } from './bundle.js'
import type { ClusterClient } from './cluster-client.js'
import type { ClusterJobClient } from './job-client.js'
import { ArtifactExecutor, artifactName, type ExecutableJob, type JobExecutor } from './job-executor.js'
import { closeProgramSession, openProgramSession, type ProgramSession } from './program-session.js'

export interface ProgramOptions {
  /** Path of the .ts, .js or .mjs file. */
  readonly file: string
  readonly args: readonly string[]
  /** Below and above what the program sets (JobExecutor). */
  readonly defaults?: Readonly<Record<string, string>>
  readonly overrides?: Readonly<Record<string, string>>
}
export interface RunOptions extends ProgramOptions {
  readonly cluster: ClusterClient
  /** Of the program's first job; made anew when not set. */
  readonly jobId?: string
  /** Each job that the cluster has accepted. */
  readonly onSubmitted?: (job: ClusterJobClient, jobGraph: ExecutableJob['jobGraph']) => void
}

/** Resolves when the program has ended; its `execute` waits for its job. BUNDLE_FAILED, EMPTY_GRAPH, and whatever the program throws. */
export async function runProgram(options: RunOptions): Promise<void> {
  await withProgram(options, async (artifact, artifactOf, evaluate) => {
    const executor = new ArtifactExecutor({
      ...settingsOf(options),
      connect: () => Promise.resolve(options.cluster),
      artifactOf: async (module) => (module === undefined ? artifact : artifactOf(module)),
    })
    const submit = executor.submit.bind(executor)
    executor.submit = async (job, session) => {
      const { jobId = job.jobGraph.jobId } = job.executeIndex === 0 ? options : {}
      const client = await submit({ ...job, jobGraph: { ...job.jobGraph, jobId } }, session)
      options.onSubmitted?.(client, job.jobGraph)
      return client
    }
    await evaluate(executor)
  })
}

/** The graph of the program's first job, without running it; with the bundle that slots would evaluate. */
export async function graphOfProgram(options: ProgramOptions): Promise<{ readonly jobGraph: JobGraph; readonly artifact: Uint8Array }> {
  return withProgram(options, async (own, artifactOf, evaluate) => {
    let module: string | undefined
    const jobGraph = await captured(
      options,
      (executor) => evaluate(executor),
      (job) => (module = job.module),
    )
    const artifact = module === undefined ? own : await artifactOf(module)
    return { jobGraph: { ...jobGraph, artifact: artifactName(artifact) }, artifact }
  })
}

export interface FunctionOptions {
  readonly args?: readonly string[]
  readonly defaults?: Readonly<Record<string, string>>
  readonly overrides?: Readonly<Record<string, string>>
  readonly clockMs: number
  readonly random: Random
  readonly jobId: string
}
/** The graph of a program that is a function of this process: for the simulation, together with usercode's FunctionLoader. */
export async function graphOfFunction(program: () => unknown, options: FunctionOptions): Promise<JobGraph> {
  const { clockMs, random, args = [] } = options
  const evaluate = async (executor: JobExecutor) => {
    openProgramSession({ args, env: {}, clockMs, randomSeed: between(random, 0, 2 ** 32), executor })
    await program()
  }
  const graph = await captured(options, evaluate, () => {}).finally(closeProgramSession)
  return { ...graph, jobId: options.jobId }
}

type Evaluate = (executor: JobExecutor) => Promise<void>
type Settings = Pick<ProgramOptions, 'defaults' | 'overrides'>

function settingsOf({ defaults = {}, overrides = {} }: Settings): Required<Settings> {
  return { defaults, overrides }
}

/** Lets the program build, and stops it at its first execute, which never settles. */
function captured(options: Settings, evaluate: Evaluate, seen: (job: ExecutableJob) => void): Promise<JobGraph> {
  return new Promise<JobGraph>((resolve, reject) => {
    const executor: JobExecutor = {
      ...settingsOf(options),
      submit(job, session: ProgramSession) {
        seen(job)
        resolve({ ...job.jobGraph, program: session.spec(job.executeIndex, job.jobArgs) })
        return new Promise(() => {})
      },
      cluster: () => Promise.reject(new FlottError('JOB_NOT_FOUND', 'the program is only looked at: it has no cluster')),
    }
    evaluate(executor).then(() => reject(new FlottError('EMPTY_GRAPH', 'the program ended without calling execute')), reject)
  })
}

/** Bundles and unpacks the program for the time of `use`. */
async function withProgram<T>(
  { file, args }: ProgramOptions,
  use: (artifact: Uint8Array, artifactOf: (module: string) => Promise<Uint8Array>, evaluate: Evaluate) => Promise<T>,
): Promise<T> {
  const path = resolve(file)
  const { code, root } = await bundle(path)
  const artifactOf = async (module: string) => {
    const target = moduleFile(module, root)
    return target === path ? code : (await bundle(target)).code
  }
  const directory = await mkdtemp(join(tmpdir(), 'flott-'))
  const { argv } = process
  try {
    await placeArtifact(directory, code)
    process.setSourceMapsEnabled(true)
    return await use(code, artifactOf, (executor) => evaluateModule(join(directory, ARTIFACT_FILE), [argv[0]!, path, ...args], executor))
  } finally {
    process.argv = argv
    closeProgramSession()
    await rm(directory, { recursive: true, force: true })
  }
}

async function evaluateModule(artifact: string, argv: readonly string[], executor: JobExecutor): Promise<void> {
  const args = argv.slice(2)
  process.argv = [...argv]
  const session = openProgramSession({
    args,
    env: process.env,
    clockMs: systemClock.now(),
    randomSeed: between(systemRandom, 0, 2 ** 32),
    executor,
  })
  const module = (await import(pathToFileURL(artifact).href)) as { default?: { [JOB_ENTRY]?: JobEntry } }
  const entry = module.default?.[JOB_ENTRY]
  if (entry && session.executed === 0) await entry.evaluate(jobArguments(args))
  else await Promise.race([session.begun(), nothingLeftToDo()]) // A program need not await its own main().
  if (session.executed === 0) throw new FlottError('EMPTY_GRAPH', 'the program ended without calling execute')
}

/** A module made by defineJob takes one argument, as JSON. */
function jobArguments([text]: readonly string[]): unknown {
  if (text === undefined) return null
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FlottError('JOB_ARGS_NOT_JSON', `the argument of the job is no JSON: ${text.slice(0, 120)}`, { cause })
  }
}

function nothingLeftToDo(): Promise<void> {
  return new Promise((resolve) => process.once('beforeExit', () => resolve()))
}
