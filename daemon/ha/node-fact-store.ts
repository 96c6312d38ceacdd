import { FlottError, isFlottError } from '#core/errors.js'
import type {
  ClusterFact,
  DisposalFact,
  DrainFact,
  FactStore,
  GivenUpMark,
  JobFact,
  Replica,
  RetainedFact,
  Versioned,
} from '#protocol/ha/facts.js'

/** Versioned nodes: what ZooKeeper, a Level and memory have in common. Every call's outcome is certain when it returns. */
export interface FactNodes {
  sync(): Promise<void>
  /** Names of the children, in any order. */
  list(folder: FactFolder): Promise<readonly string[]>
  read(node: FactName): Promise<{ readonly bytes: Uint8Array; readonly version: number } | undefined>
  /** Version 0. FACT_EXISTS. */
  create(node: FactName, bytes: Uint8Array): Promise<void>
  /** Returns the new version, which is one more. FACT_CONFLICT, FACT_NOT_FOUND. */
  set(node: FactName, bytes: Uint8Array, version: number): Promise<number>
  /** FACT_CONFLICT; a node that is gone is no error. */
  remove(node: FactName, version: number): Promise<void>
}
export type FactFolder = 'jobs' | 'retained' | 'disposals' | 'drains' | 'taskmanagers'
export type FactName = 'isr' | 'cluster' | `${FactFolder}/${string}`

/** ZooKeeper takes 1 MB, but every byte is written by each server of the ensemble: what is larger belongs into a blob. */
export const FACT_BYTES_MAX = 64 * 1024

/** Facts as JSON in versioned nodes. A set is the whole fact, so one node is one atomic step. */
export class NodeFactStore implements FactStore {
  constructor(private readonly nodes: FactNodes) {}

  sync(): Promise<void> {
    return this.nodes.sync()
  }

  async listJobs(): Promise<readonly string[]> {
    return [...(await this.nodes.list('jobs'))].sort()
  }

  readJob(jobId: string): Promise<Versioned<JobFact> | undefined> {
    return this.#read<JobFact>(`jobs/${jobId}`)
  }

  async createJob(fact: JobFact): Promise<number> {
    const node: FactName = `jobs/${fact.jobId}`
    const bytes = encode(node, fact)
    try {
      await this.nodes.create(node, bytes)
      return 0
    } catch (error) {
      if (!isFlottError(error, 'FACT_EXISTS')) throw error
      const existing = await this.nodes.read(node)
      if (existing && Buffer.compare(existing.bytes, bytes) === 0) return existing.version
      throw error
    }
  }

  setJob(fact: JobFact, version: number): Promise<number> {
    const node: FactName = `jobs/${fact.jobId}`
    return this.#set(node, fact, version)
  }

  deleteJob(jobId: string, version: number): Promise<void> {
    return this.nodes.remove(`jobs/${jobId}`, version)
  }

  async listRetained(): Promise<readonly string[]> {
    return [...(await this.nodes.list('retained'))].sort()
  }

