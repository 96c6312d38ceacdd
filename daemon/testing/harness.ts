import { type Duration, millis } from '#core/duration.js'
import { FlottError } from '#core/errors.js'
import { functionBindingOf } from '#core/functions/function-binding.js'
import type { Context, Key, KeyedContext, ProcessLike } from '#core/functions/functions.js'
import type { KeySelector, OperatorDefinition } from '#core/functions/operator-definition.js'
import type { OutputTag } from '#core/functions/output-tag.js'
import type { Selector } from '#core/functions/selector.js'
import { keyHash } from '#core/serialization/key-hash.js'
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import type { StateDescriptor } from '#core/state/state.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import { operatorError } from '#taskmanager/operators/operator-error.js'
import type { KeyedStateBackend } from '#taskmanager/state/keyed-state-backend.js'
import { deepFreeze } from '#taskmanager/task/freeze-records.js'
import type { OperatorChain } from '#taskmanager/task/operator-chain.js'
import { HARNESS_OPERATOR, harnessChain } from './harness-chain.js'
import { ManualClock } from './manual-clock.js'

/** Records given and emitted are deeply frozen, so that a function that changes one throws at that line. */
export interface Harness<T, O, K> {
  processElement(record: T, timestamp?: number): void
  processWatermark(timestamp: number): void
  advanceProcessingTime(by: Duration): void
  /** All that was emitted so far. */
  readonly output: readonly O[]
  sideOutput<X>(tag: OutputTag<X>): readonly X[]
  /** The state of a key. The handle stays with that key. */
  state<S>(state: StateDescriptor<S>, key: K): S
  /** What a checkpoint would hold now; for `restore`. */
  snapshot(): Promise<Uint8Array>
  close(): Promise<void>
}
export interface HarnessOptions {
  /** A snapshot of another harness. */
  readonly restore?: Uint8Array
  /** States that a function or object uses by ctx.getState; a class declares its own. */
  readonly state?: readonly StateDescriptor<unknown>[]
}

/** A process function on a keyed stream, opened. */
export function keyedHarness<K extends Key, T, O>(
  f: ProcessLike<T, O, KeyedContext<K>>,
  keyBy: Selector<T, K>,
  options: HarnessOptions = {},
): Promise<Harness<T, O, K>> {
  const key = (typeof keyBy === 'function' ? { select: keyBy } : { field: keyBy }) as KeySelector
  const states = options.state ?? []
  const declared = [...states, ...(typeof f === 'object' ? (functionBindingOf(f)?.keyedStates ?? []) : [])]
  return open<T, O, K>({ kind: 'keyedProcess', key, f: asProcess(f), states }, options, declared)
}

/** A process function on a stream without a key, opened. */
export function harness<T, O>(f: ProcessLike<T, O, Context>, options: Pick<HarnessOptions, 'restore'> = {}): Promise<Harness<T, O, never>> {
  return open<T, O, never>({ kind: 'process', f: asProcess(f) }, options, [])
}

function asProcess(f: unknown): never {
  return (typeof f === 'function' ? { processElement: f } : f) as never
}

interface Snapshot {
  readonly checkpointId: number
  readonly nowMs: number
  readonly state: SubtaskState
  readonly chunks: ReadonlyMap<string, Uint8Array>
}

async function open<T, O, K>(
  definition: OperatorDefinition,
  options: Pick<HarnessOptions, 'restore'>,
  declared: readonly StateDescriptor<unknown>[],
): Promise<Harness<T, O, K>> {
  const restored = options.restore ? (decodeValue(options.restore) as Snapshot) : undefined
  const clock = new ManualClock()
  if (restored) clock.advance(restored.nowMs)
  const chunks = new Map(restored?.chunks)
  const main: unknown[] = []
  const sides = new Map<string, unknown[]>()
  let backend: KeyedStateBackend | undefined
  const chain = harnessChain({
    definition,
    clock,
    chunks,
    main,
    sides,
    ...(restored ? { restored: { checkpointId: restored.checkpointId, state: restored.state } } : {}),
    onBackend: (made) => {
      backend = made
    },
  })
  await chain.open()
  return new OperatorHarness<T, O, K>(chain, clock, chunks, main, sides, backend, declared, restored?.checkpointId ?? 0)
}

class OperatorHarness<T, O, K> implements Harness<T, O, K> {
  constructor(
    private readonly chain: OperatorChain,
    private readonly clock: ManualClock,
    private readonly chunks: Map<string, Uint8Array>,
    private readonly main: readonly unknown[],
    private readonly sides: ReadonlyMap<string, readonly unknown[]>,
    private readonly backend: KeyedStateBackend | undefined,
    private readonly declared: readonly StateDescriptor<unknown>[],
    private checkpointId: number,
  ) {}
  get #operator() {
    return this.chain.operators[0]![1]
  }
  get output(): readonly O[] {
    return this.main as readonly O[]
  }
  sideOutput<X>(tag: OutputTag<X>): readonly X[] {
    return (this.sides.get(tag.id) ?? []) as readonly X[]
  }
  processElement(record: T, timestamp = Number.NaN): void {
    deepFreeze(record)
    this.#told(() => this.#operator.processElement(record, timestamp))
  }
  processWatermark(timestamp: number): void {
    this.#told(() => this.chain.processWatermark(timestamp))
  }
  advanceProcessingTime(by: Duration): void {
    const end = this.clock.now() + millis(by)
    this.#told(() => {
      for (let due = this.chain.nextProcessingTime; due !== undefined && due <= end; due = this.chain.nextProcessingTime) {
        this.clock.advance(Math.max(0, due - this.clock.now()))
        this.chain.processProcessingTime(this.clock.now())
      }
      this.clock.advance(end - this.clock.now())
    })
  }
  #told(call: () => void): void {
    try {
      call()
    } catch (error) {
      throw operatorError(error, HARNESS_OPERATOR)
    }
  }
  state<S>(state: StateDescriptor<S>, key: K): S {
    const { backend } = this
    if (!backend || !this.declared.some((d) => d.name === state.name))
      throw new FlottError('STATE_NOT_DECLARED', `state '${state.name}' is not declared by the function`)
    const handle = backend.state(state) as object
    const hash = keyHash(key as Key)
    const at = <R>(use: () => R): R => {
      backend.setCurrentKey(key as Key, hash)
      return use()
    }
    return new Proxy(handle, {
      get: (_, name) =>
        at(() => {
          const member: unknown = Reflect.get(handle, name, handle)
          return typeof member === 'function' ? (...args: unknown[]) => at(() => member.apply(handle, args) as unknown) : member
        }),
      set: (_, name, value) => at(() => Reflect.set(handle, name, value, handle)),
    }) as S
  }
  async snapshot(): Promise<Uint8Array> {
    const checkpointId = ++this.checkpointId
    await this.#operator.prepareSnapshot(checkpointId)
    const { keyed = [], operator } = await this.#operator.snapshot(checkpointId)
    await this.#operator.notifyCheckpointComplete(checkpointId)
    const state: SubtaskState = { subtaskIndex: 0, keyed, ...(operator ? { inline: operator } : {}) }
    const snapshot: Snapshot = { checkpointId, nowMs: this.clock.now(), state, chunks: new Map(this.chunks) }
    return encodeValue(snapshot)
  }
  close(): Promise<void> {
    return this.chain.close()
  }
}
