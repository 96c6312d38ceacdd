/**
 * How a thread that sleeps in its event loop is woken by another: one Int32 word in shared memory, 1 while the owner sleeps. Who has
 * work for the owner publishes it first and rings then; ringing an owner that is awake costs one atomic load. The owner sets the word,
 * looks for work once more, and only then sleeps *on this word*: a ring between the two steps is seen by one side or the other.
 */
export function createDoorbell(): SharedArrayBuffer {
  return new SharedArrayBuffer(8)
}

/**
 * Owners in a simulation: they are woken by a plain call, so that a cluster in one thread is deterministic. Found by the number in the
 * second word, since a message that holds the memory may have been copied: another object over the same memory.
 */
const ownersHere = new Map<number, WeakRef<Doorbell>>()
const OWNER = 1
let owners = 0

/** The ringing end. */
export class Bell {
  readonly #flag: Int32Array
  constructor(shared: SharedArrayBuffer) {
    this.#flag = new Int32Array(shared)
  }
  get isOwnerSleeping(): boolean {
    return Atomics.load(this.#flag, 0) === 1
  }
  /** Wakes the owner when it sleeps. Call it after the work was published. */
  ring(): void {
    if (!this.isOwnerSleeping || Atomics.compareExchange(this.#flag, 0, 1, 0) !== 1) return
    const owner = this.#flag[OWNER]!
    if (owner > 0) ownersHere.get(owner)?.deref()?.wake()
    else Atomics.notify(this.#flag, 0)
  }
}

export interface DoorbellOptions {
  /** All that ring it live in this thread (simulation): no wait on shared memory is ever made. */
  readonly oneThread?: boolean
}

/**
 * The owner's end; one a thread or, in one thread, one a simulated thread. A wait on shared memory does not keep an event loop alive:
 * the owner holds a ref'd handle (a worker its parent port, the main thread its server) for as long as it wants to be woken.
 */
export class Doorbell {
  readonly #flag: Int32Array
  readonly #oneThread: boolean
  #resolve: (() => void) | undefined
  #sleep = 0

  constructor(
    readonly shared: SharedArrayBuffer = createDoorbell(),
    options: DoorbellOptions = {},
  ) {
    this.#flag = new Int32Array(shared)
    this.#oneThread = options.oneThread ?? false
    if (!this.#oneThread) return
    this.#flag[OWNER] = ++owners
    ownersHere.set(owners, new WeakRef(this))
  }
  get isSleeping(): boolean {
    return this.#resolve !== undefined
  }
  /**
   * Resolves when the bell is rung, `wake` is called, or at once when `hasWork` says so after the flag was set. `hasWork` is asked
   * exactly once. One sleep at a time. What it resolves to is a hint: look for work, and sleep again when there is none.
   */
  sleepUntilRung(hasWork: () => boolean): Promise<void> {
    if (this.#resolve) throw new Error('the doorbell has one sleeper already')
    Atomics.store(this.#flag, 0, 1)
    if (hasWork()) {
      Atomics.store(this.#flag, 0, 0)
      return Promise.resolve()
    }
    const promise = new Promise<void>((resolve) => {
      this.#resolve = resolve
    })
    if (!this.#oneThread) this.#waitOnFlag(++this.#sleep)
    return promise
  }
  /** Ends the sleep, from the owner's thread: a control message or a timer brought work. Does nothing while awake. */
  wake(): void {
    const resolve = this.#resolve
    if (!resolve) return
    this.#resolve = undefined
    Atomics.store(this.#flag, 0, 0)
    if (!this.#oneThread) Atomics.notify(this.#flag, 0) // Ends the wait on the flag, which would pile up otherwise.
    resolve()
  }
  #waitOnFlag(sleep: number): void {
    const wait = Atomics.waitAsync(this.#flag, 0, 1)
    if (!wait.async) this.wake()
    else void wait.value.then(() => sleep === this.#sleep && this.wake())
  }
}
