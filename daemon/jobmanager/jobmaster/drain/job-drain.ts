/** Carries out what drain-steps.ts decides. Everything here is part of a turn of the JobMaster. */
import { FlottError } from '#core/errors.js'
import type { ExecutionGraph } from '../executiongraph/execution-graph.js'
import type { CheckpointCoordinatorApi, JobMasterContext } from '../job-master-context.js'
import { isEnding } from '../scheduler/job-status.js'
import type { Scheduler } from '../scheduler/scheduler.js'
import type { JobSlots } from '../slotpool/job-slots.js'
import type { SharedSlot } from '../slotpool/slot-sharing.js'
import { type DrainEffect, type DrainEvent, type DrainPhase, stepDrain } from './drain-steps.js'

export interface JobDrainOptions {
  readonly context: JobMasterContext
  readonly graph: ExecutionGraph
  readonly scheduler: Scheduler
  readonly slots: JobSlots
  readonly checkpoints: CheckpointCoordinatorApi
  readonly takesCheckpoints: boolean
}
export type DrainProgressOfJob = { readonly moving: true } | { readonly moving: false; readonly missing: string }

export class JobDrain {
  #phase: DrainPhase = 'settled'
  readonly #leaving = new Set<string>()
  readonly #sharedSlots: ReadonlyMap<string, SharedSlot>

  constructor(private readonly options: JobDrainOptions) {
    this.#sharedSlots = new Map(options.graph.vertices.map(({ sharedSlot }) => [sharedSlot.key, sharedSlot]))
  }

  taskManagerDraining(taskManagerId: string): void {
    this.#leaving.add(taskManagerId)
    this.look()
  }
  taskManagerLost(taskManagerId: string): void {
    this.#leaving.delete(taskManagerId)
  }
  /** Something may have changed. */
  look(): void {
    if (this.#leaving.size > 0 || this.options.slots.pool.retired.length > 0) this.#take('looked')
  }
  progress(taskManagerId: string): DrainProgressOfJob | undefined {
    const { slots, scheduler, takesCheckpoints } = this.options
    if (slots.pool.slotsOn(taskManagerId).length === 0) return undefined
    if (isEnding(scheduler.status)) return { moving: true }
    if (!takesCheckpoints) return { moving: false, missing: 'it takes no checkpoints, so its tasks can not move' }
    const missing = this.#phase === 'reserving' ? slots.waitingFor : undefined
    return missing === undefined ? { moving: true } : { moving: false, missing }
  }

  #take(kind: DrainEvent['kind']): void {
    const { scheduler, slots, takesCheckpoints } = this.options
    if (isEnding(scheduler.status)) return
    this.#giveBack()
    const leaving = slots.pool.keysOn(this.#leaving)
    const replaced = new Set(leaving.filter((key) => slots.pool.hasReplacement(key)))
    const { phase, effects } = stepDrain(this.#phase, { kind, view: { leaving, replaced, runs: scheduler.runs, takesCheckpoints } })
    this.#phase = phase
    for (const effect of effects) this.#do(effect)
  }
  #do(effect: DrainEffect): void {
    const { slots, checkpoints, context } = this.options
    switch (effect.kind) {
      case 'acquire-replacements':
        slots.acquireReplacements(effect.keys.map((key) => this.#sharedSlots.get(key)!))
        break
      case 'take-checkpoint':
        context.logger.info('tasks are about to move: a checkpoint first', { taskManagers: [...this.#leaving] })
        checkpoints.takeNow(() => this.#take('checkpoint-completed'))
        break
      case 'move':
        this.#move(effect.keys)
    }
  }
  #move(keys: readonly string[]): void {
    const { slots, graph, scheduler } = this.options
    slots.pool.replace(keys)
    const retired = new Set(slots.pool.retired.map(({ allocationId }) => allocationId))
    const there = graph.vertices.filter(({ execution }) => execution.slot && retired.has(execution.slot.allocationId))
    const regions = [...new Set(there.map(({ region }) => region))]
    const taskManagers = [...this.#leaving].join(', ')
    scheduler.move(regions, new FlottError('SHUTTING_DOWN', `${there.length} tasks move away from ${taskManagers}`))
    this.#giveBack()
  }
  /** Slots that nothing runs in any more, and replacements on a TaskManager that is to go itself. */
  #giveBack(): void {
    const { slots, graph } = this.options
    slots.release(slots.pool.dropReplacements(this.#leaving), 'its TaskManager is being drained')
    const { retired } = slots.pool
    if (retired.length === 0) return
    const inUse = new Set(graph.vertices.filter(({ ended }) => !ended).map(({ execution }) => execution.slot?.allocationId))
    slots.release(
      retired.filter(({ allocationId }) => !inUse.has(allocationId)),
      'its tasks have moved',
    )
  }
}
