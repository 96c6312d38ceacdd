/**
 * Decides what a job does next: when a region asks for slots, is deployed, restarts, and how the job ends. Runs in the JobMaster's
 * mailbox; whatever takes time is done by the port and comes back as a call of its own.
 */
import { deserializeError, FlottError, isFlottError } from '#core/errors.js'
import type { JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { ExecutionState, TaskExecutionReport } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { AllocatedSlot } from '../executiongraph/execution.js'
import type { ExecutionGraph, ExecutionVertex } from '../executiongraph/execution-graph.js'
import type { SharedSlot } from '../slotpool/slot-sharing.js'
import { ExceptionHistory } from './exception-history.js'
import { isEnding, isGloballyTerminal, type JobEvent, nextStatus } from './job-status.js'
import { NEW_REGION, type Region, type RegionEffect, type RegionEvent, stepRegion } from './region.js'
import { decideRestart, describeStrategy, type RestartState, type RestartStrategy } from './restart-strategy.js'

/** What the scheduler sets in motion. */
export interface SchedulerPort {
  now(): number
  /** In [0, 1). */
  random(): number
  /** `fire` is a turn. */
  after(delayMs: number, fire: () => void): void
  /** Asks for what the job does not hold; then slotsChanged. */
  acquireSlots(slots: readonly SharedSlot[]): void
  holdsSlots(slots: readonly SharedSlot[]): boolean
  /** Loads what is to be restored and makes the record durable; then deploymentRecorded or deploymentFailed. */
  recordDeployment(region: number, run: number): void
  submitTasks(tasks: readonly ExecutionVertex[]): void
  /** Until their end is reported. */
  cancelTasks(tasks: readonly ExecutionVertex[]): void
  /** Every task that has not finished runs. */
  allRunning(): void
  /** A region is being stopped; `wholeJob`: with all others. */
  regionsStopped(regions: readonly number[], wholeJob: boolean, cause: Error): void
  taskFinished(attemptId: string): void
  /** An exception was noted, or a restart. */
  historyChanged(): void
  /** Nothing runs and nothing will. Called once. */
  ended(status: 'FINISHED' | 'FAILED' | 'CANCELED', failure: Error | undefined): void
}

/** A region in one of its runs (region.ts). */
export interface RegionRun {
  readonly region: number
  readonly run: number
}
/** Where an attempt is to run, as its durable record says. */
export interface RecordedAttempt {
  readonly attempt: string
  readonly attemptNumber: number
  readonly slot: AllocatedSlot
}

/** Trying again can not help against these. */
const UNRECOVERABLE = ['GRAPH_NOT_DETERMINISTIC', 'STATE_INCOMPATIBLE', 'STATE_NOT_RESTORED', 'CHECKPOINT_NOT_RESTORABLE'] as const

export class Scheduler {
  #status: JobStatus = 'INITIALIZING'
  readonly timestamps: Partial<Record<JobStatus, number>>
  readonly exceptions: ExceptionHistory
  #failure: Error | undefined
  #ended = false
  readonly #regions: Region[]
  readonly #toSubmit: ExecutionVertex[] = []

  constructor(
    private readonly graph: ExecutionGraph,
    private readonly strategy: RestartStrategy,
    private readonly port: SchedulerPort,
    /** Restarts so far, and what the strategy remembers of them. */
    private restarts: { count: number; state: RestartState },
  ) {
    this.timestamps = { INITIALIZING: port.now() }
    this.exceptions = new ExceptionHistory(() => port.historyChanged())
    this.#regions = graph.regions.map(() => NEW_REGION)
  }

  get status(): JobStatus {
    return this.#status
  }
  get failure(): Error | undefined {
    return this.#failure
  }
  get restartCount(): number {
    return this.restarts.count
  }
  get restartState(): RestartState {
    return this.restarts.state
  }
  /** Every task runs or has FINISHED, and one runs. */
  get runs(): boolean {
    const running = this.graph.countOf('RUNNING')
    if (this.#status !== 'RUNNING' || running === 0 || running + this.graph.countOf('FINISHED') < this.graph.vertices.length) return false
    return this.#regions.every((region) => region.phase === 'deployed' || region.phase === 'ended')
  }
  /** Whether a deployment that is being recorded is still wanted. */
  wants({ region, run }: RegionRun): boolean {
    const { phase, run: current } = this.#regions[region]!
    return phase === 'recording' && run === current
  }

  /** What the job has been through under earlier leaders. */
  import({ exceptions, exceptionsTruncated, timestamps }: Pick<JobDetails, 'exceptions' | 'exceptionsTruncated' | 'timestamps'>): void {
    this.exceptions.import(exceptions, exceptionsTruncated)
    Object.assign(this.timestamps, { ...timestamps, ...this.timestamps })
  }
  initialized(deployedBefore: boolean): void {
    this.#take({ kind: 'initialized', deployedBefore })
  }
  /** Begins with all regions. */
  start(): void {
    if (isEnding(this.#status)) return
    this.#take({ kind: 'scheduled' })
    this.#begin()
  }

  /** After a takeover: the graph is as the deployment says. What became of each attempt is told one by one, then `reconciled`. */
  adopt(recorded: ReadonlyMap<ExecutionVertex, RecordedAttempt>): void {
    for (const [vertex, attempt] of recorded) {
      vertex.apply({ kind: 'scheduled' })
      vertex.apply({ kind: 'deployed', ...attempt })
    }
    const incomplete: number[] = []
    this.graph.regions.forEach((vertices, region) => {
      const known = vertices.filter((vertex) => recorded.has(vertex)).length
      if (known === 0) return // Not deployed yet, or about to be again.
      this.#step(region, { kind: 'adopted' })
      if (known < vertices.length) incomplete.push(region)
    })
    const cause = () => new FlottError('TASK_LOST', 'the leader changed during a restart')
    if (incomplete.length > 0) this.#fail(incomplete, cause(), { byTakeover: true })
  }
  /** What the TaskManager of a recorded attempt says of it. */
  attemptFound(report: AttemptReport): void {
    const { attemptId, state, error, accumulators, metrics, timestamps } = report
    const vertex = this.graph.byAttempt(attemptId)
    if (!vertex || vertex.ended) return
    if (metrics) vertex.metrics = metrics
    if (accumulators) vertex.accumulators = accumulators
    const stopping = state === 'CANCELING' || state === 'CANCELED'
    if (stopping && vertex.state !== 'CANCELING')
      this.#fail([vertex.region], new FlottError('TASK_LOST', `the leader changed while ${vertex.taskName} was being ended`), {
        vertex,
        byTakeover: true,
      })
    this.taskReported({ attemptId, state, ...(error ? { error } : {}) })
    if (vertex.execution.attempt === attemptId) vertex.timestamps = { ...vertex.timestamps, ...timestamps }
    if (vertex.state === 'CANCELING') this.port.cancelTasks([vertex])
  }
  /** Whether the attempt is one that runs on. */
  goesOn(attemptId: string): boolean {
    const vertex = this.graph.byAttempt(attemptId)
    return vertex !== undefined && !vertex.ended && this.#regions[vertex.region]!.phase === 'deployed'
  }
  /** Of every attempt it is known what became of it: what has not begun begins. */
  reconciled(): void {
    this.#take({ kind: 'reconciled' })
    if (!isEnding(this.#status)) this.#begin()
    this.#checkRunning()
    this.#checkEnd()
  }
  #begin(): void {
    for (let region = 0; region < this.#regions.length; region++) this.#step(region, { kind: 'begin' })
  }

  slotsChanged(): void {
    for (let region = 0; region < this.#regions.length; region++) this.#checkSlots(region)
  }
  /** Slots that were held are gone: who waits asks anew, what is being recorded can not run. */
  slotsLost(cause: Error): void {
    for (let region = 0; region < this.#regions.length; region++) {
      const slots = this.graph.slotsOf(region)
      const { phase } = this.#regions[region]!
      if (this.port.holdsSlots(slots)) continue
      if (phase === 'waiting-for-slots') this.port.acquireSlots(slots)
      else if (phase === 'recording') this.#fail([region], cause)
    }
  }
  /** The slots did not come in time. */
  slotsMissing(cause: Error): void {
    const waiting = this.#regionsWhere((region) => region.phase === 'waiting-for-slots')
    if (waiting.length > 0) this.#fail(waiting, cause)
  }

  deploymentRecorded(runs: readonly RegionRun[], attempts: ReadonlyMap<ExecutionVertex, RecordedAttempt>): void {
    for (const run of runs.filter((run) => this.wants(run))) {
      for (const vertex of this.graph.regions[run.region]!) vertex.apply({ kind: 'deployed', ...attempts.get(vertex)! })
      this.#step(run.region, { kind: 'recorded', run: run.run })
    }
    this.port.submitTasks(this.#toSubmit.splice(0)) // One message to each TaskManager, whatever the number of regions.
  }
  /** One failure, whatever their number. */
  deploymentFailed(runs: readonly RegionRun[], cause: Error): void {
    const failed = runs.filter((run) => this.wants(run)).map(({ region }) => region)
    if (failed.length > 0) this.#fail(failed, cause)
  }

  taskReported(report: TaskExecutionReport): void {
    const vertex = this.graph.byAttempt(report.attemptId)
    if (!vertex || vertex.ended) return
    const before = vertex.state
    vertex.apply({ kind: 'task-reported', attempt: report.attemptId, state: report.state })
    if (report.accumulators) vertex.accumulators = report.accumulators
    if (report.metrics) vertex.metrics = report.metrics
    if (vertex.state !== before || report.error) this.#taskChanged(vertex, before, report.error && deserializeError(report.error))
  }
  /** They run no more, and will not say so themselves: one failure, whatever their number. `byTakeover`: no new leader could find them. */
  tasksLost(attemptIds: readonly string[], cause: Error, { byTakeover = false } = {}): void {
    const vertices = attemptIds.map((attemptId) => this.graph.byAttempt(attemptId)).filter((vertex) => vertex && !vertex.ended)
    const failed: ExecutionVertex[] = []
    for (const vertex of vertices as ExecutionVertex[]) {
      vertex.apply({ kind: 'task-lost', attempt: vertex.execution.attempt })
      if (vertex.state === 'FAILED') failed.push(vertex)
    }
    const regions = new Set((vertices as ExecutionVertex[]).map((vertex) => vertex.region))
    if (failed.length > 0) this.#fail([...new Set(failed.map((v) => v.region))], cause, { vertex: failed[0]!, byTakeover, lost: true })
    for (const region of regions) this.#checkRegion(region)
    this.#checkRunning()
    this.#checkEnd()
  }

  /** Restarts these regions, as far as they have not ended, in the slots that the job holds by now. That is no failure. */
  move(regions: readonly number[], cause: Error): void {
    const running = regions.filter((region) => this.#regions[region]!.phase === 'deployed')
    if (running.length > 0 && !isEnding(this.#status)) this.#restart(running, cause, 0)
  }
  /** A failure that is no task's own. */
  failGlobally(cause: Error): void {
    if (isEnding(this.#status)) return
    this.#fail(
      this.#regions.map((_, region) => region),
      cause,
    )
  }
  /** Ends the job as FAILED, whatever the restart strategy says. */
  failForGood(cause: Error): void {
    if (isEnding(this.#status)) return
    this.exceptions.add(cause, this.port.now())
    this.#end({ kind: 'failed-for-good' }, cause)
  }
  cancel(): void {
    if (this.#status === 'CANCELLING' || isGloballyTerminal(this.#status)) return
    this.#end({ kind: 'cancel-requested' }, undefined)
  }

  #taskChanged(vertex: ExecutionVertex, before: ExecutionState, error: Error | undefined): void {
    if (vertex.state === 'FINISHED') this.port.taskFinished(vertex.execution.attempt)
    const unasked = vertex.state === 'CANCELED' && before !== 'CANCELING'
    if (vertex.state === 'FAILED' || unasked)
      this.#fail([vertex.region], error ?? new FlottError('TASK_LOST', `${vertex.taskName} ended without a cause`), { vertex })
    else if (error) this.#note(error, vertex)
    this.#checkRegion(vertex.region)
    this.#checkRunning()
    this.#checkEnd()
  }

  #fail(
    regions: readonly number[],
    cause: Error,
    { vertex, byTakeover = false, lost = false }: { vertex?: ExecutionVertex; byTakeover?: boolean; lost?: boolean } = {},
  ): void {
    if (isEnding(this.#status)) {
      this.#note(cause, vertex)
      return
    }
    const affected = regions.filter((region) => this.#regions[region]!.phase !== 'restarting')
    if (affected.length === 0) {
      this.#note(cause, vertex)
      return
    }
    this.exceptions.add(cause, this.port.now(), vertex ? whereOf(vertex) : {})
    // What a change of leader costs is not the job's failure: it is made good whatever the strategy says.
    const decision = byTakeover
      ? { restart: true, delayMs: 0, state: this.restarts.state }
      : decideRestart(this.strategy, this.restarts.state, { nowMs: this.port.now(), random: this.port.random(), lost })
    const hopeless = isFlottError(cause, ...UNRECOVERABLE)
    this.restarts = { count: this.restarts.count, state: decision.state }
    if (hopeless || !decision.restart) {
      const why = hopeless ? 'a restart can not help' : describeStrategy(this.strategy)
      this.#end({ kind: 'failed-for-good' }, new FlottError('JOB_FAILED', `recovery is suppressed (${why}): ${cause.message}`, { cause }))
      return
    }
    this.#restart(affected, cause, decision.delayMs)
  }
  #restart(affected: readonly number[], cause: Error, delayMs: number): void {
    this.restarts = { ...this.restarts, count: this.restarts.count + 1 }
    this.#take({ kind: 'restart-begun' })
    const wholeJob = this.#regionsWhere((region) => region.phase !== 'restarting').length === affected.length
    this.port.regionsStopped(affected, wholeJob, cause)
    for (const region of affected) this.#step(region, { kind: 'failed', delayMs })
    for (const region of affected) this.#checkRegion(region)
  }

  /** A failure in the wake of another: worth knowing, unless it is only its echo at a neighbour. */
  #note(cause: Error, vertex: ExecutionVertex | undefined): void {
    if (isFlottError(cause, 'CHANNEL_BROKEN') || isFlottError(cause.cause, 'CHANNEL_BROKEN')) return
    this.exceptions.add(cause, this.port.now(), vertex ? whereOf(vertex) : {})
  }

  #end(event: JobEvent, failure: Error | undefined): void {
    this.#failure = event.kind === 'cancel-requested' ? undefined : failure
    this.#take(event)
    const all = this.#regions.map((_, region) => region)
    this.port.regionsStopped(all, true, failure ?? new FlottError('JOB_CANCELED', 'the job is cancelled'))
    for (const region of all) this.#step(region, { kind: 'job-ending' })
    this.#checkEnd()
  }

  #step(index: number, event: RegionEvent): void {
    const { region, effects } = stepRegion(this.#regions[index]!, event)
    this.#regions[index] = region
    for (const effect of effects) this.#do(index, region, effect)
  }

  #do(index: number, region: Region, effect: RegionEffect): void {
    const vertices = this.graph.regions[index]!
    switch (effect.kind) {
      case 'acquire-slots':
        for (const vertex of vertices) vertex.apply({ kind: 'scheduled' })
        if (!this.#regions.some((r) => r.phase === 'restarting')) this.#take({ kind: 'regions-restarted' })
        this.port.acquireSlots(this.graph.slotsOf(index))
        this.#checkSlots(index)
        break
      case 'record-deployment':
        this.port.recordDeployment(index, region.run)
        break
      case 'submit-tasks':
        for (const vertex of vertices) this.#toSubmit.push(vertex)
        break
      case 'cancel-tasks':
        this.port.cancelTasks(vertices.filter((vertex) => vertex.apply({ kind: 'cancel-requested' }).some((e) => e.kind === 'cancel-task')))
        break
      case 'reset-attempts':
        for (const vertex of vertices) vertex.reset(vertex.execution.attemptNumber + 1)
        break
      case 'start-delay':
        this.port.after(effect.delayMs, () => this.#step(index, { kind: 'delay-elapsed', run: region.run }))
    }
  }

  #checkSlots(index: number): void {
    if (this.#regions[index]!.phase === 'waiting-for-slots' && this.port.holdsSlots(this.graph.slotsOf(index)))
      this.#step(index, { kind: 'slots-complete' })
  }
  #checkRegion(index: number): void {
    if (this.graph.regions[index]!.every((vertex) => vertex.ended)) this.#step(index, { kind: 'attempts-ended' })
  }
  #checkRunning(): void {
    if (this.runs) this.port.allRunning()
  }
  #checkEnd(): void {
    if (this.#ended) return
    const done = isEnding(this.#status) ? this.graph.vertices.every((v) => v.ended) : this.#regions.every((r) => r.phase === 'ended')
    if (!done) return
    this.#take({ kind: 'ended' })
    if (!isGloballyTerminal(this.#status)) return
    this.#ended = true
    this.port.ended(this.#status, this.#failure)
  }

  #take(event: JobEvent): void {
    const status = nextStatus(this.#status, event)
    if (status === this.#status) return
    const wasRestart = this.#status === 'RESTARTING' || status === 'RESTARTING'
    this.#status = status
    this.timestamps[status] = this.port.now()
    if (wasRestart) this.port.historyChanged()
  }
  #regionsWhere(holds: (region: Region) => boolean): readonly number[] {
    return this.#regions.flatMap((region, index) => (holds(region) ? [index] : []))
  }
}

function whereOf(vertex: ExecutionVertex): { taskName: string; endpoint?: string; taskManagerId?: string } {
  const { slot } = vertex.execution
  return { taskName: vertex.taskName, ...(slot ? { endpoint: `${slot.host}:${slot.dataPort}`, taskManagerId: slot.taskManagerId } : {}) }
}
