/**
 * Evaluates a program in this thread for its functions: the build phase is open and the recorded world in place until the execute()
 * in question hands over what it built. The program stops there: that execute() never settles.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Clock, sleep } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { ARTIFACT_FILE } from '#core/functions/artifact-directory.js'
import { type BuiltProgram, enterBuildPhase, JOB_ENTRY, type JobEntry, leaveBuildPhase } from '#core/functions/build-phase.js'
import { firstDifference, jobGraphFingerprintParts } from '#protocol/graph/fingerprint.js'
import type { JobGraph, ProgramSpec } from '#protocol/graph/job-graph.js'
import { enterBuildWorld } from './build-world.js'
import type { UserCodeLoader } from './user-code-loader.js'

const EXECUTE_GRACE_MS = 30_000 // A program that does not await its own main() may call execute() after its module has ended.

/** Loads the artifact that lies in the directory, anew each time, so that each load has its own functions. */
export class ArtifactLoader implements UserCodeLoader {
  static #loads = 0
  constructor(private readonly clock: Clock) {}

  load(jobGraph: JobGraph, artifactDirectory: string | undefined): Promise<BuiltProgram> {
    if (artifactDirectory === undefined)
      return Promise.reject(new FlottError('USER_CODE_LOAD_FAILED', `job ${jobGraph.jobId} has no artifact`))
    process.setSourceMapsEnabled(true) // Traces name the lines that the user wrote.
    const { href } = pathToFileURL(join(artifactDirectory, ARTIFACT_FILE))
    return evaluate(jobGraph, async (signal) => {
      const module = (await import(`${href}?load=${++ArtifactLoader.#loads}`)) as { default?: { [JOB_ENTRY]?: JobEntry } }
      const entry = module.default?.[JOB_ENTRY]
      if (entry && jobGraph.program.jobArgs !== undefined) await entry.evaluate(jobGraph.program.jobArgs)
      await sleep(this.clock, EXECUTE_GRACE_MS, signal)
    })
  }
}

/** For programs that are functions of this process: the simulation. Each load calls the function anew. */
export class FunctionLoader implements UserCodeLoader {
  constructor(private readonly program: () => unknown) {}
  load(jobGraph: JobGraph): Promise<BuiltProgram> {
    return evaluate(jobGraph, async () => void (await this.program()))
  }
}

let last: Promise<unknown> = Promise.resolve()

/** One at a time in a thread. GRAPH_NOT_DETERMINISTIC, PROGRAM_FAILED, EMPTY_GRAPH. */
function evaluate(jobGraph: JobGraph, program: (signal: AbortSignal) => Promise<void>): Promise<BuiltProgram> {
  const turn = last.then(() => evaluateNow(jobGraph, program))
  last = turn.catch(() => {})
  return turn
}

async function evaluateNow(jobGraph: JobGraph, program: (signal: AbortSignal) => Promise<void>): Promise<BuiltProgram> {
  const leaveWorld = enterBuildWorld(jobGraph.program)
  const over = new AbortController()
  try {
    const built = new Promise<BuiltProgram>((resolve) => {
      enterBuildPhase(phaseOf(jobGraph.program, resolve))
    })
    const ended = program(over.signal).then(
      () => {
        throw new FlottError('EMPTY_GRAPH', `the program of job '${jobGraph.jobName}' ended without calling execute`)
      },
      (cause: unknown) => {
        throw failureOf(cause, jobGraph)
      },
    )
    ended.catch(() => {}) // After the hand-over nobody waits for it.
    return checked(await Promise.race([built, ended]), jobGraph)
  } finally {
    over.abort()
    leaveBuildPhase()
    leaveWorld()
  }
}

function phaseOf({ once, executeIndex, earlierResults, args, jobArgs }: ProgramSpec, built: (program: BuiltProgram) => void) {
  return { once, executeIndex, earlierResults, args, ...(jobArgs === undefined ? {} : { jobArgs }), built }
}

function failureOf(cause: unknown, { jobName }: JobGraph): FlottError {
  const { code, message } = cause as { code?: unknown; message?: unknown }
  if (code === 'ERR_MODULE_NOT_FOUND' || cause instanceof SyntaxError)
    return new FlottError('USER_CODE_LOAD_FAILED', `the artifact of job '${jobName}' does not load: ${String(message)}`, { cause })
  return new FlottError('PROGRAM_FAILED', `the program of job '${jobName}' threw: ${String(message ?? cause)}`, { cause })
}

function checked(program: BuiltProgram, jobGraph: JobGraph): BuiltProgram {
  if (program.fingerprint === jobGraph.fingerprint) return program
  const difference = firstDifference(jobGraphFingerprintParts(jobGraph), program.fingerprintParts)
  throw new FlottError('GRAPH_NOT_DETERMINISTIC', `job '${jobGraph.jobName}': ${difference ?? 'the fingerprints differ'}`)
}
