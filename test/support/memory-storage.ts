/** Facts and blobs in memory: what outlives a JobManager in scenarios of one thread. */

import { isDeepStrictEqual } from 'node:util'
import { crc32 } from 'node:zlib'
import { FlottError } from '#core/errors.js'
import type { BlobInfo, BlobStore } from '#protocol/ha/blobs.js'
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

export class MemoryBlobs implements BlobStore {
  readonly blobs = new Map<string, Uint8Array>()
  /** Called before each put; may throw. */
  beforePut: (name: string) => void | Promise<void> = () => {}

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    await this.beforePut(name)
    const parts: Uint8Array[] = []
    if (content instanceof Uint8Array) parts.push(content)
    else for await (const part of content) parts.push(part)
    this.blobs.set(name, Buffer.concat(parts))
    return (await this.info(name))!
  }
  async get(name: string): Promise<Uint8Array> {
    const found = this.blobs.get(name)
    if (!found) throw new FlottError('BLOB_NOT_FOUND', name)
    return found
  }
  async *read(name: string): AsyncIterable<Uint8Array> {
    yield await this.get(name)
  }
  async info(name: string): Promise<BlobInfo | undefined> {
    const found = this.blobs.get(name)
    return found && { name, bytes: found.length, crc32: crc32(found) }
  }
  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) this.blobs.delete(name)
  }
  async *list(prefix: string): AsyncIterable<BlobInfo> {
    for (const name of [...this.blobs.keys()].filter((n) => n.startsWith(prefix)).toSorted()) yield (await this.info(name))!
  }
  names(prefix: string): string[] {
    return [...this.blobs.keys()].filter((name) => name.startsWith(prefix))
  }
}

export class MemoryFacts implements FactStore {
  readonly jobs = new Map<string, Versioned<JobFact>>()
  /** Called before each write; may throw. */
  beforeWrite: (fact: JobFact) => void | Promise<void> = () => {}
  /** All facts written, in order. */
  readonly history: JobFact[] = []

  async sync(): Promise<void> {}
  async listJobs(): Promise<readonly string[]> {
    return [...this.jobs.keys()]
  }
  async readJob(jobId: string): Promise<Versioned<JobFact> | undefined> {
    return this.jobs.get(jobId)
  }
  async createJob(fact: JobFact): Promise<number> {
    await this.beforeWrite(fact)
    const found = this.jobs.get(fact.jobId)
    if (found && !isDeepStrictEqual(found.value, fact)) throw new FlottError('FACT_EXISTS', fact.jobId)
    return this.#write(fact, 0)
  }
  async setJob(fact: JobFact, version: number): Promise<number> {
    await this.beforeWrite(fact)
    const found = this.jobs.get(fact.jobId)
    if (found?.version !== version) throw new FlottError('FACT_CONFLICT', `${fact.jobId} has version ${found?.version}, not ${version}`)
    return this.#write(fact, version + 1)
  }
  async deleteJob(jobId: string): Promise<void> {
    this.jobs.delete(jobId)
  }
  readonly retained = new Map<string, RetainedFact>()
  async listRetained(): Promise<readonly string[]> {
    return [...this.retained.keys()]
  }
  async readRetained(jobId: string): Promise<RetainedFact | undefined> {
    return this.retained.get(jobId)
  }
  async setRetained(fact: RetainedFact): Promise<void> {
    this.retained.set(fact.jobId, fact)
  }
  async deleteRetained(jobId: string): Promise<void> {
    this.retained.delete(jobId)
  }
  readonly disposals = new Map<string, DisposalFact>()
  async listDisposals(): Promise<readonly DisposalFact[]> {
    return [...this.disposals.values()]
  }
  async setDisposal(fact: DisposalFact): Promise<void> {
    this.disposals.set(fact.requestId, fact)
  }
  async deleteDisposal(requestId: string): Promise<void> {
    this.disposals.delete(requestId)
  }
  readonly drains = new Map<string, DrainFact>()
  async listDrains(): Promise<readonly DrainFact[]> {
    return [...this.drains.values()]
  }
  async setDrain(fact: DrainFact): Promise<void> {
    this.drains.set(fact.processId, fact)
  }
  async deleteDrain(processId: string): Promise<void> {
    this.drains.delete(processId)
  }
  async readIsr(): Promise<Versioned<readonly Replica[]> | undefined> {
    return undefined
  }
  async setIsr(): Promise<number> {
    return 0
  }
  async readCluster(): Promise<Versioned<ClusterFact> | undefined> {
    return undefined
  }
  async createCluster(value: ClusterFact): Promise<Versioned<ClusterFact>> {
    return { value, version: 0 }
  }
  async setCluster(): Promise<number> {
    return 0
  }
  readonly marks = new Map<string, GivenUpMark>()
  async listMarks(): Promise<readonly GivenUpMark[]> {
    return [...this.marks.values()]
  }
  async setMark(mark: GivenUpMark): Promise<void> {
    this.marks.set(mark.taskManagerId, mark)
  }
  async deleteMark(taskManagerId: string): Promise<void> {
    this.marks.delete(taskManagerId)
  }
  #write(fact: JobFact, version: number): number {
    this.history.push(fact)
    this.jobs.set(fact.jobId, { value: structuredClone(fact), version })
    return version
  }
}
