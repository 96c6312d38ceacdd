import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isFlottError, isPassingTrouble } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { ReplicaGateway } from '#protocol/gateways/replication-gateway.js'
import type { BlobInfo, BlobStore, BlobTransfer, ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { Replica } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { enough, type InSyncSet, type InSyncSetEvent, inSyncSet, isMember, mustHold, step } from './in-sync-set.js'
import { isBadBlob } from './live-blobs.js'
import { sendBlob } from './send-blob.js'

const REPAIR_RETRY_MS = 500

export interface ReplicationOptions {
  readonly self: Replica
  readonly reign: Reign
  readonly local: BlobStore
  readonly transfer: BlobTransfer
  /** How blobs are deleted on another disk. */
  deleteOn(replica: Replica): Pick<ReplicaGateway, 'deleteBlobs'>
  /** high-availability.replication.min-in-sync */
  readonly minInSync: number
  /** A replica that takes no more of a blob for that long, or does not confirm its end, leaves the set. */
  readonly stallTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** The set could not be changed: nothing can be stored under this reign any more. */
  onBroken(error: unknown): void
}

/**
 * The leader's blobs: on its own disk and on those of all others in the in-sync set. `put` returns when each of them has the blob, or
 * has left the set by a confirmed change of `isr`. That is the one rule: whoever may lead has what the facts name.
 */
export class ReplicatingBlobStore implements ReplicatedBlobStore {
  #broken: FlottError | undefined
  #closed = false
  readonly #waiting = new Set<() => void>()
  /** Names being put, with how often at a time; they are no garbage. */
  readonly #putting = new Map<string, number>()
  readonly #deleting = new Map<string, Promise<void>>()
  /** When a blob was first seen that nothing names (monotonic). */
  readonly #unnamed = new Map<string, number>()
  #deletions = 0

  private constructor(
    private readonly options: ReplicationOptions,
    private state: InSyncSet,
  ) {
    options.reign.signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  /** NOT_IN_SYNC when our own disk is not in the set. */
  static async open(options: ReplicationOptions): Promise<ReplicatingBlobStore> {
    const { facts } = options.reign
    const isr = await facts.readIsr()
    const own = isr?.value.find((r) => r.diskId === options.self.diskId)
    if (!isr || !own) throw new FlottError('NOT_IN_SYNC', `disk ${options.self.diskId} is not in the in-sync set`)
    if (own.address === options.self.address)
      return new ReplicatingBlobStore(options, inSyncSet(own.diskId, options.minInSync, isr.value, isr.version))
    const members = isr.value.map((r) => (r === own ? options.self : r))
    const version = await facts.setIsr(members, isr.version)
    return new ReplicatingBlobStore(options, inSyncSet(own.diskId, options.minInSync, members, version))
  }

  get set(): InSyncSet {
    return this.state
  }
  /**
   * Leadership is being given up, while the reign may still write: what fails from now on fails because of us. No replica leaves the set
   * for it, or the next leader would find itself out of the set.
   */
  close(): void {
    this.#closed = true
    this.#wake()
  }
  /** Number of the latest deletion that was sent to others. */
  get deletions(): number {
    return this.#deletions
  }

  /** Also when the blob is there already: putting it again keeps it from being collected until it is named. */
  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BlobInfo> {
    this.#putting.set(name, (this.#putting.get(name) ?? 0) + 1)
    this.#unnamed.delete(name)
    try {
      await this.#deleting.get(name)
      this.#assertUsable()
      const info = await this.options.local.put(name, content)
      await this.#replicate(info)
      return info
    } finally {
      const left = this.#putting.get(name)! - 1
      if (left > 0) this.#putting.set(name, left)
      else this.#putting.delete(name)
    }
  }

  async #replicate(info: BlobInfo): Promise<void> {
    const held = new Set([this.options.self.diskId])
    // By disk: the replica as it joined. One that fails and joins anew, maybe before its leaving is confirmed, is asked anew.
    const asked = new Map<string, Replica>()
    for (;;) {
      this.#assertUsable()
      if (!enough(this.state))
        throw new FlottError('REPLICATION_FAILED', `${info.name}: fewer than ${this.state.minInSync} in-sync disks are left`)
      const missing = mustHold(this.state).filter((r) => !held.has(r.diskId))
      if (missing.length === 0) return
      for (const replica of missing) {
        if (asked.get(replica.diskId) === replica) continue // It is on its way, or failed: then the set changes.
        asked.set(replica.diskId, replica)
        void this.#send(info, replica).then((sent) => {
          if (sent) held.add(replica.diskId)
          this.#wake()
        })
      }
      await this.#changed()
    }
  }

  /** Never rejects: a replica that does not take a blob fails, nobody else. */
  async #send(info: BlobInfo, replica: Replica): Promise<boolean> {
    const { clock, local, logger, reign, stallTimeoutMs, transfer } = this.options
    try {
      await sendBlob({ info, local, transfer, address: replica.address, epoch: reign.epoch, clock, stallTimeoutMs })
      return true
    } catch (error) {
      if (reign.signal.aborted || this.#closed) return false
      logger.warn('a replica did not take a blob', { replica, blob: info.name, error })
      this.report({ kind: 'replica-failed', diskId: replica.diskId })
      return false
    }
  }

  /** An event of the in-sync set; its effects follow. */
  report(event: InSyncSetEvent): void {
    const { set, effects } = step(this.state, event)
    this.state = set
    for (const effect of effects) {
      if (effect.kind === 'set-isr') void this.#setIsr(effect.replicas, effect.version)
    }
    if (effects.length > 0) this.#wake()
  }

  async #setIsr(replicas: readonly Replica[], version: number): Promise<void> {
    const { logger, onBroken, reign } = this.options
    try {
      const confirmed = await reign.facts.setIsr(replicas, version)
      logger.info('in-sync set changed', { members: replicas.map((r) => r.jobManagerId) })
      this.report({ kind: 'change-confirmed', version: confirmed })
    } catch (cause) {
      this.#broken = new FlottError('REPLICATION_FAILED', 'the in-sync set could not be changed', { cause })
      this.#wake()
      onBroken(cause)
    }
  }

  async get(name: string): Promise<Uint8Array> {
    try {
      return await this.options.local.get(name)
    } catch (error) {
      if (!isBadBlob(error)) throw error
      await this.#repairPatiently(name, error)
      return this.options.local.get(name)
    }
  }

  async *read(name: string): AsyncIterable<Uint8Array> {
    let done = 0
    try {
      for await (const block of this.options.local.read(name)) {
        yield block
        done += block.byteLength
      }
      return
    } catch (error) {
      if (!isBadBlob(error)) throw error
      await this.#repairPatiently(name, error)
    }
    for await (const block of this.options.local.read(name)) {
      const skipped = Math.min(done, block.byteLength)
      done -= skipped
      if (skipped < block.byteLength) yield block.subarray(skipped)
    }
  }

  /** A member that is briefly away may have it: for as long as it could be silent and stay in the set. */
  async #repairPatiently(name: string, cause: unknown): Promise<void> {
    const { clock, reign, stallTimeoutMs } = this.options
    const endMs = clock.monotonicMs() + stallTimeoutMs
    for (;;) {
      try {
        return await this.repair(name, cause)
      } catch (error) {
        if (!isPassingTrouble(error) || clock.monotonicMs() >= endMs) throw error
      }
      await sleep(clock, Math.min(REPAIR_RETRY_MS, stallTimeoutMs), reign.signal)
      this.#assertUsable()
    }
  }
  /**
   * Fetches a blob that is missing or corrupt here from another member, or from who joins. Fails with `cause` when nobody has it; with
   * REPLICATION_FAILED, a passing trouble, when a member that may have it can not be asked.
   */
  async repair(name: string, cause: unknown): Promise<void> {
    const { local, logger, self, transfer } = this.options
    let away: Replica | undefined
    for (const replica of mustHold(this.state)) {
      if (replica.diskId === self.diskId) continue
      try {
        const content = await transfer.get(replica.address, name) // Whole before the bad one goes.
        await local.delete([name])
        const info = await local.put(name, content)
        logger.warn('a bad blob was fetched from another disk', { blob: name, replica, cause })
        if (isFlottError(cause, 'BLOB_NOT_FOUND')) await this.#replicate(info) // Who has joined meanwhile lacks what was missing here.
        return
      } catch (error) {
        logger.warn('a bad blob could not be fetched', { blob: name, replica, error })
        if (!isBadBlob(error) && isPassingTrouble(error) && isMember(this.state, replica.diskId)) away = replica
      }
    }
    if (!away) throw cause
    throw new FlottError('REPLICATION_FAILED', `${name} can not be read here, and ${away.jobManagerId} can not be asked for it`, { cause })
  }

  info(name: string): Promise<BlobInfo | undefined> {
    return this.options.local.info(name)
  }
  list(prefix: string, after?: string): AsyncIterable<BlobInfo> {
    return this.options.local.list(prefix, after)
  }

  /** On every disk. The caller names none of them any more, and nobody is putting them. */
  async delete(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    this.#assertUsable()
    const work = this.#deleteEverywhere(names)
    for (const name of names)
      this.#deleting.set(
        name,
        work.catch(() => {}),
      )
    try {
      await work
    } finally {
      for (const name of names) this.#deleting.delete(name)
    }
  }

  async #deleteEverywhere(names: readonly string[]): Promise<void> {
    const number = ++this.#deletions
    await this.options.local.delete(names)
    const others = mustHold(this.state).filter((r) => r.diskId !== this.options.self.diskId)
    await Promise.all(others.map((replica) => this.#deleteOn(replica, number, names)))
  }

  /** A deletion that may still arrive could take a blob put again later: such a replica must join anew, which makes it late. */
  async #deleteOn(replica: Replica, number: number, names: readonly string[]): Promise<void> {
    try {
      await this.options.deleteOn(replica).deleteBlobs({ diskId: replica.diskId, number, names })
    } catch (error) {
      if (this.options.reign.signal.aborted || this.#closed) return
      this.options.logger.warn('a replica did not confirm a deletion', { replica, error })
      this.report({ kind: 'replica-failed', diskId: replica.diskId })
    }
  }

  /** What is on our disk, not in `live` and not being put; and for how long that has been seen. */
  async unnamed(live: ReadonlySet<string>): Promise<readonly (BlobInfo & { readonly unnamedMs: number })[]> {
    const nowMs = this.options.clock.monotonicMs()
    const found: (BlobInfo & { unnamedMs: number })[] = []
    for await (const info of this.options.local.list('')) {
      if (live.has(info.name)) {
        this.#unnamed.delete(info.name)
        continue
      }
      if (this.#putting.has(info.name)) continue
      const sinceMs = this.#unnamed.get(info.name) ?? nowMs
      this.#unnamed.set(info.name, sinceMs)
      found.push({ ...info, unnamedMs: nowMs - sinceMs })
    }
    return found
  }
  isPutting(name: string): boolean {
    return this.#putting.has(name)
  }
  /** Whether it is on other disks only, where nobody puts it: what is being put is on ours first. */
  async isStray(name: string): Promise<boolean> {
    if (!this.#unnamed.has(name)) this.#unnamed.set(name, this.options.clock.monotonicMs()) // A put from now on takes it away.
    return !this.#putting.has(name) && !(await this.options.local.info(name))
  }
  /**
   * Deletes, on every disk, what was found to be unnamed or stray, except for what was put since. The caller has let a grace pass that
   * covers what is put and not named yet, so it is longer than any checkpoint takes. Returns what went.
   */
  async deleteUnnamed(names: readonly string[]): Promise<readonly string[]> {
    const gone = names.filter((name) => this.#unnamed.has(name) && !this.#putting.has(name))
    await this.delete(gone)
    for (const name of gone) this.#unnamed.delete(name)
    return gone
  }

  /** Brings a blob of ours to a member that lacks it or has it damaged. False when that fails: then the member leaves the set. */
  async resend(name: string, replica: Replica, damaged: boolean): Promise<boolean> {
    const info = await this.options.local.info(name)
    if (!info) return false
    if (damaged) await this.#deleteOn(replica, ++this.#deletions, [name])
    return this.#send(info, replica)
  }

  /** Resolves with the disk's place once no change of the set concerns it any more. */
  async whenSettled(diskId: string): Promise<'MEMBER' | 'JOINING' | 'UNKNOWN'> {
    while (this.state.change) {
      this.#assertUsable()
      await this.#changed()
    }
    if (isMember(this.state, diskId)) return 'MEMBER'
    return this.state.joining.some((r) => r.diskId === diskId) ? 'JOINING' : 'UNKNOWN'
  }

  #assertUsable(): void {
    if (this.options.reign.signal.aborted) throw this.options.reign.signal.reason
    if (this.#broken) throw this.#broken
    if (this.#closed) throw new FlottError('NOT_LEADER', 'leadership is being given up')
  }
  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }
  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
