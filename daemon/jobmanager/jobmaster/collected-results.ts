/**
 * What collect sinks send to the client, until it has arrived there. A sink numbers its groups, and sends one again when it does not know
 * that it arrived: after a restore, or because an answer was lost. Each group is shown once, also through a change of leader: it is a blob
 * on the in-sync set before the sink hears that it was taken, and before the client sees it, under the running numbers that it keeps.
 *
 * The newest groups of each source stay until the job is forgotten: they may be sent again after the client has had them.
 */
import type { Epoch } from '#core/epoch.js'
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import { type BlobStore, collectedPrefix } from '#protocol/ha/blobs.js'

export interface CollectedGroup {
  readonly attemptId: string
  readonly operatorId: string
  readonly subtaskIndex: number
  /** With checkpoints: the one that covers the records, which is complete. Without: a number that each attempt counts from 1. */
  readonly checkpointId: number
  readonly records: readonly unknown[]
}

/** Records not fetched yet: beyond it, sinks wait. */
const UNFETCHED_MAX = 100_000
/** Records in one answer. */
const FETCH_MAX = 10_000
/** Groups of one source that stay when they have been fetched. */
const GROUPS_KEPT = 8

export interface CollectedResultsOptions {
  readonly jobId: string
  readonly checkpointing: boolean
  readonly epoch: Epoch
  readonly blobs: BlobStore
  /** Of blobs that are not needed any more: garbage, from then on. */
  onNotDeleted(error: unknown): void
  readonly unfetchedMax?: number
}

/** A blob: who sent it, under which number, and what. */
interface StoredGroup {
  readonly source: string
  readonly number: number
  readonly records: readonly unknown[]
}
interface Segment extends StoredGroup {
  readonly blob: string
  /** Running number of records[0]. */
  readonly first: number
}

/** The segments of one operator, in order and without a gap. */
class OperatorResults {
  segments: Segment[] = []
  readonly seen = new Set<string>()
  next = 1
  /** In this reign. */
  serial = 0
  /** The client has all below. */
  unfetched = 1

  append(segment: Segment): void {
    this.segments.push(segment)
    this.seen.add(`${segment.source}/${segment.number}`)
    this.next = segment.first + segment.records.length
  }
}

export class CollectedResults {
  readonly #operators = new Map<string, OperatorResults>()
  /** One group after the other, so that a number is taken only by what is stored. */
  #adding: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: CollectedResultsOptions) {}

  /** What earlier reigns have stored. */
  async load(): Promise<void> {
    const { blobs, jobId } = this.options
    const names: string[] = []
    for await (const { name } of blobs.list(collectedPrefix(jobId))) names.push(name)
    // By operator, number, epoch and serial. Of two that took the same number the later one counts: whoever stored it did not have the
    // other one, or knew that it was not stored everywhere. So nobody was told that it was.
    for (const [i, blob] of names.entries()) {
      const { operatorId, first } = placeOf(blob)
      const after = names[i + 1] === undefined ? undefined : placeOf(names[i + 1]!)
      if (after?.operatorId === operatorId && after.first === first) continue
      this.#of(operatorId).append({ ...(decodeValue(await blobs.get(blob)) as StoredGroup), blob, first })
    }
  }

  /** Durable when it resolves. */
  add(group: CollectedGroup): Promise<void> {
    const added = this.#adding.then(() => this.#add(group))
    this.#adding = added.catch(() => {}) // Whoever sent it hears of it, and sends it again.
    return added
  }
  async #add({ attemptId, operatorId, subtaskIndex, checkpointId: number, records }: CollectedGroup): Promise<void> {
    const { blobs, checkpointing, epoch, jobId } = this.options
    const results = this.#of(operatorId)
    const source = checkpointing ? String(subtaskIndex) : attemptId
    if (results.seen.has(`${source}/${number}`) || records.length === 0) return
    const group: StoredGroup = { source, number, records }
    const first = results.next
    const writer = `${digits(epoch.incarnation)}-${epoch.czxid}-${digits(results.serial++)}`
    const blob = `${collectedPrefix(jobId)}${operatorId}/${digits(first)}-${writer}`
    await blobs.put(blob, encodeValue(group))
    results.append({ ...group, blob, first })
    this.#discard(results)
  }
  /** False: the client has to fetch first. */
  hasRoom(operatorId: string): boolean {
    const results = this.#operators.get(operatorId)
    return !results || results.next - results.unfetched < (this.options.unfetchedMax ?? UNFETCHED_MAX)
  }
  /** Records with a number above `after`, which says that all up to it have arrived; `more`: others are there already. */
  fetch(operatorId: string, after: number): { records: readonly unknown[]; next: number; more: boolean } {
    const results = this.#operators.get(operatorId)
    if (!results) return { records: [], next: after, more: false }
    results.unfetched = Math.max(results.unfetched, Math.min(after + 1, results.next))
    this.#discard(results)
    const records: unknown[] = []
    for (const segment of results.segments) {
      const skipped = Math.max(0, results.unfetched - segment.first)
      if (skipped < segment.records.length) records.push(...segment.records.slice(skipped, skipped + FETCH_MAX - records.length))
      if (records.length >= FETCH_MAX) break
    }
    const next = results.unfetched + records.length - 1
    return { records, next, more: next + 1 < results.next }
  }

  /** Forgets what the client has, but for the newest of each source. */
  #discard(results: OperatorResults): void {
    const newer = new Map<string, number>()
    const discarded = results.segments.toReversed().filter(({ source, first, records }) => {
      const count = newer.get(source) ?? 0
      newer.set(source, count + 1)
      return count >= GROUPS_KEPT && first + records.length <= results.unfetched
    })
    if (discarded.length === 0) return
    results.segments = results.segments.filter((segment) => !discarded.includes(segment))
    this.options.blobs.delete(discarded.map(({ blob }) => blob)).catch((error: unknown) => this.options.onNotDeleted(error))
  }

  #of(operatorId: string): OperatorResults {
    const found = this.#operators.get(operatorId)
    if (found) return found
    const made = new OperatorResults()
    this.#operators.set(operatorId, made)
    return made
  }
}

/** So many that the order of names is the order of numbers. */
function digits(number: number): string {
  return String(number).padStart(16, '0')
}
function placeOf(blob: string): { operatorId: string; first: number } {
  const [, , operatorId = '', place = ''] = blob.split('/')
  return { operatorId, first: Number(place.split('-')[0]) }
}
