/**
 * State that belongs to a subtask and not to a key: lists in memory, written whole at each checkpoint. At another parallelism `split`
 * lists are dealt out, item by item; `union` lists are given whole to each subtask.
 */
import { FlottError, isTransient } from '#core/errors.js'
import type { DeclaredOperatorState } from '#core/functions/function-binding.js'
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import type { ListState } from '#core/state/state.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { ChunkStore } from '../state/keyed-state-backend.js'
import type { OperatorContext, OperatorSnapshotResult } from './operator.js'

/** The operator's own bytes in a snapshot; undefined where it had none. CHECKPOINT_NOT_RESTORABLE. */
export async function operatorBytes(state: SubtaskState, chunks: ChunkStore): Promise<Uint8Array | undefined> {
  if (state.inline !== undefined) return state.inline
  if (state.operatorChunk === undefined) return undefined
  try {
    return await chunks.get(state.operatorChunk)
  } catch (cause) {
    if (isTransient(cause)) throw cause
    throw new FlottError('CHECKPOINT_NOT_RESTORABLE', `blob ${state.operatorChunk.blob} can not be read`, { cause })
  }
}

/** What each earlier subtask had encoded, in the order of subtasks. */
export async function restoredValues<T>(ctx: OperatorContext): Promise<{ readonly subtaskIndex: number; readonly value: T }[]> {
  const values: { subtaskIndex: number; value: T }[] = []
  const states = [...(ctx.restored?.states ?? [])].sort((a, b) => a.subtaskIndex - b.subtaskIndex)
  for (const state of states) {
    const bytes = await operatorBytes(state, ctx.chunks)
    if (bytes !== undefined) values.push({ subtaskIndex: state.subtaskIndex, value: decodeValue(bytes) as T })
  }
  return values
}

/** The part of `items` (by earlier subtask) that this subtask takes over: its own, or, at another parallelism, its share of all. */
export function redistribute<T>(ctx: OperatorContext, lists: readonly { subtaskIndex: number; items: readonly T[] }[]): T[] {
  const { indexOfThisSubtask: own, numberOfParallelSubtasks: parallelism } = ctx.runtime.taskInfo
  if (ctx.restored?.parallelism === parallelism) return lists.flatMap((l) => (l.subtaskIndex === own ? l.items : []))
  return lists.flatMap((l) => l.items).filter((_, i) => i % parallelism === own)
}

export function encodedResult(value: unknown): OperatorSnapshotResult {
  const operator = encodeValue(value)
  return { operator, checkpointedBytes: operator.length, stateBytes: operator.length }
}

class MemoryListState implements ListState<unknown> {
  items: unknown[] = []
  add(value: unknown): void {
    this.items.push(value)
  }
  addAll(values: Iterable<unknown>): void {
    for (const value of values) this.items.push(value)
  }
  update(values: Iterable<unknown>): void {
    this.items = [...values]
  }
  clear(): void {
    this.items = []
  }
  [Symbol.iterator](): Iterator<Readonly<unknown>> {
    return this.items[Symbol.iterator]() as Iterator<Readonly<unknown>>
  }
}

type Encoded = Readonly<Record<string, readonly unknown[]>>

function refuseUnclaimed(
  { spec }: OperatorContext,
  values: readonly { value: Encoded }[],
  declared: readonly DeclaredOperatorState[],
): void {
  const known = new Set(declared.map(({ descriptor }) => descriptor.name))
  const names = values.flatMap(({ value }) => Object.keys(value).filter((name) => !known.has(name) && value[name]!.length > 0))
  if (names.length === 0) return
  const unclaimed = [...new Set(names)].map((name) => `'${name}'`).join(', ')
  throw new FlottError(
    'STATE_NOT_RESTORED',
    `operator ${spec.id} does not declare ${unclaimed}, which its snapshot has; run -n leaves it behind`,
  )
}

export class OperatorState {
  readonly #lists = new Map<string, MemoryListState>()
  #hasUnion = false

  list(declared: DeclaredOperatorState): ListState<unknown> {
    let list = this.#lists.get(declared.descriptor.name)
    if (!list) {
      list = new MemoryListState()
      this.#lists.set(declared.descriptor.name, list)
    }
    return list
  }
  /** STATE_NOT_RESTORED where there is more than what is declared. */
  restore(
    ctx: OperatorContext,
    values: readonly { subtaskIndex: number; value: Encoded }[],
    declared: readonly DeclaredOperatorState[],
  ): void {
    if (!ctx.restored?.allowNonRestoredState) refuseUnclaimed(ctx, values, declared)
    for (const state of declared) {
      if (state.redistribution === 'union') this.#hasUnion = true
      const lists = values.map(({ subtaskIndex, value }) => ({ subtaskIndex, items: value[state.descriptor.name] ?? [] }))
      this.list(state).update(state.redistribution === 'union' ? lists.flatMap((l) => l.items) : redistribute(ctx, lists))
    }
  }
  get isEmpty(): boolean {
    return this.#lists.size === 0
  }
  /** Fixed when it returns. */
  snapshot(): OperatorSnapshotResult {
    const value: Encoded = Object.fromEntries([...this.#lists].map(([name, list]) => [name, list.items]))
    return { ...encodedResult(value), ...(this.#hasUnion ? { union: true } : {}) }
  }
}
