/** Between a JobManager that runs an application and the process that its program runs in. */
import type { JobFact } from './ha/facts.js'

/** Given to the program's process, as JSON in its one argument. */
export interface ApplicationCommand {
  /** Absolute path of the program. */
  readonly file: string
  readonly args: readonly string[]
  /** Of the one job that it may submit. */
  readonly jobId: string
  /** Of the JobManager that started it. */
  readonly restUrl: string
  readonly configDir: string
  /** `key=value` texts, over the program's own settings. */
  readonly dynamic: readonly string[]
}

/** Sent by it, once the job is durable. */
export const ACCEPTED = 'accepted'

export type JobEnd = NonNullable<JobFact['terminal']>['status']

/** How what waits for a job ends: an attached `flott run`, and the JobManager of an application. */
export const EXIT_CODE_OF_JOB: Readonly<Record<JobEnd, number>> = { FINISHED: 0, FAILED: 3, CANCELED: 4 }
