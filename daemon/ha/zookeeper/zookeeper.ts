import { registrationName, type TaskManagerProcess } from '#protocol/ha/registrations.js'

/**
 * What Flott needs of ZooKeeper: sessions, and nodes in a tree. Election, retrieval and facts are written against this; the npm
 * client is behind it in a daemon (native-zookeeper.ts), a simulated ensemble in tests and in the simulation (memory/).
 *
 * Operations of one session take effect in the order of their calls. They fail with ZOOKEEPER_UNAVAILABLE (connection lost: a write
 * may have been applied), ZOOKEEPER_SESSION_EXPIRED (the session ended, by expiry or close), ZOOKEEPER_NOT_AUTHORIZED, and the
 * codes named below.
 */
export interface ZooKeeper {
  /** A new session. ZOOKEEPER_UNAVAILABLE when no server answers within the connection time-out. */
  open(): Promise<ZooKeeperSession>
}

/**
 * CONNECTED -> SUSPENDED (connection lost, the session may live) -> CONNECTED again, or LOST (ended, whoever ended it). A session
 * handed out is CONNECTED. LOST is final.
 */
export type SessionState = 'CONNECTED' | 'SUSPENDED' | 'LOST'

export interface ZooKeeperSession {
  /** In hexadecimal, as in `ephemeralOwner`. */
  readonly id: string
  /** With the id it lets another process attach to this session, and end it. */
  readonly password: string
  /** As agreed with the server. */
  readonly timeoutMs: number
  readonly state: SessionState
  /** Calls with each change of the state. Returns the cancellation. */
  onState(listener: (state: SessionState) => void): () => void
  /** Resolves at once or when CONNECTED again; ZOOKEEPER_SESSION_EXPIRED when LOST. */
  whenConnected(): Promise<void>

  /** Returns the path (sequential nodes get ten digits appended). FACT_EXISTS; FACT_NOT_FOUND when the parent is missing. */
  create(path: string, data: Uint8Array, kind: NodeKind): Promise<string>
  /** `onChange` fires once: at the next change, removal or creation of the node, or without one after a reconnection. */
  get(path: string, onChange?: () => void): Promise<ZooKeeperNode | undefined>
  /** FACT_NOT_FOUND. `onChange` as in `get`, for changes of the list. */
  children(path: string, onChange?: () => void): Promise<readonly string[]>
  /** Returns the new version. FACT_CONFLICT when the node has another version, FACT_NOT_FOUND. */
  set(path: string, data: Uint8Array, version: number): Promise<number>
  /** FACT_CONFLICT, FACT_NOT_FOUND. */
  remove(path: string, version: number): Promise<void>
  /** Later reads of this session see all that was acknowledged to anyone before. */
  sync(path: string): Promise<void>
  /** Ends the session. The server has been told when this resolves, if the connection was up; else it ends by its time-out. Idempotent. */
  close(): Promise<void>
}

export type NodeKind = 'persistent' | 'ephemeral' | 'ephemeral-sequential'

export interface ZooKeeperNode {
  readonly data: Buffer
  readonly version: number
  /** 16 hex digits. */
  readonly czxid: string
  /** Session id; undefined for persistent nodes. */
  readonly ephemeralOwner: string | undefined
}

/** Paths of a cluster (DESIGN section 4). */
export class ClusterPaths {
  readonly root: string
  readonly election: string
  readonly leader: string
  readonly isr: string
  readonly cluster: string
  readonly jobs: string
  readonly retained: string
  readonly disposals: string
  readonly drains: string
  readonly taskManagers: string
  readonly registrations: string
  constructor(clusterId: string, rootPath = '/flott') {
    this.root = `${rootPath.replace(/\/+$/, '')}/${clusterId.replace(/^\/+|\/+$/g, '')}`
    this.election = `${this.root}/election`
    this.leader = `${this.root}/leader`
    this.isr = `${this.root}/isr`
    this.cluster = `${this.root}/cluster`
    this.jobs = `${this.root}/jobs`
    this.retained = `${this.root}/retained`
    this.disposals = `${this.root}/disposals`
    this.drains = `${this.root}/drains`
    this.taskManagers = `${this.root}/taskmanagers`
    this.registrations = `${this.root}/registrations`
  }
  job(jobId: string): string {
    return `${this.jobs}/${jobId}`
  }
  /** As the fact store names it. */
  mark(taskManagerId: string): string {
    return `${this.taskManagers}/${encodeURIComponent(taskManagerId)}`
  }
  registration(process: TaskManagerProcess): string {
    return `${this.registrations}/${registrationName(process)}`
  }
  /** The nodes that must exist before anything else, parents first. */
  get folders(): readonly string[] {
    const parts = this.root.split('/').filter((p) => p !== '')
    const parents = parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`)
    const { election, jobs, retained, disposals, drains, taskManagers, registrations } = this
    return [...parents, election, jobs, retained, disposals, drains, taskManagers, registrations]
  }
}
