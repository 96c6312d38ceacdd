import type { AccumulatorSnapshot } from '#protocol/gateways/task-executor-gateway.js'

export interface MergedAccumulator {
  readonly type: string
  /** The intermediate value, merged over subtasks. Of a custom one whose merge function is not at hand: the values, one a subtask. */
  readonly value: unknown
}
export type MergedAccumulators = Readonly<Record<string, MergedAccumulator>>
type Snapshots = Readonly<Record<string, AccumulatorSnapshot>>
/** Calls the user's merge functions, in a worker (SourceCoordinatorsApi.mergeAccumulators). */
export type MergeCustom = (values: Readonly<Record<string, readonly unknown[]>>) => Promise<Readonly<Record<string, unknown>>>

/** By name, merged over the subtasks in their order. What is of a kind that the engine knows needs no user code. */
export function mergeAccumulators(subtasks: readonly Snapshots[]): MergedAccumulators {
  const merged: Record<string, MergedAccumulator> = {}
  for (const [name, { kind, values }] of collect(subtasks)) merged[name] = { type: kind, value: mergeValues(kind, values) }
  return merged
}

/** The same, with custom ones merged by the user's functions. For the result of a job. */
export async function mergeAllAccumulators(subtasks: readonly Snapshots[], mergeCustom: MergeCustom): Promise<MergedAccumulators> {
  const merged = mergeAccumulators(subtasks)
  const custom = [...collect(subtasks)].filter(([, { kind }]) => kind === 'custom')
  if (custom.length === 0) return merged
  const values = await mergeCustom(Object.fromEntries(custom.map(([name, accumulator]) => [name, accumulator.values])))
  const results = Object.entries(values).map(([name, value]): [string, MergedAccumulator] => [name, { type: 'custom', value }])
  return { ...merged, ...Object.fromEntries(results) }
}

interface Collected {
  readonly kind: AccumulatorSnapshot['kind']
  readonly values: unknown[]
}

function collect(subtasks: readonly Snapshots[]): ReadonlyMap<string, Collected> {
  const collected = new Map<string, Collected>()
  for (const snapshots of subtasks)
    for (const [name, { kind, value }] of Object.entries(snapshots)) {
      const known = collected.get(name)
      if (!known) collected.set(name, { kind, values: [value] })
      // One name used for two kinds: nothing that the engine could add up.
      else collected.set(name, { kind: known.kind === kind ? kind : 'custom', values: [...known.values, value] })
    }
  return collected
}

function mergeValues(kind: AccumulatorSnapshot['kind'], values: readonly unknown[]): unknown {
  switch (kind) {
    case 'sum':
    case 'count':
      return values.reduce(add)
    case 'min':
      return extreme(values, (a, b) => a < b)
    case 'max':
      return extreme(values, (a, b) => a > b)
    case 'list':
      return values.flatMap((value) => (Array.isArray(value) ? value : [value]))
    case 'custom':
      return values
  }
}

function add(a: unknown, b: unknown): unknown {
  return typeof a === 'bigint' && typeof b === 'bigint' ? a + b : Number(a) + Number(b)
}

/** A subtask that has seen nothing has undefined or null. */
function extreme(values: readonly unknown[], better: (a: number, b: number) => boolean): unknown {
  const seen = values.filter((value) => value !== undefined && value !== null) as readonly unknown[] as readonly number[]
  return seen.length === 0 ? undefined : seen.reduce((best, value) => (better(value, best) ? value : best))
}
