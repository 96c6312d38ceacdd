/**
 * One attempt at a subtask. It never runs by itself: the slot's loop gives it turns (`runTurn`), messages come between turns, and
 * while it waits for a promise (a sink's flush, the end of data) it is `suspended` and takes no input. All else is synchronous.
 */
import { FlottError, serializeError } from '#core/errors.js'
import type { ExecutionState } from '#protocol/gateways/job-master-gateway.js'
import type { NumberedEvent, TaskMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { StreamEvent } from '../exchange/exchange.js'
import type { TaskServices } from '../operators/operator.js'
import { operatorError } from '../operators/operator-error.js'
import { Alignment } from './alignment.js'
import { type AlignerEffect, type Barrier, BarrierAligner } from './barrier-aligner.js'
import { FinalCheckpoint } from './final-checkpoint.js'
import { PendingTrigger, type TriggerMessage } from './pending-trigger.js'
import type { TaskSite } from './slot-sites.js'
import { SubtaskCheckpointer } from './subtask-checkpointer.js'
import type { TaskEnvironment, TaskSpec } from './task-environment.js'
import { openTaskIo, type TaskIo } from './task-io.js'
import { TaskOutputs } from './task-outputs.js'
import { TaskTimes, type TurnOutcome } from './task-times.js'
import { WatermarkValve } from './watermark-valve.js'

/** Frames, or calls of a reader, in one turn: then other tasks, timers and messages have theirs. */
const FRAMES_PER_TURN = 8
const POLLS_PER_TURN = 1_024
const SOURCE_TURN_MS = 2
/** How long a failed task waits for its user code to close before it says that it failed. */
const CLOSE_WAIT_MS = 5_000

export class StreamTask {
  #state: ExecutionState = 'DEPLOYING'
  #io: TaskIo | undefined
  #outputs = new TaskOutputs([], 0)
  #aligner!: BarrierAligner
  #valve!: WatermarkValve
  #checkpointer!: SubtaskCheckpointer
  readonly site: TaskSite
  readonly #times: TaskTimes
  readonly #final: FinalCheckpoint
  #inOperators = false
  /** Notifications that came before the operators were open. */
  readonly #early: (() => void)[] = []
  #suspended = 0
  #trigger!: PendingTrigger
  #alignment!: Alignment
  #endedChannels = new Set<number>()
  #dataEnded = new Set<number>()
  #drain = true
  #input: 'open' | 'ending' | 'ended' | 'closing' = 'open'
  #numRecordsIn = 0

  constructor(
    private readonly env: TaskEnvironment,
    private readonly spec: TaskSpec,
  ) {
    const { vertexId, subtaskIndex } = spec.task.descriptor
    this.site = env.siteOf(vertexId, subtaskIndex)
    this.#times = new TaskTimes(env.clock.monotonicMs())
    this.#final = new FinalCheckpoint(this.#checkpointing)
  }
  get attemptId(): string {
    return this.spec.task.descriptor.attemptId
  }
  get state(): ExecutionState {
    return this.#state
  }
  get isAlive(): boolean {
    return this.#state === 'DEPLOYING' || this.#state === 'INITIALIZING' || this.#state === 'RUNNING'
  }
  /** In the checkpoint that it is restored from: all that its operators emit at the end has been emitted. */
  get #hadFinished(): boolean {
    return this.spec.task.descriptor.restore?.finished !== undefined
  }
  get #checkpointing(): boolean {
    return this.spec.config['execution.checkpointing.interval'] > 0
  }

  /** Links both ends of the exchange; to be done for all tasks of a deployment before any of them starts. */
  connect(): void {
    this.#io = openTaskIo(this.env, this.spec, this.site, this.#services())
    const { gate, layout } = this.#io
    const partitions = layout.partitions.map((p) => p.partition)
    this.#outputs = new TaskOutputs(partitions, this.spec.config['execution.buffer-timeout.interval'])
    const exactlyOnce = this.spec.config['execution.checkpointing.mode'] === 'EXACTLY_ONCE'
    this.#aligner = new BarrierAligner(gate?.channelCount ?? 0, exactlyOnce)
    this.#valve = new WatermarkValve(gate?.channelCount ?? 0)
    const { clock, chunks, post } = this.env
    this.#alignment = new Alignment(
      () => clock.monotonicMs(),
      () => gate?.numRecordBytesIn ?? 0,
    )
    const { subtaskIndex } = this.spec.task.descriptor
    this.#trigger = new PendingTrigger({
      source: this.#io.chain.source,
      operatorId: layout.nodes[0]!.spec.id,
      subtaskIndex: this.spec.task.descriptor.subtaskIndex,
      allChannelsEnded: () => this.#aligner.allEnded,
      decline: (checkpointId, cause) => this.#checkpointer.decline(checkpointId, cause),
    })
    this.#checkpointer = new SubtaskCheckpointer({
      io: this.#io,
      site: this.site,
      target: { jobId: this.spec.job.jobGraph.jobId, attemptId: this.attemptId, subtaskIndex, chunks },
      monotonicMs: () => clock.monotonicMs(),
      now: () => clock.now(),
      finished: this.#hadFinished,
      post,
      isAlive: () => this.isAlive,
    })
  }
  #services(): Omit<TaskServices, 'emitWatermark' | 'emitIdle'> {
    const { env, attemptId } = this
    const { subtaskIndex } = this.spec.task.descriptor
    return {
      wake: () => env.wake(),
      fail: (error) => this.failInOperator(error),
      sendReaderEvent: (operatorId, event) => {
        if (this.isAlive) env.post({ kind: 'reader-event', attemptId, operatorId, reader: subtaskIndex, event })
      },
      sendCollected: (operatorId, subtask, checkpointId, records) => {
        if (this.isAlive) env.post({ kind: 'collected', attemptId, operatorId, subtaskIndex: subtask, checkpointId, records })
      },
      checkpointingEnabled: this.#checkpointing,
      watermarkIntervalMs: this.spec.config['pipeline.auto-watermark-interval'],
    }
  }
  /** Restores state, opens the user functions, runs. */
  async start(): Promise<void> {
    if (!this.isAlive) return
    this.#enter('INITIALIZING')
    this.#inOperators = true
    try {
      await this.#io!.chain.open()
    } catch (error) {
      this.failInOperator(error)
      return
    }
    this.#inOperators = false
    if (!this.isAlive) return
    this.#enter('RUNNING')
    for (const notify of this.#early.splice(0)) notify()
    this.env.wake()
  }
  #enter(state: ExecutionState, error?: unknown): void {
    const last = state === 'FINISHED' || state === 'FAILED' || state === 'CANCELED' ? this.#io?.runtime : undefined
    const accumulators = state === 'FINISHED' ? last?.accumulators() : last?.intermediateAccumulators()
    this.#state = state
    this.env.post({
      kind: 'task-state',
      attemptId: this.attemptId,
      state,
      ...(error === undefined ? {} : { error: serializeError(error) }),
      ...(accumulators ? { accumulators, metrics: this.metrics() } : {}),
    })
  }

  /** A bounded piece of work. True when something was done, so that another turn may do more. */
  runTurn(): boolean {
    if (this.#state !== 'RUNNING') return false
    const start = this.env.clock.monotonicMs()
    let outcome: TurnOutcome = 'idle'
    this.site.enter()
    try {
      outcome = this.#turn()
    } catch (error) {
      if (this.#inOperators) this.failInOperator(error)
      else this.fail(error)
    }
    this.#times.turn(start, this.env.clock.monotonicMs(), outcome)
    return outcome === 'busy'
  }
  #turn(): TurnOutcome {
    if (!this.#outputs.drain()) return 'back-pressured'
    if (this.#input === 'closing') {
      this.#finish()
      return 'busy'
    }
    const now = this.env.clock.now()
    if (!this.isSuspended) this.#fireTimers(now)
    let worked = false
    if (this.#canTakeInput) {
      if (this.#trigger.isSet) worked = this.#beginTriggered()
      worked = (this.#io!.gate ? this.#pollGate() : this.#pollSource()) || worked
    }
    this.#outputs.flushWhenDue(now)
    return worked ? 'busy' : this.#outputs.isBackPressured ? 'back-pressured' : 'idle'
  }
  get isSuspended(): boolean {
    return this.#suspended > 0
  }
  get #canTakeInput(): boolean {
    return !this.isSuspended && this.#input !== 'closing' && !this.#io!.chain.holdsInput
  }
  /** Whether a turn would find work; asked before the slot goes to sleep. */
  get hasWork(): boolean {
    if (this.#state !== 'RUNNING') return false
    if (this.#outputs.isBackPressured) return this.#outputs.drain()
    if (this.#input === 'closing') return true
    if (!this.#canTakeInput) return false
    const { gate, chain } = this.#io!
    if (this.#trigger.cover()) return true
    if (gate) return gate.hasInput
    return this.#input === 'open' && !this.#final.isStopping && chain.source!.mayHaveInput
  }
  /** By the wall clock; undefined while only input can bring work. */
  get nextDue(): number | undefined {
    if (this.#state !== 'RUNNING' || this.#outputs.isBackPressured) return undefined
    const timer = this.isSuspended || this.#input === 'closing' ? undefined : this.#io!.chain.nextProcessingTime
    if (timer === undefined || this.#outputs.flushDue === undefined) return timer ?? this.#outputs.flushDue
    return Math.min(timer, this.#outputs.flushDue)
  }
  #fireTimers(now: number): void {
    const due = this.#io!.chain.nextProcessingTime
    if (due === undefined || due > now) return
    this.#inOperators = true
    this.#io!.chain.processProcessingTime(now)
    this.#inOperators = false
  }
  // Input.
  #pollSource(): boolean {
    const { chain } = this.#io!
    const source = chain.source!
    if (this.#input !== 'open' || this.#final.isStopping || !source.mayHaveInput) return false
    this.#inOperators = true
    const status = source.poll(POLLS_PER_TURN, SOURCE_TURN_MS, () => this.#outputs.isBackPressured || chain.holdsInput)
    this.#inOperators = false
    this.env.memory.reserve(0)
    if (status === 'nothing-available') source.awaitInput()
    else if (status === 'end-of-input') this.#endData(true)
    return true
  }
  #pollGate(): boolean {
    const { chain } = this.#io!
    const gate = this.#io!.gate!
    let worked = false
    for (let frames = 0; frames < FRAMES_PER_TURN; frames++) {
      if (!this.#canTakeInput || this.#outputs.isBackPressured) break
      const polled = gate.poll()
      if (!polled) break
      worked = true
      if (polled.kind === 'event') this.#handleEvent(polled.channel, polled.event)
      else {
        this.#numRecordsIn += polled.batch.count
        this.#inOperators = true
        chain.processBatch(polled.batch, gate.inputIndexOf(polled.channel))
        this.#inOperators = false
        this.env.memory.reserve(0) // After the frame, so that it is this task's operators that are named.
      }
      if (this.#state !== 'RUNNING') break
    }
    return worked
  }
  #handleEvent(channel: number, event: StreamEvent): void {
    switch (event.kind) {
      case 'watermark':
        this.#advance(this.#valve.watermarkReceived(channel, event.timestamp))
        break
      case 'stream-status':
        this.#advance(this.#valve.statusReceived(channel, event.idle))
        break
      case 'barrier':
        this.#alignment.barrierCame(event)
        this.#align(this.#aligner.barrierReceived(channel, event))
        break
      case 'end-of-data':
        this.#dataEnded.add(channel)
        if (!event.drain) this.#drain = false
        this.#dataMayHaveEnded()
        break
      case 'end-of-partition':
        this.#endedChannels.add(channel)
        this.#dataEnded.add(channel)
        this.#advance(this.#valve.channelEnded(channel))
        this.#align(this.#aligner.channelEnded(channel))
        this.#dataMayHaveEnded()
        this.#closeWhenDone()
        break
      case 'latency-marker':
        this.#outputs.broadcast(event)
    }
  }
  #advance(output: { watermark?: number; idle?: boolean }): void {
    this.#inOperators = true
    if (output.watermark !== undefined) this.#io!.chain.processWatermark(output.watermark)
    if (output.idle !== undefined) this.#io!.chain.processIdle(output.idle)
    this.#inOperators = false
  }

  // Checkpoints.
  #align(effects: readonly AlignerEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'block') this.#io!.gate!.block(effect.channel)
      else if (effect.kind === 'unblock') this.#io!.gate!.unblock(effect.channel)
      else if (effect.kind === 'superseded')
        this.#checkpointer.decline(
          effect.barrier.checkpointId,
          new FlottError('CHECKPOINT_FAILED', 'a newer checkpoint began before all barriers had come'),
        )
      else this.#take(effect.barrier)
    }
  }
  triggerCheckpoint(message: TriggerMessage): void {
    if (!this.#isOpen) return
    this.#trigger.set(message)
    this.env.wake()
  }
  #beginTriggered(): boolean {
    if (!this.#trigger.cover()) return false
    const { barrier } = this.#trigger
    const { savepoint } = barrier
    // A drained savepoint is the final checkpoint of data that ends here.
    if (savepoint?.terminate && savepoint.drain && this.#input === 'open') {
      this.#endData(true)
      return true
    }
    this.#trigger.clear()
    this.#alignment.barrierCame(barrier)
    this.#align(this.#aligner.barrierReceived(undefined, barrier))
    return true
  }
  #take(barrier: Barrier): void {
    this.#suspended++
    const failed = (error: unknown) => this.failInOperator(error)
    const taken = () => {
      this.#suspended--
      this.#final.begun(barrier)
      if (!this.#trigger.isSet) this.#io!.chain.source?.releaseEvents()
      this.env.wake()
    }
    this.#checkpointer.take(barrier, this.#alignment.soFar(), taken, failed)
  }
  checkpointCompleted(checkpointId: number): void {
    if (this.#isTooEarly(() => this.checkpointCompleted(checkpointId)) || !this.#isOpen) return
    this.#checkpointer.completed(checkpointId).then(
      () => {
        if (!this.isAlive) return
        const stopped = this.#final.completed(checkpointId)
        if (stopped && !this.#io!.gate) this.#endData(false)
        this.#closeWhenDone()
      },
      (error: unknown) => this.failInOperator(error),
    )
  }
  checkpointAborted(checkpointId: number): void {
    if (this.#isTooEarly(() => this.checkpointAborted(checkpointId)) || !this.#isOpen) return
    this.#trigger.clear(checkpointId)
    this.#final.aborted(checkpointId)
    this.#checkpointer.aborted(checkpointId)
    this.#align(this.#aligner.aborted(checkpointId))
    this.env.wake()
  }
  /** A new leader tells the tasks that it adopts, also those that are still being restored: they hear it once they run. */
  #isTooEarly(notify: () => void): boolean {
    const early = this.#state === 'DEPLOYING' || this.#state === 'INITIALIZING'
    if (early) this.#early.push(notify)
    return early
  }
  get #isOpen(): boolean {
    return this.isAlive && this.#io !== undefined
  }

  // The end of input.
  #dataMayHaveEnded(): void {
    if (this.#dataEnded.size === this.#io!.gate!.channelCount) this.#endData(this.#drain)
  }
  /** Once: what operators hold is emitted (when draining), end-of-data goes out, and the wait for the final checkpoint begins. */
  #endData(drain: boolean): void {
    if (this.#input !== 'open') return
    this.#input = 'ending'
    this.#suspended++
    if (drain && this.#hadFinished) this.#outputs.broadcast({ kind: 'watermark', timestamp: Infinity })
    const ended = drain && !this.#hadFinished ? this.#io!.chain.finish() : Promise.resolve()
    ended.then(
      () => {
        if (!this.isAlive) return
        this.#suspended--
        this.#input = 'ended'
        this.#outputs.broadcast({ kind: 'end-of-data', drain })
        const isTriggered = this.#trigger.isSet
        if (this.#final.dataEnded(drain, isTriggered) && !isTriggered)
          this.env.post({ kind: 'awaiting-final-checkpoint', attemptId: this.attemptId })
        this.#closeWhenDone()
        this.env.wake()
      },
      (error: unknown) => this.failInOperator(error),
    )
  }
  /** Ends the partitions once the final checkpoint is complete and every producer has ended its own. */
  #closeWhenDone(): void {
    if (this.#input !== 'ended' || !this.#final.isReached) return
    if (this.#io!.gate && this.#endedChannels.size < this.#io!.gate.channelCount) return
    this.#outputs.end()
    this.#input = 'closing'
    this.env.wake()
  }
  #finish(): void {
    if (this.isSuspended) return
    this.#suspended++
    this.#io!.chain.close()
      .then(() => {
        if (!this.isAlive) return
        this.#enter('FINISHED')
        this.#closeExchange()
      })
      .catch((error: unknown) => this.failInOperator(error))
  }

  // From outside.
  handleOperatorEvents(operatorId: string, events: readonly NumberedEvent[]): void {
    const source = this.#isOpen ? this.#io!.chain.source : undefined
    if (!source || this.#io!.layout.nodes[0]!.spec.id !== operatorId) return
    try {
      source.handleEvents(events)
    } catch (error) {
      this.site.operator = 0
      this.failInOperator(error)
    }
    this.env.wake()
  }
  cancel(): void {
    if (this.isAlive) this.#end('CANCELED')
  }
  /** With the operator last entered as the one that is to blame. */
  failInOperator(error: unknown): void {
    const node = this.#io?.layout.nodes[this.site.operator]
    this.fail(node ? operatorError(error, node.spec) : error)
  }
  fail(error: unknown): void {
    if (this.isAlive) this.#end('FAILED', error)
  }
  #end(state: 'CANCELED' | 'FAILED', error?: unknown): void {
    this.#state = 'CANCELING'
    this.#closeExchange()
    let told = false
    const tell = () => {
      if (told) return
      told = true
      timer.cancel()
      this.#enter(state, error)
    }
    const timer = this.env.clock.setTimer(CLOSE_WAIT_MS, tell, { unref: true })
    const closed = this.#io?.chain.close() ?? Promise.resolve()
    closed.catch((cause: unknown) => this.env.logger.warn('an operator failed to close', { attempt: this.attemptId, cause })).then(tell)
  }
  #closeExchange(): void {
    this.#io?.gate?.close()
    this.#outputs.close()
  }

  get assignmentsReceived(): Readonly<Record<string, number>> {
    const source = this.#io?.chain.source
    return source ? { [this.#io!.layout.nodes[0]!.spec.id]: source.assignmentsReceived } : {}
  }
  metrics(): TaskMetrics {
    const { gate, chain, runtime } = this.#io!
    this.#times.upTo(this.env.clock.monotonicMs())
    return {
      numRecordsIn: this.#numRecordsIn,
      numRecordsOut: this.#outputs.numRecordsOut,
      numBytesIn: gate?.numBytesIn ?? 0,
      numBytesOut: this.#outputs.numBytesOut,
      busyTimeMs: Math.round(this.#times.busyTimeMs),
      backPressuredTimeMs: Math.round(this.#times.backPressuredTimeMs),
      idleTimeMs: Math.round(this.#times.idleTimeMs),
      currentInputWatermark: gate ? this.#valve.current : chain.watermark,
      accumulators: runtime.intermediateAccumulators(),
      user: runtime.userMetrics(),
    }
  }
}
