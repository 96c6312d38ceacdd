/** flott run and flott info: evaluate a program here, send what it builds to the cluster, or print it. */
import { existsSync, statSync } from 'node:fs'
import type { Clock } from '#core/clock.js'
import { deserializeError, FlottError, isFlottError } from '#core/errors.js'
import { accumulatorResult } from '#core/functions/accumulator.js'
import type { JobResult } from '../submit/cluster-client.js'
import { type ProgramOptions, runProgram } from '../submit/program-runner.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { AttachedCluster } from './attached-cluster.js'
import { EXIT } from './exit-codes.js'
import type { Terminal } from './terminal.js'

export interface RunOptions extends ProgramOptions {
  readonly detached: boolean
  readonly shutdownOnAttachedExit: boolean
  readonly json: boolean
}

export async function run(client: RestClusterClient, options: RunOptions, terminal: Terminal, clock: Clock): Promise<number> {
  const cluster = new AttachedCluster(client, { detached: options.detached, quiet: options.json, terminal, clock })
  if (!options.detached) onInterrupt(cluster, options.shutdownOnAttachedExit, terminal, clock)
  let failure: unknown
  try {
    await evaluate(options, cluster)
  } catch (error) {
    // A job that failed is told below; a program may also throw after its jobs have ended.
    if (!isFlottError(error, 'JOB_FAILED', 'JOB_CANCELED') || cluster.submitted.length === 0) failure = error
  }
  const results = cluster.submitted.length === 0 ? [] : await cluster.results()
  if (options.json) terminal.out(JSON.stringify(jsonOf(results, options.detached)))
  else if (!options.detached) for (const result of results) tell(result, terminal)
  if (failure !== undefined) throw failure
  return exitCodeOfResults(results)
}

/** Ctrl-C leaves the job running, unless -sae. */
function onInterrupt(cluster: AttachedCluster, cancel: boolean, terminal: Terminal, clock: Clock): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      const code = signal === 'SIGINT' ? EXIT.SIGINT : EXIT.SIGTERM
      const jobs = cluster.submitted
      if (!cancel || jobs.length === 0) {
        for (const jobId of jobs) terminal.note(`Job ${jobId} runs on; flott cancel ${jobId} ends it.`)
        process.exit(code)
      }
      terminal.note(`Cancelling ${jobs.join(', ')}.`)
      clock.setTimer(5_000, () => process.exit(code))
      void Promise.allSettled(jobs.map((jobId) => cluster.cancelJob(jobId))).then(() => process.exit(code))
    })
}

async function evaluate(options: RunOptions, cluster: AttachedCluster): Promise<void> {
  refuseMissing(options.file)
  await namingProgram(options.file, () => runProgram({ ...options, cluster }))
}

/** What the user's own code throws becomes PROGRAM_FAILED; its stack names the user's line. */
export async function namingProgram<T>(file: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (isFlottError(cause)) throw cause
    throw new FlottError('PROGRAM_FAILED', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

export function refuseMissing(file: string): void {
  if (!existsSync(file) || !statSync(file).isFile()) throw new FlottError('INVALID_ARGUMENT', `there is no file ${file}`)
}

function tell(result: JobResult, terminal: Terminal): void {
  const { jobId, status, netRuntimeMs, accumulators, failure } = result
  if (status !== 'FINISHED') {
    terminal.note(`Job ${jobId} ended ${status} after ${netRuntimeMs} ms.`)
    if (failure) terminal.note(stackOf(deserializeError(failure)))
    return
  }
  terminal.note(`Job with JobID ${jobId} has finished.`)
  terminal.note(`Job Runtime: ${netRuntimeMs} ms`)
  const entries = Object.entries(resultsOf(accumulators))
  if (entries.length > 0) terminal.note('Accumulator Results:')
  for (const [name, value] of entries) terminal.note(`- ${name}: ${JSON.stringify(value)}`)
}

/** With the stack where user code is to blame, or where nobody knows who is. */
export function describeError(error: unknown): string {
  if (!isFlottError(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  return error.code === 'PROGRAM_FAILED' && error.cause instanceof Error ? stackOf(error) : error.message
}

export function stackOf(error: Error): string {
  const own = error.stack?.includes(error.message) ? error.stack : `${error.name}: ${error.message}\n${error.stack ?? ''}`
  return error.cause instanceof Error ? `${own}\nCaused by: ${stackOf(error.cause)}` : own
}

/** The program was evaluated here, so its accumulators know what they make of their values. */
function resultsOf(accumulators: JobResult['accumulators']): Record<string, unknown> {
  return Object.fromEntries(Object.entries(accumulators).map(([name, value]) => [name, accumulatorResult(name, value)]))
}

function jsonOf(results: readonly JobResult[], detached: boolean): unknown {
  const jobs = results.map(({ jobId, status, netRuntimeMs, accumulators, failure }) =>
    detached
      ? { jobId }
      : { jobId, status, netRuntimeMs, accumulators: resultsOf(accumulators), ...(failure === undefined ? {} : { failure }) },
  )
  return jobs.length === 1 ? jobs[0] : jobs
}

function exitCodeOfResults(results: readonly JobResult[]): number {
  if (results.some((result) => result.status === 'FAILED')) return EXIT.JOB_FAILED
  return results.some((result) => result.status === 'CANCELED') ? EXIT.JOB_CANCELED : EXIT.OK
}
