/** How a task spends its time, by turns of the slot's loop: busy, held back by its consumers, or idle. */
export type TurnOutcome = 'busy' | 'back-pressured' | 'idle'

export class TaskTimes {
  busyTimeMs = 0
  backPressuredTimeMs = 0
  idleTimeMs = 0
  #since: number
  #state: TurnOutcome = 'idle'

  constructor(now: number) {
    this.#since = now
  }
  /** From `start` to `end` it had its turn; since the last turn it was in the state that that one left it in. */
  turn(start: number, end: number, outcome: TurnOutcome): void {
    this.#add(this.#state === 'busy' ? 'idle' : this.#state, start - this.#since)
    this.#add(outcome === 'busy' ? 'busy' : outcome, end - start)
    this.#since = end
    this.#state = outcome
  }
  /** Counts the time until now, in the state that the last turn left. */
  upTo(now: number): void {
    this.turn(now, now, this.#state)
  }
  #add(outcome: TurnOutcome, ms: number): void {
    if (outcome === 'busy') this.busyTimeMs += ms
    else if (outcome === 'idle') this.idleTimeMs += ms
    else this.backPressuredTimeMs += ms
  }
}