  async readRetained(jobId: string): Promise<RetainedFact | undefined> {
    return (await this.#read<RetainedFact>(`retained/${jobId}`))?.value
  }

  setRetained(fact: RetainedFact): Promise<void> {
    return this.#put(`retained/${fact.jobId}`, fact)
  }

  deleteRetained(jobId: string): Promise<void> {
    return this.#remove(`retained/${jobId}`)
  }

  listDisposals(): Promise<readonly DisposalFact[]> {
    return this.#readAll('disposals')
  }

  setDisposal(fact: DisposalFact): Promise<void> {
    return this.#put(`disposals/${fact.requestId}`, fact)
  }

  deleteDisposal(requestId: string): Promise<void> {
    return this.#remove(`disposals/${requestId}`)
  }

  listDrains(): Promise<readonly DrainFact[]> {
    return this.#readAll('drains')
  }

  setDrain(fact: DrainFact): Promise<void> {
    return this.#put(drainOf(fact.processId), fact)
  }

  deleteDrain(processId: string): Promise<void> {
    return this.#remove(drainOf(processId))
  }

  readIsr(): Promise<Versioned<readonly Replica[]> | undefined> {
    return this.#read<readonly Replica[]>('isr')
  }

  async setIsr(replicas: readonly Replica[], version: number | undefined): Promise<number> {
    if (version !== undefined) return this.#set('isr', replicas, version)
    const bytes = encode('isr', replicas)
    try {
      await this.nodes.create('isr', bytes)
      return 0
    } catch (error) {
      if (!isFlottError(error, 'FACT_EXISTS')) throw error
      const existing = await this.nodes.read('isr')
      if (existing?.version === 0 && Buffer.compare(existing.bytes, bytes) === 0) return 0
      throw new FlottError('FACT_CONFLICT', 'isr exists already', { cause: error })
    }
  }

  readCluster(): Promise<Versioned<ClusterFact> | undefined> {
    return this.#read<ClusterFact>('cluster')
  }

  async createCluster(fact: ClusterFact): Promise<Versioned<ClusterFact>> {
    const bytes = encode('cluster', fact)
    try {
      await this.nodes.create('cluster', bytes)
      return { value: fact, version: 0 }
    } catch (error) {
      if (!isFlottError(error, 'FACT_EXISTS')) throw error
      const existing = await this.readCluster()
      if (!existing) throw error
      return existing
    }
  }

  setCluster(fact: ClusterFact, version: number): Promise<number> {
    return this.#set('cluster', fact, version)
  }

  async listMarks(): Promise<readonly GivenUpMark[]> {
    const names = await this.nodes.list('taskmanagers')
    const marks = await Promise.all(
      names.map((name) =>
        this.#read<Partial<GivenUpMark> | null>(`taskmanagers/${name}`).catch((error: unknown) => {
          if (error instanceof SyntaxError) return undefined // Who else writes into the tree may write anything.
          throw error
        }),
      ),
    )
    return marks.flatMap((mark) => (mark?.value?.taskManagerId === undefined ? [] : [mark.value as GivenUpMark]))
  }

  setMark(mark: GivenUpMark): Promise<void> {
    return this.#put(markOf(mark.taskManagerId), mark)
  }

  deleteMark(taskManagerId: string): Promise<void> {
    return this.#remove(markOf(taskManagerId))
  }

  async #read<T>(node: FactName): Promise<Versioned<T> | undefined> {
    const found = await this.nodes.read(node)
    return found && { value: JSON.parse(Buffer.from(found.bytes).toString()) as T, version: found.version }
  }

  async #readAll<T>(folder: FactFolder): Promise<readonly T[]> {
    const names = await this.nodes.list(folder)
    const found = await Promise.all(names.map((name) => this.#read<T>(`${folder}/${name}`)))
    return found.flatMap((fact) => (fact ? [fact.value] : []))
  }

  /** Over the one that is there. */
  async #put(node: FactName, fact: unknown): Promise<void> {
    const found = await this.nodes.read(node)
    if (found) await this.#set(node, fact, found.version)
    else
      await this.nodes.create(node, encode(node, fact)).catch((error: unknown) => {
        if (!isFlottError(error, 'FACT_EXISTS')) throw error // Ours: the answer to the first try was lost.
      })
  }

  async #remove(node: FactName): Promise<void> {
    const found = await this.nodes.read(node)
    if (found) await this.nodes.remove(node, found.version)
  }

  async #set(node: FactName, fact: unknown, version: number): Promise<number> {
    return this.nodes.set(node, encode(node, fact), version)
  }
}

/** Its id may have any characters. */
function markOf(taskManagerId: string): FactName {
  return `taskmanagers/${encodeURIComponent(taskManagerId)}`
}
/** Its id is what the TaskManager says. */
function drainOf(processId: string): FactName {
  return `drains/${encodeURIComponent(processId)}`
}
function encode(node: string, fact: unknown): Buffer {
  const bytes = Buffer.from(JSON.stringify(fact))
  if (bytes.length > FACT_BYTES_MAX) throw new FlottError('FACT_TOO_LARGE', `${node} has ${bytes.length} bytes`)
  return bytes
}
