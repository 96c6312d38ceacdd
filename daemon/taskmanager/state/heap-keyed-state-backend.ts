/** Keyed state in the slot's heap (Flink: HeapKeyedStateBackend): a table a state, timers, and incremental snapshots of all of them. */
import { FlottError } from '#core/errors.js'
import type { Key } from '#core/functions/functions.js'
import type { StateDescriptor, StateOptions, ValueStateSpec } from '#core/state/state.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import { BlockKind, type StateSchema } from './chunk-format.js'
import { HeapListState, HeapMapState } from './collection-states.js'
import { CurrentKey } from './current-key.js'
import { type EntryTable, entryTableClass } from './entry-table.js'
import type { KeyedSnapshot, KeyedStateBackend, KeyedStateBackendOptions } from './keyed-state-backend.js'
import { HeapKeyedTimers } from './keyed-timers.js'
import { LazyRestore } from './lazy-restore.js'
import { numberTableClass } from './number-table.js'
import { PendingRows } from './pending-rows.js'
import { RestoredStates } from './restored-states.js'
import { SnapshotHistory } from './snapshot-history.js'
import { SnapshotWalk } from './snapshot-walk.js'
import { type EagerFamily, NamespacedTables, SingleTable, type TableFamily } from './table-family.js'
import { TIMES_OF, TimeToLive, TtlListState, TtlMapState, TtlValueState } from './time-to-live.js'
import { TimerQueue } from './timers.js'
import { entryValueState, numberValueState } from './value-state.js'
import { FIRST_EPOCH, type LazilyRestored, type VersionedTable, type Versions } from './versioned-table.js'

export function createKeyedStateBackend(options: KeyedStateBackendOptions): HeapKeyedStateBackend {
  return new HeapKeyedStateBackend(options)
}

interface Handle {
  readonly state: unknown
  readonly descriptor: StateDescriptor<unknown>
}
interface UsersTable extends VersionedTable, LazilyRestored {
  prefetch(hashes: Int32Array, count: number): number
}

/** Smaller tables are in the cache anyway. */
const PREFETCH_ENTRIES_MIN = 8_192
/** Names of the engine's own states; users' names may not begin so. */
const INTERNAL = '%'
/** Changes listed for deltas, of a table's entries: with more of them a base is cheaper. */
const CHANGES_MAX = 4

export class HeapKeyedStateBackend implements KeyedStateBackend {
  readonly #current = new CurrentKey()
  readonly #versions: Versions
  readonly #families: TableFamily[] = []
  /** Of the families: each takes what was restored of it. */
  readonly #claims: (() => void)[] = []
  readonly #handles = new Map<string, Handle>()
  readonly #byDescriptor = new Map<StateDescriptor<unknown>, unknown>()
  readonly #prefetched: UsersTable[] = []
  readonly #restored: RestoredStates
  readonly #history = new SnapshotHistory()
  #walk: SnapshotWalk | undefined
  /** While restored entries are not all in their tables. */
  #lazy: LazyRestore | undefined
  #isClosed = false
  readonly timers: HeapKeyedTimers
  /** Keeps prefetches from being optimized away. */
  touchedByPrefetch = 0

