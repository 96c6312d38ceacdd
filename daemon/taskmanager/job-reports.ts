/**
 * What tasks have to say to their JobMaster: in order for each attempt, one at a time, repeated until acknowledged. What a new leader
 * must know outlives the old one; what it learns otherwise, or has aborted by taking over, does not.
 */
import type { Clock } from '#core/clock.js'
import { ERRORS, isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { JobMasterGateway, TaskExecutionReport } from '#protocol/gateways/job-master-gateway.js'

type OwnCall = Exclude<keyof JobMasterGateway, 'updateTaskExecutionStates'>
/** Of one attempt: its state, or another call of the JobMaster. */
export type JobMessage =
  | { readonly method: 'updateTaskExecutionState'; readonly request: TaskExecutionReport }
  | { [M in OwnCall]: { readonly method: M; readonly request: Parameters<JobMasterGateway[M]>[0] } }[OwnCall]

export interface Outbox {
  readonly jobId: string
  readonly waiting: readonly JobMessage[]
  /** How many of `waiting` were there when the latest registration was made: that one speaks for them. */
  readonly told: number
  /** The first of `waiting` is on its way. */
  readonly sending: boolean
  /** Raised with each leader, so that an answer of an old one is told apart. */
  readonly reign: number
  /** How often the first was tried in vain. */
  readonly failures: number
}
export type OutboxEvent =
  | { readonly kind: 'reported'; readonly message: JobMessage }
  | { readonly kind: 'acknowledged'; readonly reign: number }
  | { readonly kind: 'failed'; readonly reign: number; readonly error: unknown; readonly jobIsHere: boolean }
  | { readonly kind: 'retry-due'; readonly reign: number }
  | { readonly kind: 'registration-made' }
  | { readonly kind: 'leader-changed'; readonly reign: number; readonly takeover: boolean }
export type OutboxEffect =
  | { readonly kind: 'send'; readonly message: JobMessage; readonly reign: number }
  | { readonly kind: 'retry-after'; readonly delayMs: number; readonly reign: number }
  | { readonly kind: 'dropped'; readonly message: JobMessage; readonly error: unknown }

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2_000

export function createOutbox(jobId: string, reign: number): Outbox {
  return { jobId, waiting: [], told: 0, sending: false, reign, failures: 0 }
}

export function stepOutbox(outbox: Outbox, event: OutboxEvent): { outbox: Outbox; effects: readonly OutboxEffect[] } {
  if ('reign' in event && event.kind !== 'leader-changed' && event.reign !== outbox.reign) return { outbox, effects: [] }
  switch (event.kind) {
    case 'reported':
      return sendFirst({ ...outbox, waiting: [...outbox.waiting, event.message] })
    case 'acknowledged':
      return sendFirst(withoutFirst(outbox))
    case 'failed': {
      const first = outbox.waiting[0]!
      if (!isWorthRepeating(event.error, event.jobIsHere)) {
        const { outbox: next, effects } = sendFirst(withoutFirst(outbox))
        return { outbox: next, effects: [{ kind: 'dropped', message: first, error: event.error }, ...effects] }
      }
      const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** outbox.failures)
      // `sending` stays true until the retry: nothing overtakes the first.
      return { outbox: { ...outbox, failures: outbox.failures + 1 }, effects: [{ kind: 'retry-after', delayMs, reign: outbox.reign }] }
    }
    case 'retry-due':
      return sendFirst({ ...outbox, sending: false })
    case 'registration-made':
      return { outbox: { ...outbox, told: outbox.waiting.length }, effects: [] }
    case 'leader-changed': {
      // What was said after the registration was made is news to the leader that took it.
      const waiting = outbox.waiting.filter((message, i) => !event.takeover || i >= outbox.told || outlivesLeader(message))
      return sendFirst({ ...outbox, waiting, told: 0, sending: false, reign: event.reign, failures: 0 })
    }
  }
}

function withoutFirst(outbox: Outbox): Outbox {
  return { ...outbox, waiting: outbox.waiting.slice(1), told: Math.max(0, outbox.told - 1), sending: false, failures: 0 }
}

function sendFirst(outbox: Outbox): { outbox: Outbox; effects: readonly OutboxEffect[] } {
  const first = outbox.waiting[0]
  if (outbox.sending || !first) return { outbox, effects: [] }
  return { outbox: { ...outbox, sending: true }, effects: [{ kind: 'send', message: first, reign: outbox.reign }] }
}

/** A new leader aborts pending checkpoints, and learns of split requests by the registration. */
function outlivesLeader({ method, request }: JobMessage): boolean {
  if (method === 'acknowledgeCheckpoint' || method === 'declineCheckpoint') return false
  return method !== 'sendReaderEvent' || request.event.kind !== 'split-requested'
}

function isWorthRepeating(error: unknown, jobIsHere: boolean): boolean {
  if (!isFlottError(error)) return false
  if (error.code === 'JOB_NOT_FOUND') return jobIsHere // Its JobMaster may not have started yet.
  return ERRORS[error.code].retry || error.code === 'INTERNAL'
}

