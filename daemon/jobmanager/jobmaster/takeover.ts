/**
 * Takes over the tasks of an earlier reign: performs what reconciliation.ts decides. Verdicts take effect as they fall; checkpoints,
 * enumerators and new deployments wait until all of them are there, since an enumerator must know everything that its readers hold.
 */
import type { Timer } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import type { AttemptReport, SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { AttemptLocation, DeploymentRecord } from '#protocol/graph/deployment.js'
import type { TaskManagerInfo } from '../resourcemanager/slot-provider.js'
import type { AllocatedSlot } from './executiongraph/execution.js'
import type { ExecutionGraph, ExecutionVertex } from './executiongraph/execution-graph.js'
import type { CheckpointCoordinatorApi, CompletedCheckpoint, JobMasterContext } from './job-master-context.js'
import {
  beginReconciliation,
  holdsSlot,
  isReconciled,
  type Reconciliation,
  type ReconciliationEffect,
  type ReconciliationEvent,
  stepReconciliation,
  waitsFor,
} from './reconciliation.js'
import type { Deployer } from './scheduler/deployer.js'
import { isEnding } from './scheduler/job-status.js'
import type { RecordedAttempt, Scheduler } from './scheduler/scheduler.js'
import type { SlotPool } from './slotpool/slot-pool.js'

export interface TakeoverOptions {
  readonly context: JobMasterContext
  readonly graph: ExecutionGraph
  readonly scheduler: Scheduler
  readonly deployer: Deployer
  readonly checkpoints: CheckpointCoordinatorApi
  readonly pool: SlotPool
  /** How long TaskManagers of the deployment have to come back. */
  readonly timeoutMs: number
}

export class Takeover {
  #reconciliation: Reconciliation | undefined
  #record: DeploymentRecord | undefined
  #newest: CompletedCheckpoint | undefined
  #timer: Timer | undefined
  readonly #adopted: AttemptReport[] = []
  readonly #sendAgain: ExecutionVertex[] = []
  /** Those with tasks that had not finished, by process. */
  readonly #slotsFound = new Map<string, Set<string>>()
  /** What readers say before the enumerators are there. */
  #held: (() => void)[] | undefined

  constructor(private readonly options: TakeoverOptions) {}

  /** The graph becomes what the record says; then each attempt waits for its verdict. `newest`: the newest completed checkpoint. */
  begin(record: DeploymentRecord, newest: CompletedCheckpoint | undefined): void {
    const { context, graph, scheduler, deployer, pool, timeoutMs } = this.options
    this.#record = record
    this.#newest = newest
    this.#held = []
    this.#reconciliation = beginReconciliation(record, finishedAttempts(record, newest?.manifest))
    this.#timer = context.clock.setTimer(timeoutMs, () => context.run(() => this.#take({ kind: 'deadline', waitedMs: timeoutMs })), {
      unref: true,
    })
    deployer.waitForTakeover()
    const recorded = new Map<ExecutionVertex, RecordedAttempt>()
    for (const location of record.attempts) {
      this.#found(location)
      const vertex = graph.subtasksOf(location.vertexId)[location.subtaskIndex]
      if (!vertex) continue
      recorded.set(vertex, { attempt: location.attemptId, attemptNumber: location.attemptNumber, slot: slotOf(location) })
      pool.ranOn(vertex.sharedSlot.key, location.taskManagerId)
    }
    scheduler.adopt(recorded)
    this.#settle()
  }
  slotsFound(processId: string): number {
    return this.#slotsFound.get(processId)?.size ?? 0
  }
  /** What the job still waits for. */
  get waitsFor(): string | undefined {
    return this.#reconciliation && waitsFor(this.#reconciliation)
  }
  registered({ taskManagerId, processId }: TaskManagerInfo, attempts: readonly AttemptReport[], slots: readonly SlotReport[]): void {
    if (!this.#reconciliation) return
    this.#adoptSlots(taskManagerId, processId, slots)
    this.#take({ kind: 'task-manager-registered', taskManagerId, processId, attempts, slots })
  }
  taskManagerLost(taskManagerId: string, cause: string): void {
    this.#take({ kind: 'task-manager-lost', taskManagerId, cause })
  }
  registrationsListed(names: ReadonlySet<string>, connected: ReadonlySet<string>): void {
    this.#take({ kind: 'registrations-listed', names, connected })
  }
  /** True when the turn is taken later: the enumerators do not know their readers yet. */
  holds(turn: () => void): boolean {
    this.#held?.push(turn)
    return this.#held !== undefined
  }
  stop(): void {
    this.#timer?.cancel()
  }

  #take(event: ReconciliationEvent): void {
    if (!this.#reconciliation) return
    const { reconciliation, effects } = stepReconciliation(this.#reconciliation, event)
    this.#reconciliation = reconciliation
    for (const effect of effects) this.#do(effect)
    this.#settle()
  }

  #do(effect: ReconciliationEffect): void {
    const { context, graph, scheduler } = this.options
    switch (effect.kind) {
      case 'adopt': {
        this.#adopted.push(effect.report)
        const vertex = graph.byAttempt(effect.report.attemptId)
        if (vertex) vertex.submittedMs = context.clock.monotonicMs()
        scheduler.attemptFound(effect.report)
        break
      }
      case 'finished':
        scheduler.taskReported({ attemptId: effect.attemptId, state: 'FINISHED' })
        break
      case 'send-again': {
        const vertex = graph.byAttempt(effect.attemptId)
        if (vertex?.state === 'DEPLOYING') this.#sendAgain.push(vertex)
        else scheduler.tasksLost([effect.attemptId], new FlottError('TASK_LOST', 'it was never sent'))
        break
      }
      case 'lost':
        context.logger.warn('tasks of the deployment are lost', { attempts: effect.attemptIds.length, cause: effect.cause })
        scheduler.tasksLost(effect.attemptIds, new FlottError('TASK_LOST', effect.cause), { byTakeover: true })
    }
  }

  #found({ attemptId, allocationId, processId }: AttemptLocation): void {
    if (processId === undefined || this.#reconciliation?.finished.has(attemptId)) return
    const slots = this.#slotsFound.get(processId) ?? new Set()
    this.#slotsFound.set(processId, slots.add(allocationId))
  }
  /** The slots of the deployment that the TaskManager still holds are ours again. */
  #adoptSlots(taskManagerId: string, processId: string, slots: readonly SlotReport[]): void {
    const { graph, pool } = this.options
    for (const location of this.#reconciliation?.outstanding[taskManagerId] ?? []) {
      const vertex = graph.subtasksOf(location.vertexId)[location.subtaskIndex]
      if (vertex && location.processId === processId && holdsSlot(slots, location.allocationId))
        pool.adopt(vertex.sharedSlot.key, slotOf(location))
    }
  }

  #settle(): void {
    if (!this.#reconciliation || !isReconciled(this.#reconciliation)) return
    this.#reconciliation = undefined
    this.#timer?.cancel()
    const { context, scheduler, deployer, checkpoints } = this.options
    context.logger.info('tasks adopted', { adopted: this.#adopted.length, sentAgain: this.#sendAgain.length })
    const isOver = () => context.signal.aborted || isEnding(scheduler.status)
    if (!isOver()) checkpoints.resume(this.#adopted)
    const current = this.#adopted.filter(({ attemptId }) => scheduler.goesOn(attemptId))
    const goesOn = !isOver() && (current.length > 0 || this.#toSend.length > 0)
    deployer.takeOver(this.#record!, this.#newest, goesOn ? current : undefined).then(
      () => context.run(() => this.#finish()),
      (cause: unknown) =>
        context.run(() => {
          this.#finish()
          scheduler.failGlobally(cause instanceof Error ? cause : new Error(String(cause)))
        }),
    )
  }
  get #toSend(): readonly ExecutionVertex[] {
    return this.#sendAgain.filter((vertex) => vertex.state === 'DEPLOYING')
  }
  #finish(): void {
    const { scheduler, deployer } = this.options
    const held = this.#held ?? []
    this.#held = undefined
    for (const turn of held) turn()
    deployer.submit(this.#toSend)
    scheduler.reconciled()
  }
}

function slotOf({ allocationId, taskManagerId, slotIndex, dataHost, dataPort, processId }: AttemptLocation): AllocatedSlot {
  return { allocationId, taskManagerId, slotIndex, host: dataHost, dataPort, ...(processId === undefined ? {} : { processId }) }
}

/** A subtask that the newest checkpoint holds as finished has nothing left to do, whatever became of its attempt. */
function finishedAttempts(record: DeploymentRecord, manifest: CheckpointManifest | undefined): ReadonlySet<string> {
  const finished = new Set<string>()
  for (const { vertexId, subtasks } of manifest?.vertices ?? [])
    for (const { subtaskIndex, finished: hasFinished } of subtasks) if (hasFinished) finished.add(`${vertexId}_${subtaskIndex}`)
  const ofSubtask = ({ vertexId, subtaskIndex }: AttemptLocation) => finished.has(`${vertexId}_${subtaskIndex}`)
  return new Set(record.attempts.filter(ofSubtask).map(({ attemptId }) => attemptId))
}
