/**
 * Knows the TaskManagers and their slots, and hands slots out to jobs. Standalone: it gives what has registered, and starts nothing. The
 * slot manager decides; this endpoint tells it what happened and does what it says.
 */
import { type Clock, sleep } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { DrainStatus, TaskManagerDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type {
  DrainProgress,
  RegistrationAnswer,
  ResourceManagerGateway,
  SlotReport,
  TaskManagerRegistration,
} from '#protocol/gateways/resource-manager-gateway.js'
import { type TaskExecutorGateway, type TaskExecutorHeartbeat, taskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { DrainFact, DrainOutcome } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { namesProcessOf } from '#protocol/ha/registrations.js'
import { HeartbeatMonitor } from '#rpc/heartbeat.js'
import { Mailbox } from '#rpc/mailbox.js'
import type { CallContext, Endpoint, RpcConnection } from '#rpc/rpc.js'
import { type ConnectedTaskManager, detailsOf, infoOf } from './connected-task-manager.js'
import { Drains } from './drains.js'
import type { GivenUpTaskManagers } from './given-up.js'
import { freeSlotCount, NO_SLOTS, type SlotEffect, type SlotEvent, type SlotManagerState, stepSlots, waitingFor } from './slot-manager.js'
import type { SlotOwner, SlotProvider, TaskManagerInfo, WantedSlot } from './slot-provider.js'

/** What a TaskManager refused is asked again after this long, so that one that refuses at once is not asked in a loop. */
const RETRY_MS = 1_000
/** How often a new leader looks whether the TaskManager that is to be drained has come to it. */
const COMING_CHECK_MS = 50

export interface ResourceManagerOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly reign: Pick<Reign, 'epoch' | 'facts' | 'holds' | 'registrations' | 'signal' | 'whenConfirmed'>
  readonly clusterUuid: string
  readonly heartbeatIntervalMs: number
  readonly heartbeatTimeoutMs: number
  /** Absent: who was given up is taken back as it comes, and what it still has is taken from it then. */
  readonly givenUp?: GivenUpTaskManagers
}

export class ResourceManager implements Endpoint<ResourceManagerGateway>, SlotProvider {
  #state: SlotManagerState = NO_SLOTS
  #stopped = false
  readonly #mailbox: Mailbox
  readonly #taskManagers = new Map<string, ConnectedTaskManager>()
  readonly #jobMasters = new Map<string, SlotOwner>()
  readonly #drains: Drains
  #startedMs = 0
  readonly #heartbeats: HeartbeatMonitor<TaskExecutorHeartbeat>

  constructor(private readonly options: ResourceManagerOptions) {
    const { clock, heartbeatIntervalMs: intervalMs, heartbeatTimeoutMs: timeoutMs, logger, reign } = options
    this.#heartbeats = new HeartbeatMonitor({ clock, intervalMs, timeoutMs })
    this.#mailbox = new Mailbox((error) => logger.error('a turn of the ResourceManager failed', { error }))
    const slotsFound = (processId: string) => this.#slotsFound(processId)
    this.#drains = new Drains({ clock, logger, reign, goneAfterMs: timeoutMs, slotsFound })
  }

  start(): void {
    this.#startedMs = this.options.clock.monotonicMs()
    this.#heartbeats.start()
    this.options.reign.registrations?.watch(() =>
      this.#mailbox.run(() => {
        this.#drains.look()
        this.#tellRegistrations([...this.#jobMasters.values()])
      }),
    )
  }
  /** Drains that earlier leaders were asked for. To be called when the jobs are recovered, and before TaskManagers come. */
  resumeDrains(facts: readonly DrainFact[]): void {
    this.#drains.resume(facts)
  }
  forgetDrains(): void {
    this.#drains.forget()
  }
  stop(): void {
    this.#stopped = true
    this.#heartbeats.stop()
    this.#mailbox.close()
  }

  registerTaskManager(registration: TaskManagerRegistration, { connection }: CallContext): Promise<RegistrationAnswer> {
    return this.#mailbox.call(() => {
      if (this.#stopped) throw new FlottError('NOT_LEADER', 'the ResourceManager has stopped')
      const refusal = this.options.givenUp?.refusal(registration)
      if (refusal !== undefined) throw new FlottError('TASK_MANAGER_GIVEN_UP', `${registration.taskManagerId}: ${refusal}`)
      this.#register(registration, connection)
      this.options.givenUp?.returned(registration)
      const { clusterUuid, heartbeatIntervalMs, heartbeatTimeoutMs } = this.options
      return { clusterUuid, heartbeatIntervalMs, heartbeatTimeoutMs }
    })
  }
  async reportSlots(
    request: { taskManagerId: string; slots: readonly SlotReport[] },
    { connection }: CallContext,
  ): Promise<{ accepted: true }> {
    this.#mailbox.run(() => {
      if (this.#taskManagers.get(request.taskManagerId)?.connection === connection)
        this.#slotsReported(request.taskManagerId, request.slots)
    })
    return { accepted: true }
  }
  async disconnectTaskManager(
    { taskManagerId, cause, drained }: { taskManagerId: string; cause: string; drained?: boolean },
    { connection }: CallContext,
  ): Promise<{ accepted: true }> {
    await this.#mailbox.call(() => {
      if (!this.options.reign.holds()) throw new FlottError('NOT_LEADER', 'the reign has ended')
      if (this.#taskManagers.get(taskManagerId)?.connection !== connection) return
      this.#lost(taskManagerId, cause, drained === undefined ? 'LOST' : drained ? 'DRAINED' : 'NOT_DRAINED')
    })
    await this.#drains.stored(taskManagerId)
    return { accepted: true }
  }
  drainTaskManager({ taskManagerId }: { taskManagerId: string }, { connection }: CallContext): Promise<DrainProgress> {
    return this.#mailbox.call(() => {
      const taskManager = this.#taskManagers.get(taskManagerId)
      if (taskManager?.connection !== connection) throw new FlottError('NOT_FOUND', `${taskManagerId} is not registered`)
      this.#drain(taskManagerId, taskManager)
      return this.#drainProgress(taskManagerId)
    })
  }

  /** Asks the TaskManager to go: durable when it resolves. It goes by itself. NOT_FOUND. */
  async requestDrain(taskManagerId: string): Promise<DrainStatus> {
    const before = await this.#whenCome(taskManagerId)
    if (before) await this.#drains.ask(before.registration)
    else await this.#drains.stored(taskManagerId)
    return this.#mailbox.call(() => {
      const processId = before?.registration.processId
      const taskManager = this.#taskManagers.get(taskManagerId)
      if (taskManager && taskManager.registration.processId === processId) this.#askToGo(taskManagerId, taskManager)
      return this.drainStatus(taskManagerId, processId)
    })
  }
  /** Of the process that is registered, or else of the last one that was; or of this one. NOT_FOUND. */
  drainStatus(taskManagerId: string, processId?: string): DrainStatus {
    const taskManager = this.#taskManagers.get(taskManagerId)
    const current = taskManager?.registration.processId
    if (taskManager && current !== undefined && (processId ?? current) === current) {
      const state = taskManager.draining ? 'DRAINING' : 'REGISTERED'
      return { taskManagerId, processId: current, state, ...this.#drainProgress(taskManagerId) }
    }
    const gone = this.#drains.status(taskManagerId, processId)
    if (!gone) throw new FlottError('NOT_FOUND', `no TaskManager ${taskManagerId} is registered`)
    return gone
  }
  /** A leader that has just begun waits for who has not found it yet. Undefined: it is to go already. NOT_FOUND. */
  async #whenCome(taskManagerId: string): Promise<ConnectedTaskManager | undefined> {
    const { clock, heartbeatTimeoutMs, reign } = this.options
    for (;;) {
      const taskManager = this.#taskManagers.get(taskManagerId)
      if (taskManager) return taskManager
      if (this.#drains.status(taskManagerId)?.state === 'DRAINING') return undefined
      const listed = reign.registrations?.listed
      const mayCome = listed === undefined || namesProcessOf(listed, taskManagerId)
      if (!mayCome || clock.monotonicMs() - this.#startedMs >= heartbeatTimeoutMs) break
      await sleep(clock, COMING_CHECK_MS, reign.signal)
    }
    throw new FlottError('NOT_FOUND', `no TaskManager ${taskManagerId} is registered`)
  }

  connectJobMaster(jobId: string, owner: SlotOwner): () => void {
    this.#jobMasters.set(jobId, owner)
    this.#introduce(jobId, owner)
    this.#mailbox.run(() => this.#tellRegistrations([owner]))
    return () =>
      this.#mailbox.run(() => {
        if (this.#jobMasters.get(jobId) !== owner) return
        this.#jobMasters.delete(jobId)
        this.#take({ kind: 'requests-withdrawn', jobId })
        this.#take({ kind: 'slots-released', allocationIds: this.#allocationsOf(jobId), cause: 'the job has ended' })
      })
  }
  requestSlots(jobId: string, requests: readonly WantedSlot[]): void {
    this.#mailbox.run(() => this.#take({ kind: 'slots-requested', jobId, requests }))
  }
  withdrawRequests(jobId: string): void {
    this.#mailbox.run(() => this.#take({ kind: 'requests-withdrawn', jobId }))
  }
  releaseSlots(allocationIds: readonly string[], cause: string): void {
    this.#mailbox.run(() => this.#take({ kind: 'slots-released', allocationIds, cause }))
  }
  waitingFor(jobId: string): string | undefined {
    return waitingFor(this.#state, jobId)
  }
  taskManager(taskManagerId: string): { info: TaskManagerInfo; gateway: TaskExecutorGateway } | undefined {
    const found = this.#taskManagers.get(taskManagerId)
    return found && { info: infoOf(found.registration), gateway: found.gateway }
  }

  describe(): readonly TaskManagerDetails[] {
    const now = this.options.clock.now()
    return [...this.#taskManagers.entries()].map(([taskManagerId, taskManager]) =>
      detailsOf(taskManager, now - (this.#heartbeats.silentMs(taskManagerId) ?? 0)),
    )
  }
  slotCounts(): { total: number; free: number; freeAndBlocked: number } {
    const { taskManagers } = this.#state
    const total = taskManagers.reduce((sum, tm) => sum + tm.slots.length, 0)
    const blocked = taskManagers.flatMap((tm) => (tm.blocked ? tm.slots : []))
    return { total, free: freeSlotCount(this.#state), freeAndBlocked: blocked.filter((slot) => slot.state === 'FREE').length }
  }

  #register(registration: TaskManagerRegistration, connection: RpcConnection): void {
    const { taskManagerId, processId, attempts, slots } = registration
    const before = this.#taskManagers.get(taskManagerId)
    if (before && before.registration.processId !== processId) this.#lost(taskManagerId, 'its process was replaced by a new one')
    const gateway = connection.gateway(taskExecutorGateway, { epoch: () => this.#epoch() })
    this.#drains.registered(registration)
    const wanted = this.#drains.wants(registration)
    const taskManager = { registration, connection, gateway, slots, heartbeats: 0, draining: wanted || registration.draining === true }
    this.#taskManagers.set(taskManagerId, taskManager)
    this.#watch(taskManagerId, connection)
    const keep = new Set<string>()
    for (const [jobId, owner] of this.#jobMasters) {
      const mine = (report: { jobId?: string }) => report.jobId === jobId
      for (const allocationId of owner.taskManagerRegistered(infoOf(registration), attempts.filter(mine), slots.filter(mine)))
        keep.add(allocationId)
    }
    this.options.logger.info('TaskManager registered', { taskManagerId, processId, slots: slots.length, attempts: attempts.length })
    this.#take({ kind: 'task-manager-registered', taskManagerId, slots, keep, blocked: taskManager.draining })
    if (wanted && !registration.draining) this.#askToGo(taskManagerId, taskManager)
  }

  /** To a JobMaster that comes after them: those that work for its job. One that does not answer counts as one that has not come back. */
  #introduce(jobId: string, owner: SlotOwner): void {
    for (const [taskManagerId, taskManager] of this.#taskManagers) {
      const held = allocations(taskManager.slots.filter((slot) => slot.jobId === jobId))
      if (held.length === 0) continue
      const isCurrent = () => this.#taskManagers.get(taskManagerId) === taskManager && this.#jobMasters.get(jobId) === owner
      taskManager.gateway.describeAttempts({ jobId }).then(
        ({ attempts, slots }) =>
          this.#mailbox.run(() => {
            if (!isCurrent()) return
            const kept = owner.taskManagerRegistered(infoOf(taskManager.registration), attempts, slots)
            const allocationIds = held.filter((allocationId) => !kept.has(allocationId))
            this.#take({ kind: 'slots-released', allocationIds, cause: 'no task of the job was deployed there' })
          }),
        (error: unknown) => this.options.logger.warn('a TaskManager does not say what it runs', { taskManagerId, jobId, error }),
      )
    }
  }

  /** As they are by now: a list that has become uncertain meanwhile says nothing. */
  #tellRegistrations(owners: readonly SlotOwner[]): void {
    const { registrations } = this.options.reign
    if (!registrations?.listed) return
    const connected = new Set(this.#taskManagers.keys())
    for (const owner of owners) owner.registrationsListed(registrations.listed, connected)
  }

  /** Until it knows; from then on it says so itself, again and again. */
  #askToGo(taskManagerId: string, taskManager: ConnectedTaskManager): void {
    this.#drain(taskManagerId, taskManager)
    taskManager.gateway.drain({}).catch((error: unknown) => {
      this.options.logger.debug('a TaskManager does not know yet that it is to go', { taskManagerId, error })
      this.#retry(taskManagerId, taskManager, () => this.#askToGo(taskManagerId, taskManager))
    })
  }
  #drain(taskManagerId: string, taskManager: ConnectedTaskManager): void {
    if (!taskManager.draining) this.options.logger.info('TaskManager is drained', { taskManagerId })
    taskManager.draining = true
    this.#take({ kind: 'task-manager-blocked', taskManagerId })
    for (const owner of [...this.#jobMasters.values()]) owner.taskManagerDraining(taskManagerId)
  }
  #drainProgress(taskManagerId: string): DrainProgress {
    const slots = this.#state.taskManagers.find((tm) => tm.taskManagerId === taskManagerId)?.slots ?? []
    const said = [...this.#jobMasters].flatMap(([jobId, owner]) => {
      const progress = owner.drainProgress(taskManagerId)
      return progress ? [{ jobId, progress }] : []
    })
    return {
      slots: slots.filter(({ state }) => state === 'ALLOCATED' || state === 'REQUESTED').length,
      moving: said.some(({ progress }) => progress.moving),
      missing: said.flatMap(({ jobId, progress }) => (progress.moving ? [] : [`job ${jobId}: ${progress.missing}`])),
    }
  }

  /** Undefined: a job does not know. */
  #slotsFound(processId: string): number | undefined {
    return [...this.#jobMasters.values()].reduce<number | undefined>((sum, owner) => {
      const slots = owner.slotsFound(processId)
      return sum === undefined || slots === undefined ? undefined : sum + slots
    }, 0)
  }

  /** Nothing is sent under a reign that is over, though its timers have not told yet. */
  #epoch(): Epoch {
    const { reign } = this.options
    if (!reign.holds()) throw new FlottError('NOT_LEADER', 'the reign has ended')
    return reign.epoch
  }

  #watch(taskManagerId: string, connection: RpcConnection): void {
    const lost = (cause: string) =>
      this.#mailbox.run(() => {
        if (this.#taskManagers.get(taskManagerId)?.connection === connection) this.#lost(taskManagerId, cause)
      })
    const { closed } = connection
    const closedNow = () => {
      const tell = () => lost(`its connection closed: ${reasonOf(closed)}`)
      // The peer gave up a leader that slept, and may have come back already: that is behind this in the backlog.
      if (this.#heartbeats.justSlept) this.options.clock.setTimer(this.options.heartbeatIntervalMs, tell, { unref: true })
      else tell()
    }
    if (closed.aborted) this.options.clock.defer(() => lost('its connection closed'))
    else closed.addEventListener('abort', closedNow, { once: true })
    const state = { sentMs: 0 }
    this.#heartbeats.watch(taskManagerId, {
      request: () => {
        const taskManager = this.#taskManagers.get(taskManagerId)!
        state.sentMs = this.options.clock.monotonicMs()
        return taskManager.gateway.heartbeat({ sequence: ++taskManager.heartbeats })
      },
      onPayload: (heartbeat) => this.#mailbox.run(() => this.#heartbeat(taskManagerId, heartbeat, state.sentMs)),
      onTimeout: (silentMs) => {
        connection.close(`no heartbeat for ${silentMs} ms`)
        lost(`no heartbeat for ${Math.round(silentMs)} ms`)
      },
    })
  }

  #heartbeat(taskManagerId: string, heartbeat: TaskExecutorHeartbeat, sentMs: number): void {
    const taskManager = this.#taskManagers.get(taskManagerId)
    if (!taskManager) return
    taskManager.last = heartbeat
    this.#slotsReported(taskManagerId, heartbeat.slots)
    for (const [jobId, owner] of this.#jobMasters) {
      const attempts = heartbeat.attempts.filter((attempt) => attempt.jobId === jobId)
      owner.heartbeatReceived({ taskManagerId, sentMs, attempts, metrics: heartbeat.metrics })
    }
  }

  #slotsReported(taskManagerId: string, slots: readonly SlotReport[]): void {
    const taskManager = this.#taskManagers.get(taskManagerId)
    if (taskManager) taskManager.slots = slots
    this.#take({ kind: 'slots-reported', taskManagerId, slots })
  }

  #giveUp({ taskManagerId, processId, life }: TaskManagerRegistration, cause: string): void {
    this.options.givenUp?.giveUp({ taskManagerId, processId, life, cause, time: this.options.clock.now() })
  }
  /** `goodbye`: it went by itself, and ends all that it had. */
  #lost(taskManagerId: string, cause: string, goodbye?: DrainOutcome['state']): void {
    if (!this.options.reign.holds()) return // Whoever leads next finds out by itself.
    const lost = this.#taskManagers.get(taskManagerId)
    if (!lost) return
    const left = this.#drainProgress(taskManagerId)
    this.#taskManagers.delete(taskManagerId)
    if (goodbye === undefined) this.#drains.lost(lost.registration, left)
    else this.#drains.saidGoodbye(lost.registration, goodbye, left)
    this.#heartbeats.unwatch(taskManagerId)
    this.options.logger.warn('TaskManager lost', { taskManagerId, cause })
    if (goodbye === undefined) this.#giveUp(lost.registration, cause)
    const error = new FlottError('TASK_LOST', `TaskManager ${taskManagerId} is lost: ${cause}`)
    // The jobs first: they know best what to say of their tasks.
    for (const owner of [...this.#jobMasters.values()]) owner.taskManagerLost(taskManagerId, error)
    this.#take({ kind: 'task-manager-lost', taskManagerId, cause: error.message })
  }

  #take(event: SlotEvent): void {
    const { state, effects } = stepSlots(this.#state, event)
    this.#state = state
    for (const effect of effects) this.#do(effect)
  }

  #do(effect: SlotEffect): void {
    switch (effect.kind) {
      case 'request-slot':
        this.#requestSlot(effect)
        break
      case 'free-slot':
        this.#freeSlot(effect)
        break
      case 'slot-lost':
        this.#jobMasters.get(effect.jobId)?.slotLost(effect.allocationId, effect.cause)
        break
      case 'grant': {
        const slots = effect.slots.flatMap((slot) => {
          const info = this.#taskManagers.get(slot.taskManagerId)
          if (!info) return []
          const { host, dataPort, processId } = info.registration
          return [{ ...slot, host, dataPort, processId }]
        })
        const owner = this.#jobMasters.get(effect.jobId)
        if (owner) owner.slotsGranted(slots)
        else
          this.releaseSlots(
            slots.map((slot) => slot.allocationId),
            'the job has ended',
          )
      }
    }
  }

  #requestSlot({ taskManagerId, slotIndex, allocationId, jobId }: SlotEffect & { kind: 'request-slot' }): void {
    const taskManager = this.#taskManagers.get(taskManagerId)
    if (!taskManager) return // Its loss is on the way.
    taskManager.gateway.requestSlot({ slotIndex, allocationId, jobId }).then(
      () => this.#mailbox.run(() => this.#take({ kind: 'allocation-confirmed', allocationId, taskManagerId })),
      (error: unknown) =>
        this.#mailbox.run(() => {
          this.options.logger.warn('slot refused', { taskManagerId, slotIndex, allocationId, error })
          this.#take({ kind: 'allocation-refused', allocationId, taskManagerId })
        }),
    )
  }

  /** Until the TaskManager has taken it; a lost one needs no more. */
  #freeSlot(effect: SlotEffect & { kind: 'free-slot' }): void {
    const { taskManagerId, allocationId, cause } = effect
    const taskManager = this.#taskManagers.get(taskManagerId)
    if (!taskManager) return
    taskManager.gateway.freeSlot({ allocationId, cause }).catch((error: unknown) => {
      this.options.logger.warn('slot not freed yet', { taskManagerId, allocationId, error })
      this.#retry(taskManagerId, taskManager, () => this.#freeSlot(effect))
    })
  }
  /** What a TaskManager did not take, after a while and as long as it is connected. */
  #retry(taskManagerId: string, taskManager: ConnectedTaskManager, turn: () => void): void {
    const again = () => {
      if (this.#taskManagers.get(taskManagerId) === taskManager) turn()
    }
    this.options.clock.setTimer(RETRY_MS, () => this.#mailbox.run(again), { unref: true })
  }

  #allocationsOf(jobId: string): readonly string[] {
    return this.#state.taskManagers
      .flatMap((tm) => tm.slots)
      .flatMap((slot) => (slot.jobId === jobId && slot.allocationId ? [slot.allocationId] : []))
  }
}

function allocations(slots: readonly SlotReport[]): readonly string[] {
  return slots.flatMap(({ allocationId }) => (allocationId === undefined ? [] : [allocationId]))
}
function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason)
}
