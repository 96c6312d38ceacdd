import { parseEpoch } from '#core/epoch.js'
import type { FromSlotWorker, ToSlotWorker } from '#taskmanager/slotworker/protocol.js'
import type { Invariants } from './invariants.js'

const ENDED: readonly string[] = ['FINISHED', 'CANCELED', 'FAILED']

interface Occupant {
  jobId: string | undefined
  slotIndex: number | undefined
  /** Attempt by subtask. */
  readonly running: Map<string, string>
}

/** No slot is given to two jobs, nor to two attempts of a subtask, at a time: seen at the ports of the slot workers. */
export class SlotOccupancy {
  readonly #workers = new Set<Occupant>()

  constructor(private readonly invariants: Invariants) {}

  worker(taskManagerId: string) {
    const occupant: Occupant = { jobId: undefined, slotIndex: undefined, running: new Map() }
    this.#workers.add(occupant)
    return {
      takes: (message: ToSlotWorker) => {
        if (message.kind === 'deploy') this.#deploys(taskManagerId, occupant, message)
        else if (message.kind === 'trigger-checkpoint' && occupant.jobId !== undefined)
          this.invariants.triggers(occupant.jobId, parseEpoch(message.epoch), message.checkpointId)
      },
      posts: (message: FromSlotWorker) => {
        if (message.kind !== 'task-state' || !ENDED.includes(message.state)) return
        for (const [subtask, attempt] of occupant.running) if (attempt === message.attemptId) occupant.running.delete(subtask)
      },
      ends: () => void this.#workers.delete(occupant),
    }
  }

  #deploys(taskManagerId: string, occupant: Occupant, { job, tasks }: ToSlotWorker & { kind: 'deploy' }): void {
    const { jobId } = job.jobGraph
    if (occupant.jobId !== undefined && occupant.jobId !== jobId)
      this.invariants.violated(`a worker of ${taskManagerId} runs jobs ${occupant.jobId} and ${jobId}`)
    occupant.jobId = jobId
    for (const { descriptor } of tasks) {
      const { attemptId, vertexId, subtaskIndex, slotIndex } = descriptor
      occupant.slotIndex ??= slotIndex
      const subtask = `${vertexId} ${subtaskIndex}`
      const other = occupant.running.get(subtask)
      if (other !== undefined && other !== attemptId)
        this.invariants.violated(`slot ${slotIndex} of ${taskManagerId} runs ${other} and is given ${attemptId}`)
      occupant.running.set(subtask, attemptId)
    }
    for (const one of this.#workers)
      if (one !== occupant && one.slotIndex === occupant.slotIndex && one.running.size > 0 && occupant.slotIndex !== undefined)
        this.invariants.violated(`slot ${occupant.slotIndex} of ${taskManagerId} has two workers with tasks`)
  }
}