export interface JobReportsOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** The leader's JobMaster of this job; undefined while this TaskManager is not registered with a leader. */
  jobMaster(jobId: string): JobMasterGateway | undefined
  /** Whether a slot here still belongs to the job. */
  jobIsHere(jobId: string): boolean
}

/** On its way to the JobMaster of a job. */
interface Sent {
  readonly jobId: string
  readonly reign: number
  readonly attemptIds: readonly string[]
}

/** The shell: one outbox an attempt; states that many attempts have to tell at the same time go in one call. */
export class JobReports {
  readonly #outboxes = new Map<string, Outbox>()
  /** By job: states to be sent once this turn of the event loop is over. */
  readonly #gathered = new Map<string, { readonly reign: number; readonly report: TaskExecutionReport }[]>()
  #reign = 0

  constructor(private readonly options: JobReportsOptions) {}

  report(jobId: string, attemptId: string, message: JobMessage): void {
    if (!this.#outboxes.has(attemptId)) this.#outboxes.set(attemptId, createOutbox(jobId, this.#reign))
    this.#step(attemptId, { kind: 'reported', message })
  }
  /** A registration says how things are at this moment. */
  registrationMade(): void {
    for (const attemptId of [...this.#outboxes.keys()]) this.#step(attemptId, { kind: 'registration-made' })
  }
  /** Registered with a leader, again or for the first time. `takeover`: it is another one than before. */
  leaderChanged(takeover: boolean): void {
    this.#reign++
    for (const attemptId of [...this.#outboxes.keys()]) this.#step(attemptId, { kind: 'leader-changed', reign: this.#reign, takeover })
  }

  #step(attemptId: string, event: OutboxEvent): void {
    const before = this.#outboxes.get(attemptId)
    if (!before) return
    const { outbox, effects } = stepOutbox(before, event)
    if (outbox.waiting.length === 0) this.#outboxes.delete(attemptId)
    else this.#outboxes.set(attemptId, outbox)
    for (const effect of effects) this.#perform(attemptId, outbox.jobId, effect)
  }
  #perform(attemptId: string, jobId: string, effect: OutboxEffect): void {
    const { clock, logger } = this.options
    switch (effect.kind) {
      case 'dropped':
        logger.warn('report to the JobMaster dropped', { attempt: attemptId, method: effect.message.method, error: effect.error })
        break
      case 'retry-after': {
        const { delayMs, reign } = effect
        clock.setTimer(delayMs, () => this.#step(attemptId, { kind: 'retry-due', reign }), { unref: true })
        break
      }
      case 'send': {
        const { message, reign } = effect
        if (message.method === 'updateTaskExecutionState' && goesWithOthers(message.request)) this.#gather(jobId, reign, message.request)
        else this.#send({ jobId, reign, attemptIds: [attemptId] }, (gateway) => call(gateway, message))
      }
    }
  }
  #gather(jobId: string, reign: number, report: TaskExecutionReport): void {
    const gathered = this.#gathered.get(jobId)
    if (gathered) return void gathered.push({ reign, report })
    this.#gathered.set(jobId, [{ reign, report }])
    this.options.clock.defer(() => this.#sendGathered(jobId))
  }
  #sendGathered(jobId: string): void {
    const gathered = this.#gathered.get(jobId) ?? []
    this.#gathered.delete(jobId)
    const reign = this.#reign
    // What is of an earlier reign has been gathered again for this one.
    const reports = gathered.filter((entry) => entry.reign === reign).map(({ report }) => report)
    const attemptIds = reports.map(({ attemptId }) => attemptId)
    if (reports.length > 0) this.#send({ jobId, reign, attemptIds }, (gateway) => gateway.updateTaskExecutionStates({ reports }))
  }
  #send({ jobId, reign, attemptIds }: Sent, send: (gateway: JobMasterGateway) => Promise<unknown>): void {
    const { jobMaster, jobIsHere } = this.options
    const gateway = jobMaster(jobId)
    if (!gateway) return // It is sent when the next leader has taken the registration.
    const tell = (event: OutboxEvent) => {
      for (const attemptId of attemptIds) this.#step(attemptId, event)
    }
    send(gateway).then(
      () => tell({ kind: 'acknowledged', reign }),
      (error: unknown) => tell({ kind: 'failed', reign, error, jobIsHere: jobIsHere(jobId) }),
    )
  }
}

/** Accumulators and errors have no bound: together they might outgrow a message. */
function goesWithOthers({ error, accumulators, metrics }: TaskExecutionReport): boolean {
  return error === undefined && accumulators === undefined && metrics === undefined
}

function call(gateway: JobMasterGateway, message: JobMessage): Promise<unknown> {
  if (message.method === 'updateTaskExecutionState') return gateway.updateTaskExecutionStates({ reports: [message.request] })
  return (gateway[message.method] as (request: unknown) => Promise<unknown>)(message.request)
}
