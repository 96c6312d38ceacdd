import type { Timer } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { GrantedSlot, SlotProvider } from '../../resourcemanager/slot-provider.js'
import type { AllocatedSlot } from '../executiongraph/execution.js'
import type { JobMasterContext } from '../job-master-context.js'
import { SlotPool } from './slot-pool.js'
import type { SharedSlot } from './slot-sharing.js'

/** A job's slots with what asks the ResourceManager for them, and gives up when they do not come in time. */
export class JobSlots {
  readonly pool = new SlotPool()
  #timer: Timer | undefined

  constructor(
    private readonly context: JobMasterContext,
    private readonly provider: SlotProvider,
    private readonly timeoutMs: number,
    /** A turn. */
    private readonly onMissing: (cause: Error) => void,
  ) {}

  acquire(slots: readonly SharedSlot[]): void {
    const requests = this.pool.acquire(slots, () => randomId(this.context.random))
    if (requests.length > 0) this.provider.requestSlots(this.context.jobGraph.jobId, requests)
    if (requests.length > 0 || !this.#timer) this.#armTimer()
  }
  /** The job goes on as it is, however long it takes to get them. */
  acquireReplacements(slots: readonly SharedSlot[]): void {
    const requests = this.pool.acquireReplacements(slots, () => randomId(this.context.random))
    if (requests.length > 0) this.provider.requestSlots(this.context.jobGraph.jobId, requests)
  }
  release(slots: readonly AllocatedSlot[], cause: string): void {
    for (const { allocationId } of slots) this.pool.lose(allocationId)
    if (slots.length === 0) return
    this.provider.releaseSlots(
      slots.map(({ allocationId }) => allocationId),
      cause,
    )
  }
  granted(slots: readonly GrantedSlot[]): void {
    const unwanted = slots.filter((slot) => !this.pool.offer(slot)).map((slot) => slot.allocationId)
    if (unwanted.length > 0) this.provider.releaseSlots(unwanted, 'the job needs it no more')
    this.#armTimer()
  }
  /** Why the job waits, where it does. */
  get waitingFor(): string | undefined {
    return this.provider.waitingFor(this.context.jobGraph.jobId)
  }
  stop(): void {
    this.#timer?.cancel()
  }

  #armTimer(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.pool.requestedCount === 0) return
    this.#timer = this.context.clock.setTimer(this.timeoutMs, () => this.context.run(() => this.#giveUp()), { unref: true })
  }
  #giveUp(): void {
    this.#timer = undefined
    const why = this.waitingFor ?? 'TaskManagers did not confirm the slots'
    this.pool.withdrawRequests()
    this.provider.withdrawRequests(this.context.jobGraph.jobId)
    this.onMissing(new FlottError('NO_RESOURCE_AVAILABLE', `${why}; waited ${this.timeoutMs} ms (slot.request.timeout)`))
  }
}
