import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import { stableId } from '#core/ids.js'
import { silentLogger } from '#core/logger.js'
import type { ChunkRef, SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { OperatorSpec } from '#protocol/graph/job-graph.js'
import type { Output } from '#taskmanager/operators/operator.js'
import { createWindowOperator } from '#taskmanager/operators/window.js'
import { createKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import type { KeyedStateBackend } from '#taskmanager/state/keyed-state-backend.js'
import { ChainLayout } from '#taskmanager/task/chain-layout.js'
import { deepFreeze } from '#taskmanager/task/freeze-records.js'
import { OperatorChain } from '#taskmanager/task/operator-chain.js'
import { TaskRuntimeContext } from '#taskmanager/task/task-runtime-context.js'
import type { ManualClock } from './manual-clock.js'

export const HARNESS_OPERATOR: OperatorSpec = { uid: 'harness', id: stableId('harness'), name: 'harness', kind: 'process' }
const MAX_PARALLELISM = 128

export interface HarnessChainOptions {
  readonly definition: OperatorDefinition
  readonly clock: ManualClock
  readonly chunks: Map<string, Uint8Array>
  readonly main: unknown[]
  readonly sides: Map<string, unknown[]>
  readonly restored?: { readonly checkpointId: number; readonly state: SubtaskState }
  readonly onBackend: (backend: KeyedStateBackend) => void
}

/** A chain of the one operator, its outputs kept. */
export function harnessChain(options: HarnessChainOptions): OperatorChain {
  const { clock, restored } = options
  const chunks = {
    async put(blob: string, bytes: Uint8Array) {
      options.chunks.set(blob, bytes)
    },
    async get({ blob }: ChunkRef) {
      return options.chunks.get(blob)!
    },
  }
  const memory = { reserve() {} }
  const taskInfo = {
    taskName: 'harness',
    indexOfThisSubtask: 0,
    numberOfParallelSubtasks: 1,
    maxNumberOfParallelSubtasks: MAX_PARALLELISM,
    attemptNumber: 0,
    attemptId: 'harness',
  }
  return new OperatorChain({
    layout: new ChainLayout([{ spec: HARNESS_OPERATOR, definition: options.definition }], []),
    site: { operator: 0 },
    runtime: new TaskRuntimeContext({ jobId: 'harness', jobName: 'harness', globalParameters: {} }, taskInfo, silentLogger, () => {}),
    clock,
    chunks,
    memory,
    keyGroups: [0, MAX_PARALLELISM],
    maxParallelism: MAX_PARALLELISM,
    ...(restored
      ? { restored: { checkpointId: restored.checkpointId, operators: { [HARNESS_OPERATOR.id]: [restored.state] }, parallelism: 1 } }
      : {}),
    createKeyedState: (own) => {
      const backend = createKeyedStateBackend({
        ...own,
        jobId: 'harness',
        attemptId: `harness-${restored?.checkpointId ?? 0}`,
        subtaskIndex: 0,
        keyGroups: [0, MAX_PARALLELISM],
        maxParallelism: MAX_PARALLELISM,
        clock,
        chunks,
        memory,
      })
      options.onBackend(backend)
      return backend
    },
    createWindowOperator,
    services: {
      wake() {},
      fail(error) {
        throw error
      },
      sendReaderEvent() {},
      sendCollected() {},
      checkpointingEnabled: true,
      watermarkIntervalMs: 0,
    },
    freezeRecords: true,
    link: 'classes',
    outputOf: () => recordingOutput(options),
  })
}

/** Tags are not known beforehand: each makes its list. */
function recordingOutput({ main, sides }: HarnessChainOptions): Output {
  return {
    collect(value) {
      deepFreeze(value)
      main.push(value)
    },
    side(tag, value) {
      deepFreeze(value)
      const side = sides.get(tag) ?? []
      sides.set(tag, side)
      side.push(value)
    },
  }
}
