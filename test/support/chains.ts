import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import { stableId } from '#core/ids.js'
import { silentLogger } from '#core/logger.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { RecordBatch, ResultPartition, StreamEvent } from '#taskmanager/exchange/exchange.js'
import type { TaskServices } from '#taskmanager/operators/operator.js'
import { createWindowOperator } from '#taskmanager/operators/window.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { ChainLayout, type ChainPartition } from '#taskmanager/task/chain-layout.js'
import { OperatorChain } from '#taskmanager/task/operator-chain.js'
import { TaskRuntimeContext } from '#taskmanager/task/task-runtime-context.js'
import { FakeClock } from './fake-clock.js'

/** A partition that remembers what it was given. */
export class RecordingPartition implements ResultPartition {
  readonly edgeId = 'edge'
  readonly records: { value: unknown; timestamp: number }[] = []
  readonly events: StreamEvent[] = []
  readonly isBackPressured = false
  readonly numBytesOut = 0
  get numRecordsOut(): number {
    return this.records.length
  }
  get values(): unknown[] {
    return this.records.map((r) => r.value)
  }
  emit(value: unknown, timestamp: number): void {
    this.records.push({ value, timestamp })
  }
  broadcastEvent(event: StreamEvent): void {
    this.events.push(event)
  }
  flush(): void {}
  drain(): boolean {
    return true
  }
  close(): void {}
}

export function batchOf(values: readonly unknown[], timestamps?: readonly number[], hashes?: readonly number[]): RecordBatch {
  return {
    count: values.length,
    values: [...values],
    hashes: Int32Array.from(hashes ?? values.map(() => 0)),
    timestamps: Float64Array.from(timestamps ?? values.map(() => Number.NaN)),
    hasTimestamps: timestamps !== undefined,
  }
}

export interface ChainSketch {
  readonly operators: readonly (OperatorDefinition & { readonly uid?: string; readonly input?: number; readonly inputTag?: string })[]
  /** Where partitions begin: operator and tag. */
  readonly outputs: readonly { readonly operator: number; readonly tag?: string; readonly partition: ResultPartition }[]
  readonly link?: 'generated' | 'classes'
  readonly clock?: FakeClock
  readonly services?: Partial<TaskServices>
  readonly restored?: {
    readonly checkpointId: number
    readonly operators: Readonly<Record<string, readonly SubtaskState[]>>
    readonly parallelism: number
  }
  readonly subtask?: { readonly index: number; readonly parallelism: number }
  readonly chunks?: Map<string, Uint8Array>
  readonly freezeRecords?: boolean
  readonly printed?: string[]
}

export function makeChain(sketch: ChainSketch): { chain: OperatorChain; site: { operator: number }; runtime: TaskRuntimeContext } {
  const nodes = sketch.operators.map((definition, index) => {
    const uid = definition.uid ?? `${definition.kind}-${index}`
    const input = index === 0 ? {} : { input: definition.input ?? index - 1 }
    const tag = definition.inputTag === undefined ? {} : { inputTag: definition.inputTag }
    return { definition, spec: { uid, id: stableId(uid), name: uid, kind: definition.kind, ...input, ...tag } }
  })
  const partitions = sketch.outputs.map(({ operator, tag, partition }): ChainPartition => ({ operator, tag, partition }))
  const site = { operator: 0 }
  const clock = sketch.clock ?? new FakeClock()
  const { index, parallelism } = sketch.subtask ?? { index: 0, parallelism: 1 }
  const runtime = new TaskRuntimeContext(
    { jobId: 'job', jobName: 'job', globalParameters: {} },
    {
      taskName: 'task',
      indexOfThisSubtask: index,
      numberOfParallelSubtasks: parallelism,
      maxNumberOfParallelSubtasks: 128,
      attemptNumber: 0,
      attemptId: 'attempt',
    },
    silentLogger,
    (line) => sketch.printed?.push(line),
  )
  const stored = sketch.chunks ?? new Map<string, Uint8Array>()
  const chunks = {
    async put(blob: string, bytes: Uint8Array) {
      stored.set(blob, bytes)
    },
    async get({ blob }: ChunkRef) {
      return stored.get(blob)!
    },
  }
  const memory = { reserve() {} }
  const chain = new OperatorChain({
    layout: new ChainLayout(nodes, partitions),
    site,
    runtime,
    clock,
    chunks,
    memory,
    keyGroups: [0, 128],
    maxParallelism: 128,
    ...(sketch.restored ? { restored: sketch.restored } : {}),
    createKeyedState: (own) =>
      createKeyedStateBackend({
        ...own,
        jobId: 'job',
        attemptId: 'attempt',
        subtaskIndex: index,
        keyGroups: [0, 128],
        maxParallelism: 128,
        clock,
        chunks,
        memory,
      }),
    createWindowOperator,
    services: {
      wake() {},
      fail(error) {
        throw error
      },
      sendReaderEvent() {},
      sendCollected() {},
      checkpointingEnabled: true,
      watermarkIntervalMs: 200,
      ...sketch.services,
    },
    freezeRecords: sketch.freezeRecords ?? false,
    link: sketch.link ?? 'generated',
  })
  return { chain, site, runtime }
}
