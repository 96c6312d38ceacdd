/** Readers around the source coordinators of one job, reign after reign: they fail, restart from the newest checkpoint, and are adopted. */
import type { ExecutionContext } from 'ava'
import { FlottError } from '#core/errors.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { Source, SourceSplit } from '#core/functions/source.js'
import { silentLogger } from '#core/logger.js'
import { between, type Random, seededRandom } from '#core/random.js'
import type { ExecutionView, JobMasterContext, SourceCoordinatorsApi } from '#jobmanager/jobmaster/job-master-context.js'
import { InlineEnumeratorHost } from '#jobmanager/jobmaster/sources/inline-enumerator-host.js'
import { createSourceCoordinators } from '#jobmanager/jobmaster/sources/source-coordinators.js'
import type { CoordinatorState } from '#protocol/checkpoint/manifest.js'
import type { ReaderEvent } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { NumberedEvent } from '#protocol/gateways/task-executor-gateway.js'
import { FakeClock } from '../../../../support/fake-clock.js'
import { executionsOf, jobFact, linearGraph } from '../../../../support/job-master-fixture.js'

export type AnySource = Source<unknown, SourceSplit, unknown>

/** What a reader's snapshot holds. */
interface ReaderState {
  readonly received: number
  readonly current: readonly string[]
  readonly done: readonly string[]
  readonly noMoreSplits: boolean
}
const FRESH: ReaderState = { received: 0, current: [], done: [], noMoreSplits: false }
interface Checkpoint {
  readonly id: number
  readonly coordinators: Readonly<Record<string, CoordinatorState>>
  readonly readers: readonly ReaderState[]
}

class Reader {
  state: ReaderState
  events: NumberedEvent[] = []
  #early: NumberedEvent[] = []
  ceiling = Number.POSITIVE_INFINITY
  requested = false
  alive = true
  /** It has opened: before, nobody is there to take events. */
  registered = false
  constructor(
    readonly view: ExecutionView,
    restored: ReaderState,
  ) {
    this.state = restored
  }
  receive(events: readonly NumberedEvent[]): void {
    for (const event of events) if (event.number > this.highest) this.events.push(event)
    this.#early.push(...events)
    this.apply()
  }
  /** Of the last event that its TaskManager has, applied or not. */
  get highest(): number {
    return Math.max(this.state.received, this.events.at(-1)?.number ?? 0)
  }
  apply(): void {
    this.#early = this.#early.filter(({ number }) => number > this.state.received).sort((a, b) => a.number - b.number)
    for (let next = this.#early[0]; next && next.number <= this.ceiling && next.number === this.state.received + 1; next = this.#early[0]) {
      this.#early = this.#early.filter(({ number }) => number > next!.number)
      this.requested = false
      if (next.event.kind === 'no-more-splits') this.state = { ...this.state, received: next.number, noMoreSplits: true }
      else {
        const current = [...this.state.current, ...(next.event.splits as SourceSplit[]).map(({ splitId }) => splitId)]
        this.state = { ...this.state, received: next.number, current }
      }
    }
  }
  work(): void {
    const [first, ...current] = this.state.current
    if (first !== undefined) this.state = { ...this.state, current, done: [...this.state.done, first] }
  }
}

export class SourceWorld {
  readonly clock = new FakeClock()
  readonly random: Random
  readonly graph = linearGraph([{ name: 'source', kind: 'source', parallelism: 3 }])
  readers: Reader[] = []
  failures: Error[] = []
  lossRate = 0.2
  #attempt = 0
  #checkpoint: Checkpoint | undefined
  #nextId = 1
  #coordinators!: SourceCoordinatorsApi
  #reign = new AbortController()
  #busy: Promise<void> = Promise.resolve()

  constructor(
    private readonly t: ExecutionContext,
    seed: number,
    private readonly source: AnySource,
  ) {
    this.random = seededRandom(seed)
    this.#beginReign()
  }

