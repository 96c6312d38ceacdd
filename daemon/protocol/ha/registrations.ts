/**
 * Registrations of TaskManager processes in ZooKeeper: one node each below `registrations/`, empty, of the session by which the process
 * also follows the leader. Its name says all, so that one list of the folder tells of a thousand of them.
 *
 * A node appears before its process is told of a leader, hence before a leader can deploy anything there. It vanishes with its session:
 * at once when the process stops, or is dead and its supervisor closes the session; after the time-out when the process, its host or its
 * way to ZooKeeper is gone. It appears again when the process lives and has opened another session.
 *
 * So a node that is there proves little (the process may be dead, and its session not over yet), and one that is missing proves nothing
 * while a connection to the process lives: the connection and its heartbeats decide then. They alone do so for all that have registered
 * with the leader. Where a new leader waits for TaskManagers of a deployment (reconciliation.ts), a missing node is the one sign of life
 * that a dead process can withhold.
 */
export interface TaskManagerProcess {
  readonly taskManagerId: string
  /** Made anew with each process. */
  readonly processId: string
}

/** Of the node. The id may have any characters, the process id has none that are encoded. */
export function registrationName({ taskManagerId, processId }: TaskManagerProcess): string {
  return `${encodeURIComponent(taskManagerId)}@${processId}`
}

/** Whether one of these is a process of that TaskManager. */
export function namesProcessOf(names: ReadonlySet<string>, taskManagerId: string): boolean {
  const prefix = registrationName({ taskManagerId, processId: '' })
  return [...names].some((name) => name.startsWith(prefix))
}

/** As a leader sees them, over the session of its reign. */
export interface Registrations {
  /**
   * Names of those that are there; undefined while that can not be told. Whatever kept TaskManagers from ZooKeeper for so long that their
   * sessions ended may have kept the leader from it, too, and then all come back at the same time: so nothing is said before this session
   * was connected for twice as long as a session lasts without its client.
   */
  readonly listed: ReadonlySet<string> | undefined
  /** Calls with each new list, until the reign ends. */
  watch(onListed: () => void): void
}
