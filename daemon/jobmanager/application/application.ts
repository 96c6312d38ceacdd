/** The shell around application-steps.ts: performs its effects, reports back what came of them. */
import { type Clock, every, type Timer } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { Service } from '#core/service.js'
import type { JobEnd } from '#protocol/application.js'
import type { DispatcherGateway } from '#protocol/gateways/dispatcher-gateway.js'
import type { JobFact } from '#protocol/ha/facts.js'
import { type ApplicationEffect, type ApplicationEvent, type ApplicationState, STANDING_BY, step } from './application-steps.js'

/**
 * How often one that stands by looks whether the job has ended. Members of the in-sync set would learn it when they lead in their turn;
 * one that has not joined yet would wait for a leader that never comes.
 */
const STANDBY_LOOK_MS = 1_000
/** This process goes that long after the end: slots are freed meanwhile, and who asks each second what became of the job hears it. */
const LINGER_MS = 1_500

export interface ProgramProcess {
  /** It reports nothing from then on. */
  kill(): void
}
export type StartProgram = (told: { accepted(): void; ended(code: number): void }) => ProgramProcess

export interface ApplicationOptions {
  readonly jobId: string
  /** execution.shutdown-on-application-finish */
  readonly endsWithJob: boolean
  readonly startProgram: StartProgram
  /** From the facts, while another one leads; absent where there is no other one. */
  readonly jobFact?: (jobId: string) => Promise<JobFact | undefined>
  readonly clock: Clock
  readonly logger: Logger
  announce(): void
  end(code: number, reason: string): void
}

/** As the leader's Dispatcher sees it. */
export interface ApplicationJob {
  /** Its record stays. */
  readonly jobId: string
  /** JOB_SUBMISSION_FAILED for any other job. */
  admit(jobId: string): void
  /** Its end is durable. */
  ended(status: JobEnd): void
}

export interface ApplicationDispatcher extends Pick<DispatcherGateway, 'cancelJob'> {
  knownJob(jobId: string): 'RUNNING' | JobEnd | undefined
}

export class Application implements Service, ApplicationJob {
  #state: ApplicationState = STANDING_BY
  #dispatcher: ApplicationDispatcher | undefined
  #program: ProgramProcess | undefined
  #looking: Timer | undefined

  constructor(private readonly options: ApplicationOptions) {}

  get jobId(): string {
    return this.options.jobId
  }

  async start(): Promise<void> {
    const { clock, jobFact } = this.options
    if (jobFact) this.#looking = every(clock, STANDBY_LOOK_MS, () => void this.#look(jobFact), { unref: true })
  }
  async stop(): Promise<void> {
    this.#looking?.cancel()
    this.#report({ kind: 'reign-ended' })
  }
  /** From now on this JobManager leads, until the signal aborts; the dispatcher knows all jobs. */
  lead(dispatcher: ApplicationDispatcher, signal: AbortSignal): void {
    const { jobId, logger } = this.options
    const job = dispatcher.knownJob(jobId)
    this.#dispatcher = dispatcher
    signal.addEventListener('abort', () => this.#report({ kind: 'reign-ended' }), { once: true })
    if (job) logger.info('the job of the application is known: its program is not run again; another --job-id would run it', { jobId, job })
    this.#report({ kind: 'leads', job })
  }
  admit(jobId: string): void {
    if (jobId === this.jobId) return
    const session = 'a program of several jobs takes a cluster started with jobmanager.sh, and flott run'
    throw new FlottError('JOB_SUBMISSION_FAILED', `this cluster is for one job, ${this.jobId}: ${session}`)
  }
  ended(status: JobEnd): void {
    this.#report({ kind: 'job-ended', status })
  }

  #report(event: ApplicationEvent): void {
    const { state, effects } = step(this.#state, event, this.options.endsWithJob)
    this.options.logger.debug('application', { event: event.kind, phase: state.phase })
    this.#state = state
    for (const effect of effects) this.#perform(effect)
  }
  #perform(effect: ApplicationEffect): void {
    const { jobId, logger } = this.options
    switch (effect.kind) {
      case 'start-program':
        logger.info('runs the program of the application', { jobId })
        this.#program = this.options.startProgram({
          accepted: () => this.#report({ kind: 'job-accepted' }),
          ended: (code) => {
            this.#program = undefined
            if (code !== 0) logger.error('the program of the application has failed', { jobId, exitCode: code })
            // The end of a process may be heard of before the last that it said.
            if (this.#dispatcher?.knownJob(jobId)) this.#report({ kind: 'job-accepted' })
            this.#report({ kind: 'program-ended', code })
          },
        })
        break
      case 'kill-program':
        this.#program?.kill()
        this.#program = undefined
        break
      case 'cancel-job':
        // It may have ended by itself, or the reign may: both are events of their own.
        this.#dispatcher?.cancelJob({ jobId }).catch((error: unknown) => logger.warn('the job was not cancelled', { jobId, error }))
        break
      case 'announce':
        this.options.announce()
        break
      case 'end':
        logger.info('the application ends', { jobId, reason: effect.reason, exitCode: effect.code })
        this.options.clock.setTimer(LINGER_MS, () => this.options.end(effect.code, effect.reason))
    }
  }
  async #look(jobFact: (jobId: string) => Promise<JobFact | undefined>): Promise<void> {
    if (this.#state.phase !== 'STANDING-BY') return
    try {
      const status = (await jobFact(this.jobId))?.terminal?.status
      if (status !== undefined && this.#state.phase === 'STANDING-BY') this.ended(status)
    } catch (error) {
      this.options.logger.debug('the job of the application could not be looked at', { error })
    }
  }
}
