/**
 * A job as a module: functions cannot be shipped, modules can. `defineJob` makes the module's default export; calling that with
 * arguments makes a Job that `execute` takes, and importing the module starts nothing.
 */
import { FlottError } from '#core/errors.js'
import { JOB_ENTRY, type JobEntry } from '#core/functions/build-phase.js'
import { StreamExecutionEnvironment } from './stream-execution-environment.js'

export interface Job {
  readonly jobName: string
  /** import.meta.url of the module whose default export it is. */
  readonly module: string
  readonly args: unknown
}

const builds = new WeakMap<Job, (env: StreamExecutionEnvironment) => void>()

/** JOB_ARGS_NOT_JSON, from the call with the arguments, where they are not plain JSON: they travel to the slots. */
export function defineJob<A = void>(
  module: string,
  jobName: string,
  build: (env: StreamExecutionEnvironment, args: A) => void,
): (args: A) => Job {
  const make = (args: A): Job => {
    const text = notJson(args ?? null, 'args')
    if (text !== undefined) throw new FlottError('JOB_ARGS_NOT_JSON', `job '${jobName}': ${text}`)
    const job: Job = Object.freeze({ jobName, module, args: structuredClone(args ?? null) })
    builds.set(job, (env) => build(env, args))
    return job
  }
  const entry: JobEntry = {
    evaluate: async (args) => StreamExecutionEnvironment.getExecutionEnvironment().execute(make((args ?? undefined) as A)),
  }
  return Object.assign(make, { [JOB_ENTRY]: entry })
}

/** Adds the job's steps to the environment. */
export function buildJob(job: Job, env: StreamExecutionEnvironment): void {
  const build = builds.get(job)
  if (!build) throw new FlottError('INVALID_ARGUMENT', `job '${job.jobName}' was not made by defineJob`)
  build(env)
}

/** What is not plain JSON, and where. */
function notJson(value: unknown, path: string): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`
  if (typeof value !== 'object') return `${path} is ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return `${path} is a ${value.constructor.name}`
  for (const [key, item] of Object.entries(value)) {
    const text = item === undefined && !Array.isArray(value) ? undefined : notJson(item, `${path}.${key}`)
    if (text !== undefined) return text
  }
  return undefined
}
