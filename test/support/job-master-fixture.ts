import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { FlottError } from '#core/errors.js'
import type { ExecutionView } from '#jobmanager/jobmaster/job-master-context.js'
import type { JobGraph, JobVertex, OperatorSpec, Partitioner } from '#protocol/graph/job-graph.js'
import type { BlobInfo, BlobStore } from '#protocol/ha/blobs.js'
import type { JobFact } from '#protocol/ha/facts.js'

/** Blobs in a map. `failing` says what fails, before it happens. */
export class MapBlobStore implements BlobStore {
  readonly blobs = new Map<string, Uint8Array>()
  failing: (operation: 'put' | 'get' | 'delete', name: string) => Error | undefined = () => undefined
  onDelete: (name: string) => void = () => {}

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    this.#check('put', name)
    this.blobs.set(name, content instanceof Uint8Array ? content : await collect(content))
    return (await this.info(name))!
  }
  async get(name: string): Promise<Uint8Array> {
    this.#check('get', name)
    const bytes = this.blobs.get(name)
    if (!bytes) throw new FlottError('BLOB_NOT_FOUND', name)
    return bytes
  }
  async *read(name: string): AsyncIterable<Uint8Array> {
    yield await this.get(name)
  }
  async info(name: string): Promise<BlobInfo | undefined> {
    const bytes = this.blobs.get(name)
    return bytes && { name, bytes: bytes.length, crc32: crc32(bytes) }
  }
  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) {
      this.#check('delete', name)
      this.onDelete(name)
      this.blobs.delete(name)
    }
  }
  async *list(prefix: string): AsyncIterable<BlobInfo> {
    for (const name of [...this.blobs.keys()].sort()) if (name.startsWith(prefix)) yield (await this.info(name))!
  }
  #check(operation: 'put' | 'get' | 'delete', name: string): void {
    const error = this.failing(operation, name)
    if (error) throw error
  }
}

/** A graph of one operator a vertex, chained by edges in this order. */
export function linearGraph(
  vertices: readonly { readonly name: string; readonly kind: string; readonly parallelism: number }[],
  partitioner: Partitioner = 'hash',
): JobGraph {
  return {
    jobId: 'a'.repeat(32),
    jobName: 'test',
    program: { args: [], env: {}, clockMs: 0, randomSeed: 1, once: {}, executeIndex: 0, earlierResults: [] },
    fingerprint: 'f',
    settings: {},
    vertices: vertices.map(({ name, kind, parallelism }): JobVertex => {
      const operator: OperatorSpec = { uid: name, id: `op-${name}`, name, kind }
      return { id: name, name, parallelism, maxParallelism: 128, slotSharingGroup: 'default', operators: [operator] }
    }),
    edges: vertices.slice(1).map(({ name }, i) => ({
      id: `${vertices[i]!.name}->${name}`,
      source: vertices[i]!.name,
      sourceOperator: vertices[i]!.name,
      target: name,
      targetOperator: name,
      partitioner,
      targetInput: 0,
    })),
  }
}

export function executionsOf(graph: JobGraph, attemptNumber: number, state: ExecutionView['state'] = 'RUNNING'): ExecutionView[] {
  return graph.vertices.flatMap((vertex) =>
    Array.from(
      { length: vertex.parallelism },
      (_, subtaskIndex): ExecutionView => ({
        vertexId: vertex.id,
        subtaskIndex,
        attemptNumber,
        attemptId: `${vertex.id}_${subtaskIndex}_${attemptNumber}`,
        state,
        taskManagerId: `tm-${subtaskIndex % 2}`,
      }),
    ),
  )
}

export function jobFact(graph: JobGraph): JobFact {
  return {
    jobId: graph.jobId,
    jobName: graph.jobName,
    target: 'RUNNING',
    submittedTime: 0,
    jobGraph: 'graph/test',
    checkpoints: [],
    checkpointIdReserved: 0,
    attemptNumber: 1,
    restarts: { count: 0 },
  }
}

async function collect(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of content) parts.push(part)
  return Buffer.concat(parts)
}
