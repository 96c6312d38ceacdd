import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { FlottError } from '#core/errors.js'
import { isId, stableId } from '#core/ids.js'

/** What a JobManager is to run. */
export interface ApplicationProgram {
  readonly file: string
  readonly args: readonly string[]
  /** Absent: derived from the cluster. */
  readonly jobId?: string
}
export interface ApplicationArguments {
  /** Those of any daemon. */
  readonly own: readonly string[]
  readonly program: ApplicationProgram
}

/** INVALID_ARGUMENT. */
export function applicationArguments(argv: readonly string[]): ApplicationArguments {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length
  const own: string[] = []
  const given: { '--job'?: string; '--job-id'?: string } = {}
  for (let i = 0; i < end; i++) {
    const argument = argv[i]!
    if (argument !== '--job' && argument !== '--job-id') own.push(argument)
    else if (++i < end) given[argument] = argv[i]!
    else refuse(`${argument} expects a value`)
  }
  const { '--job': job, '--job-id': jobId } = given
  if (job === undefined) refuse('--job FILE is missing: the program to run')
  const file = resolve(job)
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) refuse(`--job: there is no file ${file}`)
  if (jobId !== undefined && !isId(jobId)) refuse(`--job-id expects 32 lower-case hex digits, not '${jobId}'`)
  return { own, program: { file, args: argv.slice(end + 1), ...(jobId === undefined ? {} : { jobId }) } }
}

/** The same for all JobManagers of a cluster: of its name, where there may be several clusters; else zeros. */
export function applicationJobId(clusterId: string | undefined): string {
  return clusterId === undefined ? '0'.repeat(32) : stableId(`application of ${clusterId}`)
}

function refuse(why: string): never {
  throw new FlottError('INVALID_ARGUMENT', why)
}
