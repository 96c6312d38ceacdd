/** Keeps account of what retained checkpoints refer to, and deletes what no manifest names and no later one can. */
import type { CheckpointManifest } from '#protocol/checkpoint/manifest.js'
import type { JobMasterContext } from '../job-master-context.js'
import { AttemptsTold } from './attempts-told.js'
import { loadManifest, storeManifest } from './checkpoint-store.js'
import { ChunkReferences } from './chunk-references.js'
import { chunksOfManifest } from './manifest-builder.js'

export interface FoundCheckpoint {
  readonly manifest: CheckpointManifest
  readonly blob: string
}

export class CheckpointSweeper {
  /** What each running attempt was told complete: its next delta refers to chunks from there on. */
  readonly told: AttemptsTold
  /** The readable ones of the manifests that the fact named when this reign began. Never rejects. */
  readonly found: Promise<readonly FoundCheckpoint[]>
  readonly #references = new ChunkReferences()
  /** One sweep after the other; never rejects. */
  #sweeping: Promise<unknown>

  /** `isClosed`: the fact may name more than is known here, so that nothing may be deleted any more. */
  constructor(
    private readonly ctx: JobMasterContext,
    private readonly isClosed: () => boolean,
  ) {
    this.told = new AttemptsTold(ctx.fact.checkpoints.length === 0 ? 0 : undefined)
    this.found = this.#findReferences()
    this.#sweeping = this.found
  }
  async #findReferences(): Promise<readonly FoundCheckpoint[]> {
    const readable: FoundCheckpoint[] = []
    for (const { id, manifest: blob } of this.ctx.fact.checkpoints) {
      const manifest = await loadManifest(this.ctx.blobs, this.ctx.jobGraph.jobId, id, blob).catch((cause: unknown) => {
        this.ctx.logger.warn('a retained checkpoint can not be read: no chunk is deleted while it is retained', { checkpointId: id, cause })
        return undefined
      })
      this.#references.found(id, manifest && chunksOfManifest(manifest))
      if (manifest) readable.push({ manifest, blob })
    }
    return readable
  }

  /** Resolves to the manifest's blob once it is durable. */
  async store(manifest: CheckpointManifest): Promise<string> {
    await this.found
    return storeManifest(this.ctx.blobs, manifest, this.#references)
  }
  completed(manifest: CheckpointManifest): void {
    const retained = this.ctx.fact.checkpoints.map(({ id }) => id)
    this.#references.completed(manifest.checkpointId, chunksOfManifest(manifest), retained)
  }

  /** Best effort, again after the next checkpoint. `upTo`: newer ones may be going on. */
  sweep(upTo: number): void {
    this.#sweeping = this.#sweeping
      .then(() => this.#deleteUnreferenced(upTo))
      .catch((cause: unknown) => {
        this.ctx.logger.warn('chunks could not be deleted', { cause })
      })
  }
  async #deleteUnreferenced(upTo: number): Promise<void> {
    const { blobs, jobGraph } = this.ctx
    const chunks: string[] = []
    for await (const { name } of blobs.list(`chunk/${jobGraph.jobId}/`)) chunks.push(name)
    const manifests: string[] = []
    for await (const { name } of blobs.list(`manifest/${jobGraph.jobId}/`)) manifests.push(name)
    if (this.ctx.signal.aborted || this.isClosed()) return
    const running = this.ctx.executions().filter((task) => task.state === 'RUNNING' || task.state === 'INITIALIZING')
    const lowest = this.told.lowest(running.map((task) => task.attemptId))
    const named = new Set(this.ctx.fact.checkpoints.map(({ manifest }) => manifest))
    const dropped = manifests.filter((name) => !named.has(name) && Number(name.split('/')[2]?.split('-')[0]) <= upTo)
    const unreferenced = lowest === undefined ? [] : this.#references.unreferenced(chunks, upTo, lowest)
    if (dropped.length + unreferenced.length > 0) await blobs.delete([...dropped, ...unreferenced])
  }
}