  /** Each fault or checkpoint ends before the next begins; the readers work meanwhile. */
  #then(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(work)
    return this.#busy
  }

  start(): Promise<void> {
    return this.#then(() => this.#restartAll())
  }
  restartAll(): Promise<void> {
    return this.#then(() => this.#restartAll())
  }
  /** As a region restart: the enumerators go on. */
  failReader(index: number): Promise<void> {
    return this.#then(async () => {
      this.#lose(this.readers[index]!)
      this.#coordinators.readerFailed('op-source', index)
      await this.#delay(30)
      this.#deploy(index)
    })
  }
  endReign(): Promise<void> {
    return this.#then(async () => {
      this.#reign.abort()
      await this.#delay(50)
      this.#beginReign()
      await this.#coordinators.start(
        this.#checkpoint?.coordinators,
        this.readers.map((reader) => this.#report(reader)),
      )
    })
  }
  checkpoint(): Promise<void> {
    return this.#then(async () => {
      if (this.readers.some(({ registered }) => !registered)) return // A task is not ready: none begins.
      const id = this.#nextId++
      const coordinators = await this.#coordinators.snapshot(id)
      const assigned = coordinators['op-source']!.assigned
      await this.#delay(20)
      const barriers = this.readers.map((reader) => this.#barrier(reader, assigned[reader.view.subtaskIndex]))
      this.#coordinators.resumeAssignments(id)
      const readers = await Promise.all(barriers)
      for (const reader of this.readers) {
        reader.ceiling = Number.POSITIVE_INFINITY
        reader.apply()
      }
      if (this.random.next() < 0.2) return // Aborted.
      this.#checkpoint = { id, coordinators, readers }
      for (const reader of this.readers)
        reader.events = reader.events.filter(({ number }) => number > (assigned[reader.view.subtaskIndex] ?? 0))
      this.#coordinators.notifyCheckpointComplete(id)
    })
  }

  get ended(): boolean {
    return this.readers.every(({ state }) => state.noMoreSplits && state.current.length === 0)
  }
  get done(): readonly string[] {
    return this.readers.flatMap(({ state }) => state.done).sort()
  }

  async #restartAll(): Promise<void> {
    for (const reader of this.readers) this.#lose(reader)
    await this.#coordinators.start(this.#checkpoint?.coordinators)
    for (let index = 0; index < 3; index++) this.#deploy(index)
  }
  #lose(reader: Reader): void {
    reader.alive = false
  }
  #deploy(index: number): void {
    const view = executionsOf(this.graph, ++this.#attempt)[index]!
    const reader = new Reader(view, this.#checkpoint?.readers[index] ?? FRESH)
    this.readers[index] = reader
    const open = () => {
      if (!reader.alive) return
      reader.registered = true
      this.#say(reader, { kind: 'reader-registered', received: reader.state.received })
      work()
    }
    const work = () => {
      if (!reader.alive) return
      reader.work()
      if (reader.state.current.length === 0 && !reader.state.noMoreSplits && !reader.requested) {
        reader.requested = true
        this.#say(reader, { kind: 'split-requested' })
      }
      this.clock.setTimer(between(this.random, 5, 40), work)
    }
    this.clock.setTimer(between(this.random, 1, 200), open)
  }
  /** Each report awaits the acknowledgement of the last; repeated until accepted. */
  readonly #saying = new Map<Reader, Promise<void>>()
  #say(reader: Reader, event: ReaderEvent): void {
    const before = this.#saying.get(reader) ?? Promise.resolve()
    const { attemptId, subtaskIndex } = reader.view
    this.#saying.set(
      reader,
      before.then(async () => {
        await this.#delay(15)
        while (this.#reign.signal.aborted) await this.#delay(20)
        this.#coordinators.handleReaderEvent(attemptId, 'op-source', subtaskIndex, event)
        if (this.random.next() < 0.1) this.#coordinators.handleReaderEvent(attemptId, 'op-source', subtaskIndex, event)
      }),
    )
  }
  async #barrier(reader: Reader, covered: number | undefined): Promise<ReaderState> {
    this.t.not(covered, undefined)
    this.t.true(reader.state.received <= covered!, `reader has applied ${reader.state.received}, the snapshot covers ${covered}`)
    reader.ceiling = covered!
    while (reader.state.received < covered!) {
      await this.#delay(10)
      reader.apply()
    }
    return reader.state
  }
  #report(reader: Reader): AttemptReport {
    const { attemptId, attemptNumber, subtaskIndex, vertexId } = reader.view
    return {
      jobId: this.graph.jobId,
      vertexId,
      subtaskIndex,
      attemptNumber,
      attemptId,
      state: reader.registered ? 'RUNNING' : 'INITIALIZING',
      lastCheckpointCompleted: this.#checkpoint?.id ?? 0,
      pendingCheckpoints: [],
      assignmentsReceived: reader.registered ? { 'op-source': reader.highest } : {},
      eventsReceived: reader.registered ? { 'op-source': reader.events } : {},
      splitRequests: reader.requested ? ['op-source'] : [],
      deploymentNumber: 1,
    }
  }

  #beginReign(): void {
    const reign = new AbortController()
    this.#reign = reign
    const { signal } = reign
    const program = { operators: new Map([['source', { kind: 'source', source: this.source }]]) } as unknown as BuiltProgram
    const host = new InlineEnumeratorHost(async () => program, this.clock)
    const ctx = {
      jobGraph: this.graph,
      clock: this.clock,
      logger: silentLogger,
      signal,
      fact: jobFact(this.graph),
      run: (turn: () => void) => signal.aborted || turn(),
      executions: () => this.readers.map(({ view }) => view),
      failGlobally: (cause: Error) => void this.failures.push(cause),
    } as unknown as JobMasterContext
    this.#coordinators = createSourceCoordinators(
      ctx,
      async (attemptId, _operator, events) => {
        const reader = this.readers.find(({ view }) => view.attemptId === attemptId)
        if (!reader) throw new FlottError('TASK_LOST', `${attemptId} was replaced`)
        this.t.true(reader.registered, 'nothing is sent to a reader that has not registered')
        await this.#delay(15)
        if (signal.aborted) throw new FlottError('NOT_LEADER', 'an old epoch')
        if (!reader.alive || this.random.next() < this.lossRate / 2) throw new FlottError('CONNECTION_LOST', 'before it arrived')
        reader.receive(events)
        await this.#delay(15)
        if (this.random.next() < this.lossRate / 2) throw new FlottError('CONNECTION_LOST', 'after it arrived')
      },
      host,
    )
  }
  #delay(atMost: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(between(this.random, 0, atMost), resolve))
  }
}