  constructor(private readonly options: KeyedStateBackendOptions) {
    this.#versions = { epoch: FIRST_EPOCH, tracking: false, incompleteEpoch: 0, memory: options.memory }
    this.#restored = new RestoredStates(options)
    const queue = (name: string) => this.#addTimers(`${INTERNAL}timers/${name}`)
    this.timers = new HeapKeyedTimers(this, queue('event-time'), queue('processing-time'))
  }
  get currentKey(): Key {
    this.#current.check()
    return this.#current.key!
  }
  get currentKeyHash(): number {
    return this.#current.hash
  }
  setCurrentKey(key: Key, hash: number): void {
    if (this.#lazy !== undefined) this.#lazy.apply(hash)
    this.#current.set(key, hash)
  }
  prefetch(hashes: Int32Array, count: number): void {
    for (const table of this.#prefetched)
      if (table.count >= PREFETCH_ENTRIES_MIN) this.touchedByPrefetch = (this.touchedByPrefetch + table.prefetch(hashes, count)) | 0
  }
  state<S>(descriptor: StateDescriptor<S>): S {
    const known = this.#byDescriptor.get(descriptor)
    if (known !== undefined) return known as S
    let handle = this.#handles.get(descriptor.name)
    if (handle === undefined) {
      handle = { state: this.#declare(descriptor), descriptor }
      this.#handles.set(descriptor.name, handle)
    } else if (handle.descriptor.kind !== descriptor.kind)
      throw new FlottError(
        'DUPLICATE_STATE',
        `'${descriptor.name}' is declared as ${handle.descriptor.kind} and as ${descriptor.kind} state`,
      )
    this.#byDescriptor.set(descriptor, handle.state)
    return handle.state as S
  }
  /** For the engine's own operators: tables that are dropped as a whole. */
  namespacedTables(name: string): NamespacedTables {
    const family = new NamespacedTables(
      { name: `${INTERNAL}windows/${name}`, kind: 'windows' },
      this.#versions,
      this.#stateId(`${INTERNAL}${name}`),
    )
    this.#add(family, () => this.#restore(family))
    return family
  }
  declared(): void {
    const { unclaimed } = this.#restored
    if (unclaimed.length === 0) return
    if (!this.options.allowNonRestoredState) {
      const names = unclaimed.map((name) => `'${name}'`).join(', ')
      throw new FlottError(
        'STATE_NOT_RESTORED',
        `operator ${this.options.operatorId} does not declare ${names}, which its snapshot has; run -n leaves it behind`,
      )
    }
    this.#restored.clear()
  }
  /** Some restored entries are not in their tables yet. */
  get isRestoring(): boolean {
    return this.#lazy !== undefined
  }
  get entryCount(): number {
    let sum = this.#lazy?.hashCount ?? 0
    for (const { tables } of this.#families) for (const table of tables.values()) sum += table.count
    return sum
  }
  snapshot(checkpointId: number): KeyedSnapshot {
    this.declared()
    this.#walk?.drop(new FlottError('CHECKPOINT_FAILED', `a newer checkpoint, ${checkpointId}, has begun`))
    this.#boundChanges()
    const versions = this.#versions
    const until = versions.epoch++
    if (!versions.tracking) versions.incompleteEpoch = until
    versions.tracking = true
    const from = this.#history.beginSnapshot(checkpointId, until, versions.incompleteEpoch)
    const walk = this.#startWalk(checkpointId, from === undefined ? undefined : from.epoch, until)
    this.#walk = walk
    const done = walk.done.then((chunks) => this.#completed(checkpointId, chunks))
    done
      .catch(() => {})
      .finally(() => {
        if (this.#walk === walk) this.#walk = undefined // Its buffers are large.
      })
    return { done }
  }
  notifyCheckpointComplete(checkpointId: number): void {
    const epoch = this.#history.confirm(checkpointId)
    if (epoch === undefined) return
    for (const family of this.#families) {
      family.forgetDrops(epoch)
      for (const table of family.tables.values()) table.forgetChanges(epoch)
    }
  }
  notifyCheckpointAborted(checkpointId: number): void {
    if (this.#history.newest === checkpointId)
      this.#walk?.drop(new FlottError('CHECKPOINT_FAILED', `checkpoint ${checkpointId} was aborted`))
    this.#history.abort(checkpointId)
  }
  async restore(states: readonly SubtaskState[]): Promise<void> {
    await this.#restored.load(states)
    if (this.#isClosed) this.#restored.clear()
    for (const claim of this.#claims) claim()
  }
  close(): void {
    this.#walk?.drop(new FlottError('CHECKPOINT_FAILED', 'the task ended'))
    this.#walk = undefined
    this.#lazy?.close()
    this.#restored.clear()
    this.#isClosed = true
  }
  #startWalk(checkpointId: number, since: number | undefined, until: number): SnapshotWalk {
    const { jobId, attemptId, operatorId, keyGroups, maxParallelism, clock, chunks } = this.options
    const states = this.#families.map((family) => family.schema)
    const walk = new SnapshotWalk({
      clock,
      chunks,
      blobPrefix: `chunk/${jobId}/${checkpointId}/${attemptId}/${operatorId}`,
      header: { operatorId, checkpointId, kind: since === undefined ? 'base' : 'delta', keyGroups, maxParallelism, states },
    })
    this.#families.forEach((family, state) => {
      if (since !== undefined) for (const namespace of family.dropsSince(since)) walk.addDrop(state, namespace)
      for (const [namespace, table] of family.tables) {
        const changes = table.endEpoch(since ?? Infinity)
        const isConcerned = since === undefined ? table.length > 0 || this.#lazy !== undefined : changes.length > 0
        if (isConcerned) walk.addTable(table, { state, namespace, until, since, changes })
      }
    })
    if (this.#lazy === undefined) walk.start()
    else this.#lazy.whenOver(() => walk.start())
    return walk
  }
  #completed(checkpointId: number, chunks: readonly ChunkRef[]) {
    const chain = this.#history.completed(checkpointId, chunks)
    const bytesOf = (refs: readonly ChunkRef[]) => refs.reduce((sum, ref) => sum + ref.bytes, 0)
    return { chunks: chain, checkpointedBytes: bytesOf(chunks), stateBytes: bytesOf(chain) }
  }
  /** Where checkpoints do not complete, changes pile up: then the next snapshot is a base. */
  #boundChanges(): void {
    if (!this.#versions.tracking) return
    let changes = 0
    for (const family of this.#families) changes += family.changeCount
    if (changes <= CHANGES_MAX * this.entryCount + 100_000) return
    this.#versions.tracking = false
    for (const family of this.#families) {
      family.forgetDrops(Infinity)
      for (const table of family.tables.values()) table.forgetAllChanges()
    }
  }
  #declare(descriptor: StateDescriptor<unknown>): unknown {
    const { name, kind } = descriptor
    if (name.startsWith(INTERNAL)) throw new FlottError('INVALID_ARGUMENT', `a state's name can not begin with '${INTERNAL}': '${name}'`)
    const spec = descriptor as ValueStateSpec<unknown>
    if (spec.options.ttl !== undefined) return this.#declareWithTtl(spec, spec.options.ttl)
    if (kind !== 'value') return this.#collection(descriptor, this.#entryTable(name, kind))
    const stateId = this.#stateId(name)
    if (typeof spec.initial() !== 'number') return entryValueState(stateId, spec, this.#entryTable(name, kind), this.#current)
    const table = new (numberTableClass(stateId))(this.#versions)
    this.#addTable(name, kind, table)
    return numberValueState(stateId, spec, table, this.#current)
  }
  /** The stored parts carry their times, so the kind is another one. */
  #declareWithTtl(spec: ValueStateSpec<unknown>, options: NonNullable<StateOptions<unknown>['ttl']>): unknown {
    const { name, kind } = spec as StateDescriptor<unknown>
    const timesOf = TIMES_OF[kind]
    if (timesOf === undefined) throw unknownKind(spec)
    const table = this.#entryTable(name, `${kind} with ttl`)
    const isEventTime = typeof options === 'object' && options.timeDomain === 'event-time'
    const now = isEventTime ? () => this.timers.watermark : () => this.options.clock.now()
    const ttl = new TimeToLive(name, options, now, table, this.#current, timesOf)
    if (kind === 'list') return new TtlListState(new HeapListState(table, this.#current), ttl)
    if (kind === 'map') return new TtlMapState(new HeapMapState(table, this.#current), ttl)
    const stored = { ...spec, initial: () => undefined }
    return new TtlValueState(entryValueState(this.#stateId(name), stored, table, this.#current), spec, ttl)
  }
  #collection(descriptor: StateDescriptor<unknown>, table: EntryTable): unknown {
    if (descriptor.kind === 'list') return new HeapListState(table, this.#current)
    if (descriptor.kind === 'map') return new HeapMapState(table, this.#current)
    throw unknownKind(descriptor)
  }
  #entryTable(name: string, kind: string): EntryTable {
    const table = new (entryTableClass(this.#stateId(name)))(this.#versions)
    this.#addTable(name, kind, table)
    return table
  }
  #addTable(name: string, kind: string, table: UsersTable): void {
    this.#prefetched.push(table)
    const family = new SingleTable({ name, kind }, table)
    this.#add(family, () => this.#restoreLazily(family.schema, table))
  }
  /** Whose copies of the hot classes a state uses. */
  #stateId(name: string): string {
    return `${this.options.jobId}/${this.options.operatorId}/${name}`
  }
  #addTimers(name: string): TimerQueue {
    const queue = new TimerQueue(this.#versions)
    const family = new SingleTable({ name, kind: 'timers' }, queue)
    this.#add(family, () => this.#restore(family))
    return queue
  }
  #add(family: TableFamily, claim: () => void): void {
    this.#families.push(family)
    this.#claims.push(claim)
    claim()
  }
  /** Timers, which fire by time, and windows, which are walked when they do. */
  #restore(family: EagerFamily): void {
    const { name, kind } = family.schema
    for (const block of this.#restored.claimDecoded(name, kind)) {
      const { hashes, keys, values } = block
      if (keys.length === 0) continue
      const table = family.tableFor(block.namespace)
      for (let i = 0; i < keys.length; i++)
        if (block.kind === BlockKind.Put) table.restorePut(keys[i], hashes[i]!, values![i])
        else table.restoreDelete(keys[i], hashes[i]!, values?.[i])
    }
  }
  /** Users' states, whose entries are only reached by way of the current key. */
  #restoreLazily({ name, kind }: StateSchema, table: LazilyRestored): void {
    const blocks = this.#restored.claim(name, kind)
    if (blocks.length === 0) return
    const { clock, fail } = this.options
    this.#lazy ??= new LazyRestore({
      clock,
      fail,
      over: () => {
        this.#lazy = undefined
      },
    })
    this.#lazy.add(new PendingRows(table, blocks, this.options))
    if (this.#current.serial > 0) this.#lazy.apply(this.#current.hash)
  }
}

function unknownKind({ name, kind }: StateDescriptor<unknown>): FlottError {
  return new FlottError('INVALID_ARGUMENT', `state '${name}' has the unknown kind '${kind}'`)
}
