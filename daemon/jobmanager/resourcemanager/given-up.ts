/**
 * TaskManagers that the leader has given up while their process may live, cut off maybe: a mark in the facts tells each of them, also
 * past the death of this leader, to stop what it has; until then it is refused. Most never come back, so only so many are kept.
 */
import type { Logger } from '#core/logger.js'
import type { TaskManagerRegistration } from '#protocol/gateways/resource-manager-gateway.js'
import type { FactStore, GivenUpMark } from '#protocol/ha/facts.js'

const MARKS_MAX = 200

export class GivenUpTaskManagers {
  /** Oldest first. */
  readonly #marks = new Map<string, GivenUpMark>()
  /** Writes, one after the other. */
  #writing: Promise<void> = Promise.resolve()

  constructor(
    private readonly facts: Pick<FactStore, 'listMarks' | 'setMark' | 'deleteMark'>,
    private readonly logger: Logger,
  ) {}

  /** Those of former leaders, before anybody registers. */
  async load(): Promise<void> {
    const marks = [...(await this.facts.listMarks())].sort((a, b) => a.time - b.time)
    for (const mark of marks) this.#marks.set(mark.taskManagerId, mark)
    this.#forgetOldest()
  }

  giveUp(mark: GivenUpMark): void {
    this.#marks.delete(mark.taskManagerId) // Now it is the newest.
    this.#marks.set(mark.taskManagerId, mark)
    this.#write(mark.taskManagerId, () => this.facts.setMark(mark))
    this.#forgetOldest()
  }

  /** Why it is refused: it has not yet stopped what it had. */
  refusal({ taskManagerId, processId, life, slots }: TaskManagerRegistration): string | undefined {
    const mark = this.#marks.get(taskManagerId)
    if (mark?.processId !== processId) return undefined // Another process has nothing of it.
    return life <= mark.life || slots.some(({ state }) => state !== 'FREE') ? mark.cause : undefined
  }
  /** It was taken. The mark of a former process stays: that one may live on a host that is cut off. */
  returned({ taskManagerId, processId }: TaskManagerRegistration): void {
    if (this.#marks.get(taskManagerId)?.processId === processId) this.#forget(taskManagerId)
  }

  #forgetOldest(): void {
    for (const taskManagerId of this.#marks.keys()) if (this.#marks.size > MARKS_MAX) this.#forget(taskManagerId)
  }
  #forget(taskManagerId: string): void {
    this.#marks.delete(taskManagerId)
    this.#write(taskManagerId, () => this.facts.deleteMark(taskManagerId))
  }
  /** Where one can not be written, epochs and attempts fence the TaskManager all the same; it stops later. */
  #write(taskManagerId: string, write: () => Promise<void>): void {
    this.#writing = this.#writing
      .then(write)
      .catch((error: unknown) => this.logger.warn('the mark of a TaskManager that was given up is not written', { taskManagerId, error }))
  }
}
