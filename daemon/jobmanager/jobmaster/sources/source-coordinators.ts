/**
 * The JobMaster's half of its sources: it numbers what the enumerators assign, reader by reader, sends it, and remembers it until a
 * completed checkpoint covers it. The number that a snapshot covers goes with the checkpoint's trigger, so that a split is in exactly one
 * of the two: in the enumerator's snapshot, or in a reader's.
 */
import { deserializeError, FlottError } from '#core/errors.js'
import type { SourceSplit } from '#core/functions/source.js'
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import type { CoordinatorState } from '#protocol/checkpoint/manifest.js'
import type { ReaderEvent } from '#protocol/gateways/job-master-gateway.js'
import type { AttemptReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { EnumeratorEvent } from '#protocol/gateways/task-executor-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobMasterContext, SendOperatorEvents, SourceCoordinatorsApi } from '../job-master-context.js'
import type {
  EnumeratorHost,
  EnumeratorSession,
  EnumeratorStart,
  FromEnumerators,
  SourceOperator,
  ToEnumerators,
} from './enumerator-host.js'
import { ReaderAssignments, splitsOf } from './reader-assignments.js'

/** After which a batch of events that was not accepted is sent again, while the reader is still the same. */
const RESEND_MS = 500

export function createSourceCoordinators(
  ctx: JobMasterContext,
  send: SendOperatorEvents,
  host: EnumeratorHost,
  sourceOperators: readonly SourceOperator[] = sourceOperatorsOf(ctx.jobGraph),
): SourceCoordinatorsApi {
  return new SourceCoordinators(ctx, send, host, sourceOperators)
}

export function sourceOperatorsOf(graph: JobGraph): readonly SourceOperator[] {
  return graph.vertices.flatMap((vertex) =>
    vertex.operators
      .filter((operator) => operator.kind === 'source')
      .map(({ id, uid }) => ({ operatorId: id, uid, vertexId: vertex.id, parallelism: vertex.parallelism })),
  )
}

interface SourceState {
  readonly operator: SourceOperator
  readonly readers: Map<number, ReaderAssignments>
  /** Lost readers whose successor has not registered: what they held goes back then. */
  readonly lost: Map<number, ReaderAssignments>
  /** By reader, what the newest completed checkpoint covers: where a successor's numbers go on. */
  completed: Covered
  /** Readers with a batch of events under way. */
  readonly sending: Set<ReaderAssignments>
}
/** What a checkpoint's snapshot covers of a source's readers. */
interface Covered {
  readonly assigned: Readonly<Record<number, number>>
  /** Readers that were told so by then. */
  readonly noMoreSplits: readonly number[]
}
/** The bytes of a CoordinatorState: the enumerator's own, and ours. */
interface SourceSnapshot {
  readonly enumerator: Uint8Array
  readonly noMoreSplits: readonly number[]
}
type Assignment = { readonly operatorId: string; readonly reader: number; readonly registration: number }
type Settle<T> = { resolve(value: T): void; reject(cause: Error): void }

class SourceCoordinators implements SourceCoordinatorsApi {
  #sources = new Map<string, SourceState>()
  #session: EnumeratorSession | undefined
  /** By checkpoint, then by operator. */
  readonly #covered = new Map<number, ReadonlyMap<string, Covered>>()
  /** The checkpoint whose triggers are on their way: nothing may overtake them. */
  #held: number | undefined
  #started: (Settle<void> & { readonly request: number }) | undefined
  /** Registrations below it belong to enumerators that were replaced. */
  #registrationsFrom = 0
  /** Whether the session has been told to start: before that, its failure is told to whoever starts it. */
  #isBegun = false
  readonly #snapshots = new Map<number, Settle<Readonly<Record<string, CoordinatorState>>> & { readonly checkpointId: number }>()
  readonly #merges = new Map<number, Settle<Readonly<Record<string, unknown>>>>()
  #request = 0

  constructor(
    private readonly ctx: JobMasterContext,
    private readonly send: SendOperatorEvents,
    private readonly host: EnumeratorHost,
    private readonly operators: readonly SourceOperator[],
  ) {}

  prepare(): void {
    if (this.operators.length > 0 && !this.#session) this.#open()
  }

  async start(coordinators: Readonly<Record<string, CoordinatorState>> | undefined, adopted: readonly AttemptReport[] = []): Promise<void> {
    this.#rejectAll(new FlottError('ILLEGAL_TRANSITION', 'the sources start anew'))
    this.#registrationsFrom = this.#request + 1
    this.#covered.clear()
    this.#held = undefined
    for (const source of this.#sources.values()) source.readers.clear() // What is still to be sent again is not.
    this.#sources = new Map(
      this.operators.map((operator) => [operator.operatorId, newSource(operator, coordinators?.[operator.operatorId])]),
    )
    if (this.operators.length === 0) return
    const enumerators = this.operators.map((operator) => this.#enumeratorStart(operator, coordinators?.[operator.operatorId], adopted))
    const request = ++this.#request
    const started = new Promise<void>((resolve, reject) => {
      this.#started = { request, resolve, reject }
    })
    // The thread that evaluated the program is kept: to start another one would take longer than all the rest of a restart.
    const session = this.#session ?? this.#open()
    this.#isBegun = true
    session.post({ kind: 'start', request, enumerators })
    await started
    for (const report of adopted) this.#repeatRequests(report)
  }

  handleReaderEvent(attemptId: string, operatorId: string, reader: number, event: ReaderEvent): void {
    const source = this.#sources.get(operatorId)
    if (!source || !this.#session || !this.#isCurrent(source, reader, attemptId)) return
    if (event.kind === 'reader-registered') this.#register(source, reader, attemptId, event.received)
    else if (source.readers.get(reader)?.attemptId === attemptId) this.#post({ kind: 'split-requested', operatorId, reader })
  }

  readerFailed(operatorId: string, reader: number): void {
    const source = this.#sources.get(operatorId)
    const assignments = source?.readers.get(reader)
    if (!source || !assignments) return
    source.readers.delete(reader)
    source.lost.set(reader, assignments)
    this.#post({ kind: 'reader-lost', operatorId, reader })
  }

  snapshot(checkpointId: number): Promise<Readonly<Record<string, CoordinatorState>>> {
    if (this.operators.length === 0) return Promise.resolve({})
    if (!this.#session || this.#started) return Promise.reject(new FlottError('ILLEGAL_TRANSITION', 'the sources have not started'))
    // A successor runs, although its registration is still on its way: what its predecessor held must be in this snapshot.
    for (const source of this.#sources.values()) for (const reader of source.lost.keys()) this.#giveBack(source, reader)
    const request = ++this.#request
    return new Promise((resolve, reject) => {
      this.#snapshots.set(request, { checkpointId, resolve, reject })
      this.#post({ kind: 'snapshot', request, checkpointId })
    })
  }

  resumeAssignments(checkpointId: number): void {
    if (this.#held !== checkpointId) return
    this.#held = undefined
    for (const source of this.#sources.values())
      for (const [reader, assignments] of source.readers) this.#sendNext(source, reader, assignments)
  }

  notifyCheckpointComplete(checkpointId: number): void {
    const covered = this.#covered.get(checkpointId)
    for (const id of this.#covered.keys()) if (id <= checkpointId) this.#covered.delete(id)
    for (const [operatorId, completed] of covered ?? []) {
      const source = this.#sources.get(operatorId)
      if (!source) continue
      source.completed = completed
      for (const [reader, number] of Object.entries(completed.assigned)) {
        source.readers.get(Number(reader))?.covered(number)
        source.lost.get(Number(reader))?.covered(number)
      }
    }
  }

  mergeAccumulators(values: Readonly<Record<string, readonly unknown[]>>): Promise<Readonly<Record<string, unknown>>> {
    const session = this.#session ?? this.#open()
    const request = ++this.#request
    return new Promise((resolve, reject) => {
      this.#merges.set(request, { resolve, reject })
      session.post({ kind: 'merge-accumulators', request, values })
    })
  }

  async close(): Promise<void> {
    await this.#endSession(new FlottError('SHUTTING_DOWN', 'the sources were closed'))
  }

  #open(): EnumeratorSession {
    const current = () => this.#session === session
    const session: EnumeratorSession = this.host.open(this.ctx.jobGraph, {
      onMessage: (message) => this.ctx.run(() => current() && this.#handle(message)),
      onFailure: (cause) => this.ctx.run(() => current() && this.#failed(cause)),
    })
    this.#session = session
    this.#isBegun = false
    return session
  }
  async #endSession(cause: Error): Promise<void> {
    const session = this.#session
    this.#session = undefined
    this.#rejectAll(cause)
    await session?.close()
  }
  #rejectAll(cause: Error): void {
    const open = [...(this.#started ? [this.#started] : []), ...this.#snapshots.values(), ...this.#merges.values()]
    this.#started = undefined
    this.#snapshots.clear()
    this.#merges.clear()
    for (const { reject } of open) reject(cause)
  }
  /** Before the sources have started, whoever starts them decides; later the job fails. */
  #failed(cause: Error): void {
    const starting = this.#started !== undefined || !this.#isBegun
    const session = this.#session
    this.#session = undefined
    this.#rejectAll(cause)
    session?.close().catch((error: unknown) => this.ctx.logger.warn('an enumerator did not close', { cause: error }))
    if (!starting) this.ctx.failGlobally(cause)
  }

  #post(message: ToEnumerators): void {
    this.#session?.post(message)
  }

  #handle(message: FromEnumerators): void {
    switch (message.kind) {
      case 'started':
        if (this.#started?.request !== message.request) return
        this.#started.resolve()
        this.#started = undefined
        break
      case 'splits-assigned':
        this.#assigned(message, { kind: 'splits-assigned', splits: message.splits })
        break
      case 'no-more-splits':
        this.#assigned(message, { kind: 'no-more-splits' })
        break
      case 'snapshot':
        this.#snapshotTaken(message.request, message.states)
        break
      case 'merged': {
        const merge = this.#merges.get(message.request)
        this.#merges.delete(message.request)
        if (message.error) merge?.reject(deserializeError(message.error))
        else merge?.resolve(message.values)
      }
    }
  }

  #assigned({ operatorId, reader, registration }: Assignment, event: EnumeratorEvent): void {
    if (registration < this.#registrationsFrom) return
    const source = this.#sources.get(operatorId)
    const assignments = source?.readers.get(reader)
    const lost = source?.lost.get(reader)
    if (source && assignments?.registration === registration) {
      assignments.add(event)
      this.#sendNext(source, reader, assignments)
    } else if (lost?.registration === registration) lost.add(event)
    // Its reader was lost while the assignment was on its way here.
    else if (event.kind === 'splits-assigned')
      this.#post({ kind: 'splits-back', operatorId, reader, splits: event.splits as readonly SourceSplit[] })
  }

  /** In the very turn in which the answer comes: all assignments so far are covered, and none that follows. */
  #snapshotTaken(request: number, states: Readonly<Record<string, Uint8Array>>): void {
    const open = this.#snapshots.get(request)
    if (!open) return
    this.#snapshots.delete(request)
    const covered = new Map([...this.#sources].map(([operatorId, source]) => [operatorId, coveredNow(source)]))
    this.#covered.set(open.checkpointId, covered)
    this.#held = open.checkpointId
    const coordinators = [...covered].map(([operatorId, { assigned, noMoreSplits }]): [string, CoordinatorState] => {
      const snapshot: SourceSnapshot = { enumerator: states[operatorId] ?? new Uint8Array(), noMoreSplits }
      return [operatorId, { bytes: encodeValue(snapshot), assigned }]
    })
    open.resolve(Object.fromEntries(coordinators))
  }

  #register(source: SourceState, reader: number, attemptId: string, received: number): void {
    const { operatorId } = source.operator
    if (source.readers.get(reader)?.attemptId === attemptId) return // It was repeated.
    this.readerFailed(operatorId, reader)
    this.#giveBack(source, reader)
    const registration = ++this.#request
    const noMoreSplits = source.completed.noMoreSplits.includes(reader) && remembers(source, reader, received)
    source.readers.set(reader, new ReaderAssignments(attemptId, registration, { received, noMoreSplits }))
    this.#post({ kind: 'reader-registered', operatorId, reader, registration, noMoreSplits })
  }
  #giveBack(source: SourceState, reader: number): void {
    const splits = source.lost.get(reader)?.uncovered ?? []
    source.lost.delete(reader)
    if (splits.length > 0) this.#post({ kind: 'splits-back', operatorId: source.operator.operatorId, reader, splits })
  }

  /** One batch at a time, so that they arrive in order. */
  #sendNext(source: SourceState, reader: number, assignments: ReaderAssignments): void {
    const batch = assignments.outbox
    if (this.#held !== undefined || batch.length === 0 || source.sending.has(assignments) || source.readers.get(reader) !== assignments)
      return
    source.sending.add(assignments)
    const again = () => {
      source.sending.delete(assignments)
      this.#sendNext(source, reader, assignments)
    }
    this.send(assignments.attemptId, source.operator.operatorId, batch).then(
      () =>
        this.ctx.run(() => {
          assignments.accepted(batch.at(-1)!.number)
          again()
        }),
      (cause: unknown) => {
        if (this.ctx.signal.aborted) return
        this.ctx.logger.debug('split assignments were not accepted', { operatorId: source.operator.operatorId, reader, cause })
        this.ctx.clock.setTimer(RESEND_MS, () => this.ctx.run(again), { unref: true })
      },
    )
  }

  #isCurrent({ operator }: SourceState, reader: number, attemptId: string): boolean {
    const isIt = ({ vertexId, subtaskIndex }: { vertexId: string; subtaskIndex: number }) =>
      vertexId === operator.vertexId && subtaskIndex === reader
    return this.ctx.executions().find(isIt)?.attemptId === attemptId
  }

  #enumeratorStart(operator: SourceOperator, state: CoordinatorState | undefined, reports: readonly AttemptReport[]): EnumeratorStart {
    const { operatorId, vertexId } = operator
    const source = this.#sources.get(operatorId)!
    // One that has not registered yet does so by itself, when it can take what it is given.
    const isReader = (report: AttemptReport) => report.vertexId === vertexId && report.assignmentsReceived[operatorId] !== undefined
    const adopted = reports.filter((report) => isReader(report) && isAlive(report))
    const readers = adopted.map(({ subtaskIndex: reader, attemptId, assignmentsReceived, eventsReceived }) => {
      const covered = source.completed.assigned[reader] ?? 0 // At another parallelism its numbers began anew.
      const received = assignmentsReceived[operatorId] ?? 0
      const remembered = remembers(source, reader, received)
      const since = (eventsReceived?.[operatorId] ?? []).filter(({ number }) => !remembered || number > covered)
      // Without knowing which splits it holds they would be handed out twice: the caller restarts the job from the checkpoint instead.
      if (since.length < received - covered)
        throw new FlottError('TASK_LOST', `reader ${reader} of source '${operator.uid}' does not say which splits it received`)
      const registration = ++this.#request
      const noMoreSplits = remembered && source.completed.noMoreSplits.includes(reader)
      const assignments = new ReaderAssignments(attemptId, registration, { received, noMoreSplits }, since)
      source.readers.set(reader, assignments)
      return { reader, registration, noMoreSplits: assignments.noMoreSplits, splits: splitsOf(since) }
    })
    return { operator, ...(state ? { restored: (decodeValue(state.bytes) as SourceSnapshot).enumerator } : {}), adopted: readers }
  }
  #repeatRequests({ vertexId, subtaskIndex, splitRequests }: AttemptReport): void {
    for (const { operator, readers } of this.#sources.values()) {
      if (operator.vertexId !== vertexId || !readers.has(subtaskIndex)) continue
      // A TaskManager that does not say is taken to wait: one split too many does no harm, one too few stalls the reader.
      if (splitRequests && !splitRequests.includes(operator.operatorId)) continue
      this.#post({ kind: 'split-requested', operatorId: operator.operatorId, reader: subtaskIndex })
    }
  }
}

function newSource(operator: SourceOperator, restored: CoordinatorState | undefined): SourceState {
  // At another parallelism readers share out what others held, and count from 0.
  const same = restored && Object.keys(restored.assigned).length === operator.parallelism
  const completed = same
    ? { assigned: restored.assigned, noMoreSplits: (decodeValue(restored.bytes) as SourceSnapshot).noMoreSplits }
    : { assigned: {}, noMoreSplits: [] }
  return { operator, readers: new Map(), lost: new Map(), completed, sending: new Set() }
}

/**
 * Whether it has what the checkpoint says that it was told. One that had FINISHED before left no state: it begins anew, counts from 0,
 * and must be told once more that there are no splits for it.
 */
function remembers({ completed }: SourceState, reader: number, received: number): boolean {
  return received >= (completed.assigned[reader] ?? 0)
}

/** For every reader, also one whose registration is still on its way: without a number it would not know what to hold back. */
function coveredNow({ operator, readers, completed }: SourceState): Covered {
  const all = Array.from({ length: operator.parallelism }, (_, reader) => reader)
  return {
    assigned: Object.fromEntries(all.map((reader) => [reader, readers.get(reader)?.number ?? completed.assigned[reader] ?? 0])),
    noMoreSplits: all.filter((reader) => readers.get(reader)?.noMoreSplits ?? completed.noMoreSplits.includes(reader)),
  }
}

const isAlive = ({ state }: AttemptReport): boolean => state === 'RUNNING' || state === 'INITIALIZING' || state === 'DEPLOYING'
