/**
 * An application: one program whose one job has an id that all JobManagers of the cluster know beforehand. Each of them is started with
 * the same program; who leads sees to it that the job runs, and all of them end with the job. Decides; performs nothing.
 *
 *   STANDING-BY  nobody leads, or another one does
 *   LEADING      this JobManager leads, and has recovered all jobs
 *   ENDED        this process is on its way out
 *
 * Invariants:
 * - A job that is known, whether it runs or has ended, is never started again. So the program runs only where its job is not known to a
 *   leader that knows all jobs; a job id stands for one run, over all changes of leader and all restarts of daemons.
 * - The program runs beside the reign that began it, and not for longer. Where two of them run all the same, since the process of an old
 *   leader was stopped, the Dispatcher accepts the job of the first one, and the other one finds it there.
 * - A job is cancelled because its program failed only by the leader that ran the program: what the program does on another host says
 *   nothing of a job that runs.
 * - This process ends with its job only once the end is durable: the next one to lead finds it ended, too.
 */
import { EXIT_CODE_OF_JOB, type JobEnd } from '#protocol/application.js'

export type ApplicationState =
  | { readonly phase: 'STANDING-BY' }
  | {
      readonly phase: 'LEADING'
      /** Undefined: not known yet. */
      readonly job: 'RUNNING' | JobEnd | undefined
      readonly programRuns: boolean
      /** Exit code of a program that failed after its job was accepted. */
      readonly failure?: number
    }
  | { readonly phase: 'ENDED' }

export type ApplicationEvent =
  | { readonly kind: 'leads'; readonly job: 'RUNNING' | JobEnd | undefined }
  | { readonly kind: 'reign-ended' }
  /** The program's job is durable. */
  | { readonly kind: 'job-accepted' }
  /** Durable. Seen by the leader, or by one that stands by in the facts. */
  | { readonly kind: 'job-ended'; readonly status: JobEnd }
  /** 0 also where the program failed because its job did. */
  | { readonly kind: 'program-ended'; readonly code: number }

export type ApplicationEffect =
  | { readonly kind: 'start-program' }
  | { readonly kind: 'kill-program' }
  | { readonly kind: 'cancel-job' }
  /** Whoever started this process may know that it does its work. */
  | { readonly kind: 'announce' }
  | { readonly kind: 'end'; readonly code: number; readonly reason: string }

export interface ApplicationStep {
  readonly state: ApplicationState
  readonly effects: readonly ApplicationEffect[]
}

const FAILURE = 1
export const STANDING_BY: ApplicationState = { phase: 'STANDING-BY' }

/** `endsWithJob`: execution.shutdown-on-application-finish. */
export function step(state: ApplicationState, event: ApplicationEvent, endsWithJob: boolean): ApplicationStep {
  const stay = { state, effects: [] }
  if (state.phase === 'ENDED') return stay
  if (event.kind === 'leads') return taken(event.job, endsWithJob)
  if (state.phase === 'STANDING-BY')
    return event.kind === 'job-ended' && endsWithJob ? end(EXIT_CODE_OF_JOB[event.status], `the job is ${event.status}`) : stay
  switch (event.kind) {
    case 'reign-ended':
      return { state: STANDING_BY, effects: state.programRuns ? [{ kind: 'kill-program' }] : [] }
    case 'job-accepted':
      return state.job === undefined ? { state: { ...state, job: 'RUNNING' }, effects: [{ kind: 'announce' }] } : stay
    case 'job-ended': {
      const ended = finished({ ...state, job: event.status }, endsWithJob)
      return state.job === undefined ? { ...ended, effects: [{ kind: 'announce' }, ...ended.effects] } : ended // Faster than its acceptance.
    }
    case 'program-ended': {
      const { code } = event
      if (state.job === undefined) return end(code || FAILURE, 'the program has ended without a job')
      const next = { ...state, programRuns: false, ...(code === 0 ? {} : { failure: code }) }
      if (state.job !== 'RUNNING') return finished(next, endsWithJob)
      return { state: next, effects: code === 0 ? [] : [{ kind: 'cancel-job' }] }
    }
  }
}

function taken(job: 'RUNNING' | JobEnd | undefined, endsWithJob: boolean): ApplicationStep {
  if (job === undefined) return { state: { phase: 'LEADING', job, programRuns: true }, effects: [{ kind: 'start-program' }] }
  const ended = finished({ phase: 'LEADING', job, programRuns: false }, endsWithJob)
  return ended.state.phase === 'ENDED' ? ended : { ...ended, effects: [{ kind: 'announce' }] }
}
/** When both the job and the program have ended. */
function finished(state: Extract<ApplicationState, { phase: 'LEADING' }>, endsWithJob: boolean): ApplicationStep {
  const { job, programRuns, failure } = state
  if (job === undefined || job === 'RUNNING' || programRuns || !endsWithJob) return { state, effects: [] }
  return failure === undefined
    ? end(EXIT_CODE_OF_JOB[job], `the job is ${job}`)
    : end(failure, `the program has failed, and the job is ${job}`)
}
function end(code: number, reason: string): ApplicationStep {
  return { state: { phase: 'ENDED' }, effects: [{ kind: 'end', code, reason }] }
}
