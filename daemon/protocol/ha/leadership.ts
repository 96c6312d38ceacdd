import type { Epoch } from '#core/epoch.js'
import type { FactStore, GivenUpMark, LeaderInfo } from './facts.js'
import type { Registrations, TaskManagerProcess } from './registrations.js'

/** One reign: from the grant to the loss of one ZooKeeper session. */
export interface Reign {
  readonly epoch: Epoch
  /**
   * All writes of the leader go through it: over this reign's session, which ZooKeeper refuses once the reign has ended. It reads all that
   * the reigns before have written.
   */
  readonly facts: FactStore
  /** Aborts when the reign ends, whatever the cause. All that the leader started hangs on it. */
  readonly signal: AbortSignal
  /** Absent where there is no ZooKeeper. */
  readonly registrations?: Registrations
  /**
   * Whether it goes on, by the clock too: false right after this process has slept for longer than its session lives, before any timer
   * or connection could tell. Then the reign ends at once.
   */
  holds(): boolean
  /** True while the connection is lost but the session may live: irrevocable decisions wait. */
  readonly suspended: boolean
  /** Resolves at once, or when the connection is back; rejects with NOT_LEADER when the reign ended. */
  whenConfirmed(): Promise<void>
  /** Publishes the leader node: after this, others find us. */
  publish(info: LeaderInfo): Promise<void>
}

export interface LeaderElection {
  /** Enters the election. `onGranted` may fail: then the reign ends and the candidate enters again. */
  start(candidate: { onGranted(reign: Reign): Promise<void> }): Promise<void>
  /** Ends the reign by itself (drain first!), then enters again or stays out. */
  stepDown(reason: string, options?: { again: boolean }): Promise<void>
  stop(): Promise<void>
}

export interface LeaderRetrieval {
  readonly current: LeaderInfo | undefined
  /** False while ZooKeeper does not answer: `current` is then what was known last. Absent where that can not be told. */
  readonly connected?: boolean
  /** Called with each change, and once at the start when a leader is known. Returns the cancellation. */
  watch(onChange: (leader: LeaderInfo | undefined) => void): () => void
  /**
   * Calls with the mark of that TaskManager, where it has one or gets one, maybe repeatedly. To be called before `start`. Absent where
   * there is no ZooKeeper to learn it from.
   */
  watchGivenUp?(taskManagerId: string, onMark: (mark: GivenUpMark) => void): void
  /**
   * Registers this process in ZooKeeper as long as its session lives, and before it tells of a leader. To be called before `start`. Absent
   * where there is no ZooKeeper.
   */
  holdRegistration?(process: TaskManagerProcess): void
  start(): Promise<void>
  stop(): Promise<void>
}
